//! Proptest strategies for snapshots with missing, conflicting and invalid data.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ecs_discovery::config::{DYNAMIC_PORT_LABEL, LabelFilter, MetaLabels, PortRule, Rules};
use ecs_discovery::inventory::{
    Binding, ClusterDetails, ClusterTasks, Container, ContainerDefinition, Failure, FailureId, Failures, Family,
    Fetched, HostAddress, Instance, InstanceDetails, ListedTask, NetworkMode, NoHost, Operation, ServiceDetails,
    Shared, Snapshot, Task, TaskArn, TaskDefinition, TaskDetails, TaskStatus,
};
use proptest::collection::{btree_map, hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const ACCOUNT: &str = "arn:aws:ecs:us-east-1:123456789012";

fn failure(code: &str) -> Failure {
    let (operation, code) = (Operation::DescribeTasks, code.to_owned());
    Failure { operation, cluster: None, code, message: String::new(), request_id: None, calls: 1, transient: true }
}

/// Returns two failures to choose from.
fn failures() -> (Failures, [FailureId; 2]) {
    let mut failures = Failures::default();
    let ids = ["A", "B"].map(|code| failures.record(failure(code)));
    (failures, ids)
}

fn a_failure() -> impl Strategy<Value = FailureId> {
    select(failures().1.to_vec())
}

fn fetched<T: std::fmt::Debug + Clone, G: std::fmt::Debug + Clone>(
    known: impl Strategy<Value = T>,
    gone: impl Strategy<Value = G>,
) -> impl Strategy<Value = Fetched<T, G>> {
    prop_oneof![
        14 => known.prop_map(Fetched::Known),
        1 => gone.prop_map(Fetched::Gone),
        1 => a_failure().prop_map(Fetched::Unknown),
    ]
}

/// The task definitions that ECS describes, and a daemon task definition, which it does not.
const DEFINITIONS: [&str; 3] = ["task-definition/a:1", "task-definition/b:1", "task-definition/b:2"];
const DAEMON: &str = "daemon-task-definition/d:1";
const INSTANCES: [&str; 2] = ["container-instance/c0/1", "container-instance/c0/2"];

/// Generates snapshots. What tasks refer to may be missing, unlike in a real refresh.
pub(crate) fn snapshot() -> impl Strategy<Value = Snapshot> {
    let definitions = vec(fetched(definition().prop_map(Arc::new), Just(())), 2..=DEFINITIONS.len());
    let hosts = vec(fetched(host(), no_host()), 1..=INSTANCES.len());
    let clusters = vec((cluster(), option::of(cluster_details())), 0..4);
    (clusters, definitions, hosts, option::weighted(0.05, a_failure())).prop_map(
        |(clusters, definitions, hosts, failure)| Snapshot {
            clusters: numbered(clusters),
            unlisted: failure,
            definitions: DEFINITIONS.map(|name| arn(name).as_str().into()).into_iter().zip(definitions).collect(),
            hosts: INSTANCES.map(|name| arn(name).as_str().into()).into_iter().zip(hosts).collect(),
            failures: failures().0,
        },
    )
}

fn arn(resource: &str) -> String {
    format!("{ACCOUNT}:{resource}")
}

/// Gives every task a unique ARN, as AWS does.
fn numbered(clusters: Vec<(Tasks, Option<ClusterDetails>)>) -> Vec<ClusterTasks> {
    let numbered = clusters.into_iter().enumerate().map(|(cluster, (tasks, details))| ClusterTasks {
        details: details.map(Box::new),
        cluster: format!("c{cluster}").as_str().into(),
        tasks: tasks.map(|tasks| {
            let arn = |task| TaskArn::from(arn(&format!("task/c{cluster}/{task}")).as_str());
            let tasks = tasks.into_iter().enumerate().map(|(at, task)| (arn(at), task));
            tasks.map(|(arn, task)| ListedTask { task: with_arn(task, &arn), arn }).collect()
        }),
    });
    numbered.collect()
}

fn with_arn(task: Fetched<Task>, arn: &TaskArn) -> Fetched<Arc<Task>> {
    match task {
        Fetched::Known(task) => Fetched::Known(Arc::new(Task { arn: arn.clone(), ..task })),
        Fetched::Gone(()) => Fetched::Gone(()),
        Fetched::Unknown(failure) => Fetched::Unknown(failure),
    }
}

/// The listed tasks of a cluster, or the failure of the listing.
type Tasks = Result<Vec<Fetched<Task>>, FailureId>;

fn cluster() -> impl Strategy<Value = Tasks> {
    prop_oneof![9 => vec(fetched(task(), Just(())), 0..7).prop_map(Ok), 1 => a_failure().prop_map(Err)]
}

fn definition_arn() -> impl Strategy<Value = String> {
    prop_oneof![12 => select(&DEFINITIONS[..]), 1 => Just(DAEMON)].prop_map(arn)
}

fn instance_arn() -> impl Strategy<Value = String> {
    select(&INSTANCES[..]).prop_map(arn)
}

fn host() -> impl Strategy<Value = HostAddress> {
    prop_oneof![
        4 => (any::<IpAddr>(), option::of(instance_details().prop_map(Arc::new)))
            .prop_map(|(address, details)| HostAddress::Instance(Instance { address, details })),
        1 => text().prop_map(|text| HostAddress::Attribute(text.into())),
    ]
}

fn instance_details() -> impl Strategy<Value = InstanceDetails> {
    (option::of(shared()), tags()).prop_map(|(public_ip, tags)| InstanceDetails {
        public_ip,
        tags,
        ..InstanceDetails::default()
    })
}

/// Generates the details of a cluster. The tasks' services and interfaces may be missing.
fn cluster_details() -> impl Strategy<Value = ClusterDetails> {
    let service = (option::of(shared()), tags()).prop_map(|(status, tags)| Arc::new(ServiceDetails { status, tags }));
    let services = hash_map(select(&["web", "api"][..]).prop_map(Shared::from), service, 0..3);
    let public_ips = hash_map(select(&["eni-1", "eni-2"][..]).prop_map(Shared::from), shared(), 0..3);
    (option::of(tags()), services, public_ips).prop_map(|(tags, services, public_ips)| ClusterDetails {
        tags: tags.map(Into::into),
        services,
        public_ips,
    })
}

fn task_details() -> impl Strategy<Value = TaskDetails> {
    let interface = option::of(select(&["eni-1", "eni-2", "eni-3"][..]).prop_map(Shared::from));
    (interface, option::of(shared()), tags()).prop_map(|(network_interface, started_by, tags)| TaskDetails {
        network_interface,
        started_by,
        tags,
        ..TaskDetails::default()
    })
}

/// Generates tags, some of whose keys are equal once sanitised.
fn tags() -> impl Strategy<Value = Vec<(Shared, Shared)>> {
    let key = prop_oneof![select(&["a-b", "a.b", "a_b", "", "1"][..]).prop_map(Shared::from), shared()];
    vec((key, shared()), 0..4)
}

fn shared() -> impl Strategy<Value = Shared> {
    text().prop_map(Shared::from)
}

fn no_host() -> impl Strategy<Value = NoHost> {
    select(&[NoHost::ContainerInstanceGone, NoHost::External, NoHost::InstanceGone, NoHost::NoAddress][..])
}

fn task() -> impl Strategy<Value = Task> {
    let status = prop_oneof![
        12 => Just("RUNNING"),
        1 => Just("ACTIVATING"),
        2 => select(&["PENDING", "DEACTIVATING", "STOPPED", "", "WAITING"][..]),
    ];
    let addresses = (option::of(any::<Ipv4Addr>()), option::of(any::<Ipv6Addr>()));
    let place = (option::of(instance_arn()), option::of(any::<Ipv4Addr>()), addresses);
    let group = option::of(prop_oneof![text(), select(&["service:web", "service:api"][..]).prop_map(String::from)]);
    let words = (definition_arn(), status, group, option::of(Just(arn("cluster/c0"))));
    let containers = vec((container(), any::<bool>()), 0..4);
    let details = option::of(task_details().prop_map(Box::new));
    (words, place, (prop::bool::weighted(0.1), details), containers).prop_map(
        |(
            (definition, status, group, cluster),
            (instance, attachment_ipv4, addresses),
            (stop_requested, details),
            containers,
        )| {
            Task {
                arn: "".into(),
                cluster: cluster.map(|arn| arn.as_str().into()),
                definition: definition.as_str().into(),
                group: group.map(Into::into),
                last_status: TaskStatus::from_aws(Some(status)),
                stop_requested,
                version: 0,
                on_managed_instance: false,
                container_instance: instance.map(|arn| arn.as_str().into()),
                attachment_ipv4,
                details,
                containers: containers.into_iter().map(|(one, shown)| at(one, addresses, shown)).collect(),
            }
        },
    )
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("app"), 3 => Just("proxy"), 1 => Just("")]
}

