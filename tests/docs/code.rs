//! What the documents are compared with, taken from the library's public API.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ecs_discovery::cli::{Parsed, parse};
use ecs_discovery::inventory::{
    ClusterRef, ClusterTasks, Failure, Failures, NoHost, Operation, Scope, Snapshot, Source, TaskArn, TaskStatus,
};
use ecs_discovery::output::{Earlier, Output};
use ecs_discovery::publish::Publisher;
use ecs_discovery::refresh::Refresher;
use ecs_discovery::status::SharedStatus;
use ecs_discovery::targets::SkipReason;
use ecs_discovery::telemetry::{MetricsFormat, Telemetry};

/// Returns an example of every skip reason.
pub(crate) fn skip_reasons() -> Vec<SkipReason> {
    use SkipReason::*;
    let examples = vec![
        NoPortLabel("PROMETHEUS_EXPORTER_PORT".into()),
        NoDynamicPortLabel,
        FilteredOut,
        InvalidPort("metrics".into()),
        InvalidServerName("https://x".into()),
        InvalidHostAttribute("https://x".into()),
        PortNotPublished(9102),
        NotOnePublishedPort(2),
        TaskNotUp(TaskStatus::Pending),
        TaskStopping(Some(TaskStatus::Deactivating)),
        TaskGone,
        ContainerStopped,
        NotInTaskDefinition,
        TaskDefinitionGone,
        DaemonTask,
        NetworkModeNone,
        UnknownNetworkMode("new".into()),
        NoTaskAddress,
        NoContainerInstance,
        NoHostAddress(NoHost::ContainerInstanceGone),
        NoHostAddress(NoHost::External),
        NoHostAddress(NoHost::InstanceGone),
        NoHostAddress(NoHost::NoAddress),
    ];
    let codes: Vec<&str> = examples.iter().map(SkipReason::code).collect();
    assert_eq!(codes, SkipReason::CODES, "add an example of each new skip reason to tests/docs/code.rs");
    examples
}

/// Returns the IAM action of every call that the program makes.
pub(crate) fn iam_actions() -> BTreeSet<String> {
    Operation::OF_REFRESHES.into_iter().chain(Operation::OF_QUEUES).map(Operation::iam_action).collect()
}

/// Returns the metrics as text. Series of clusters exist only after a refresh, hence one refresh of an empty cluster.
pub(crate) fn metrics() -> String {
    let (telemetry, status) = (Telemetry::default(), SharedStatus::default());
    let Ok(Parsed::Run(config)) = parse([], |_| None) else { panic!("the defaults must be valid") };
    let source = EmptyCluster(Scope { region: "eu-west-1".into(), account: Some("123456789012".into()) });
    let mut refresher = Refresher::new(source, config.rules, Arc::default(), None);
    let mut publisher = Publisher::new(Output::Nowhere, &Earlier::Nothing, [Arc::default()]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refresh = Arc::new(runtime.block_on(refresher.refresh(None)));
    publisher.refreshed(0, refresh.clone());
    let publication = runtime.block_on(publisher.publish());
    telemetry.refresh_started(&refresh.asked);
    telemetry.interval(&refresh.asked, Duration::from_secs(60));
    telemetry.queue_added("https://sqs.eu-west-1.amazonaws.com/123456789012/ecs-discovery", &refresh.asked);
    telemetry.events_missing(&refresh.asked, false);
    telemetry.published(&publication);
    status.published(Arc::new(publication));
    telemetry.metrics(&status.get(), MetricsFormat::Classic)
}

struct EmptyCluster(Scope);

impl Source for EmptyCluster {
    fn scope(&self) -> &Scope {
        &self.0
    }

    fn covers(&self, _: &str) -> bool {
        true
    }

    async fn snapshot(&mut self, _: Option<&mut dyn FnMut(Snapshot)>) -> Snapshot {
        let cluster = ClusterTasks { cluster: ClusterRef::from("prod"), tasks: Ok(Vec::new()), details: None };
        Snapshot {
            clusters: vec![cluster],
            unlisted: None,
            definitions: Default::default(),
            hosts: Default::default(),
            failures: Failures::default(),
        }
    }

    async fn look(&mut self, base: &Snapshot, _: &ClusterRef, _: &[TaskArn]) -> Result<Snapshot, Failure> {
        Ok(base.clone())
    }

    fn calls(&self) -> Vec<u32> {
        Vec::new()
    }
}
