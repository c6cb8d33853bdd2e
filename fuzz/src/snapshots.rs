//! A source of a fixed snapshot, and what is published of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use ecs_discovery::cli::{Parsed, parse};
use ecs_discovery::config::Config;
use ecs_discovery::inventory::{
    ClusterRef, ClusterTasks, Failure, Failures, Fetched, ListedTask, Operation, Scope, Snapshot, Source, Task,
    TaskArn, TaskDefinition,
};
use ecs_discovery::output::{Earlier, Output};
use ecs_discovery::publish::{Publication, Publisher};
use ecs_discovery::refresh::Refresher;

use crate::runtime::block_on;

pub(crate) const CLUSTER: &str = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod";
pub(crate) const DEFINITION: &str = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3";

/// Returns the ARN of a task in the cluster.
pub(crate) fn task_arn(id: &str) -> TaskArn {
    format!("arn:aws:ecs:eu-west-1:123456789012:task/prod/{id}").as_str().into()
}

/// Returns the settings of a command line, which are parsed once.
pub(crate) fn settings(flags: &[&str]) -> Config {
    thread_local! {
        static PARSED: RefCell<HashMap<String, Config>> = RefCell::default();
    }
    PARSED.with_borrow_mut(|parsed| parsed.entry(flags.join(" ")).or_insert_with(|| parse_flags(flags)).clone())
}

fn parse_flags(flags: &[&str]) -> Config {
    match parse(flags.iter().map(Into::into), |_| None) {
        Ok(Parsed::Run(config)) => *config,
        other => panic!("{flags:?}: {other:?}"),
    }
}

/// Returns a snapshot of one cluster with these tasks of one definition.
pub(crate) fn snapshot(tasks: Vec<Task>, definition: TaskDefinition) -> Snapshot {
    let mut listed: Vec<_> = tasks
        .into_iter()
        .map(|task| ListedTask { arn: task.arn.clone(), task: Fetched::Known(Arc::new(task)) })
        .collect();
    listed.sort_by(|one, other| one.arn.cmp(&other.arn));
    Snapshot {
        clusters: vec![ClusterTasks { cluster: CLUSTER.into(), tasks: Ok(listed), details: None }],
        unlisted: None,
        definitions: HashMap::from([(DEFINITION.into(), Fetched::Known(Arc::new(definition)))]),
        hosts: HashMap::new(),
        failures: Failures::default(),
    }
}

/// Adds a cluster that could not be listed.
pub(crate) fn add_failed_cluster(snapshot: &mut Snapshot, cluster: &str) {
    let failure = snapshot.failures.record(Failure {
        operation: Operation::ListTasks,
        cluster: Some(cluster.into()),
        code: "AccessDeniedException".into(),
        message: "no".into(),
        request_id: None,
        calls: 1,
        transient: false,
    });
    snapshot.clusters.push(ClusterTasks { cluster: cluster.into(), tasks: Err(failure), details: None });
}

/// A source whose snapshots are all the same.
struct Fixed(Scope, Snapshot);

impl Source for Fixed {
    fn scope(&self) -> &Scope {
        &self.0
    }

    fn covers(&self, _: &str) -> bool {
        true
    }

    async fn snapshot(&mut self, _: Option<&mut dyn FnMut(Snapshot)>) -> Snapshot {
        self.1.clone()
    }

    async fn look(&mut self, base: &Snapshot, _: &ClusterRef, _: &[TaskArn]) -> Result<Snapshot, Failure> {
        Ok(base.clone())
    }

    fn calls(&self) -> Vec<u32> {
        Vec::new()
    }
}

/// Publishes what follows from a snapshot, nowhere.
pub(crate) fn publish(snapshot: Snapshot, config: &Config) -> Publication {
    let scope = Scope { region: "eu-west-1".into(), account: Some("123456789012".into()) };
    block_on(async {
        let mut refresher = Refresher::new(Fixed(scope, snapshot), config.rules.clone(), Arc::default(), None);
        let mut publisher = Publisher::new(Output::Nowhere, &Earlier::Nothing, [Arc::default()]);
        publisher.refreshed(0, Arc::new(refresher.refresh(None).await));
        publisher.publish().await
    })
}