/// Returns a container with the addresses of its task's network interface, which some containers report.
fn at(container: Container, (ipv4, ipv6): (Option<Ipv4Addr>, Option<Ipv6Addr>), shown: bool) -> Container {
    if shown { Container { ipv4, ipv6, ..container } } else { container }
}

fn container() -> impl Strategy<Value = Container> {
    (name(), option::of(text()), prop::bool::weighted(0.1), vec(binding(), 0..4)).prop_map(
        |(name, arn, stopped, bindings)| Container {
            name: name.into(),
            arn: arn.map(Into::into),
            last_status: if stopped { TaskStatus::Stopped } else { TaskStatus::Running },
            bindings,
            ..Container::default()
        },
    )
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![4 => select(&[80_u16, 81, 9102][..]), 1 => any::<u16>()]
}

fn binding() -> impl Strategy<Value = Binding> {
    let family = option::of(select(&[Family::V4, Family::V6][..]));
    (prop::bool::weighted(0.8), family, port(), 0_u16..3, 1..=u16::MAX).prop_map(
        |(tcp, family, first, more, first_host_port)| Binding {
            tcp,
            family,
            container_ports: first..=first.saturating_add(more),
            first_host_port,
        },
    )
}

fn definition() -> impl Strategy<Value = TaskDefinition> {
    let mode = prop_oneof![
        4 => Just("awsvpc"),
        4 => Just("bridge"),
        2 => Just("host"),
        1 => select(&["none", "default", "", "new"][..]),
    ];
    (text(), any::<i32>(), mode, btree_map(name(), container_definition(), 1..4)).prop_map(
        |(family, revision, mode, containers)| TaskDefinition {
            family: family.into(),
            revision,
            network_mode: NetworkMode::from_aws(Some(mode)),
            containers: containers
                .into_iter()
                .map(|(name, container)| ContainerDefinition { name: name.into(), ..container })
                .collect(),
        },
    )
}

fn container_definition() -> impl Strategy<Value = ContainerDefinition> {
    let server = prop_oneof![Just(String::new()), Just("app/".to_owned()), Just("fd00::1".to_owned()), text()];
    let ports =
        prop_oneof![4 => port().prop_map(|port| port.to_string()), 1 => Just("80,9102/m,x".into()), 1 => text()];
    let labels = (
        option::weighted(0.95, ports.prop_map(|text| ("PORT", text))),
        option::weighted(0.3, server.prop_map(|text| ("SERVER", text))),
        option::weighted(0.3, text().prop_map(|text| ("OTHER", text))),
        option::weighted(0.5, select(&["1", "0"][..]).prop_map(|text| (DYNAMIC_PORT_LABEL, text.to_owned()))),
    );
    let variable = option::weighted(0.2, (select(&["PORT", "SERVER", "OTHER"][..]), text()));
    (option::of(text()), labels, variable).prop_map(|(image, (port, server, other, dynamic), variable)| {
        ContainerDefinition {
            name: "".into(),
            image: image.map(Into::into),
            docker_labels: [port, server, other, dynamic]
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            variables: variable.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[0-9a-z:/ ,.\\[\\]-]{0,8}"]
}

/// Generates rules for docker labels that occur in the snapshots.
pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    let filter = option::weighted(0.2, option::of(text()));
    let filter = filter.prop_map(|value| value.map(|value| LabelFilter { name: "OTHER".into(), value }));
    let by_label = filter.prop_map(|filter| PortRule::Label { name: "PORT".into(), filter });
    let ports = prop_oneof![3 => by_label, 1 => Just(PortRule::OnlyPublished)];
    let meta_labels = select(&[MetaLabels::Off, MetaLabels::Free, MetaLabels::All][..]);
    (ports, meta_labels).prop_map(|(ports, meta_labels)| Rules {
        ports,
        meta_labels,
        server_name_label: "SERVER".into(),
        job_name_label: "OTHER".into(),
        path_label: "OTHER".into(),
        scheme_label: "ABSENT".into(),
    })
}
