//! What one refresh learned of ECS and EC2, in our own lean types.
//!
//! Only what decides a target is kept, and strings that many tasks share are shared. Not here: how it
//! was learned ([`crate::aws`]) and what follows from it ([`crate::targets`]).

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A string that many values share.
pub type Shared = Arc<str>;

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Shared);

        impl $name {
            /// The identifier as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same text, shared.
            pub fn shared(&self) -> Shared {
                self.0.clone()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<Shared> for $name {
            fn from(text: Shared) -> Self {
                Self(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

identifiers! {
    /// A cluster as it was configured or listed: a name or an ARN.
    ClusterRef;
    /// The ARN of a cluster.
    ClusterArn;
    /// The ARN of a task.
    TaskArn;
    /// The ARN of a task definition revision.
    TaskDefinitionArn;
    /// The ARN of a container instance, ECS's record of a machine.
    ContainerInstanceArn;
    /// The id of an EC2 instance (`i-…`).
    InstanceId;
}

impl ClusterRef {
    /// The cluster's name: the whole text, or what follows `:cluster/` in an ARN.
    pub fn name(&self) -> &str {
        cluster_name(&self.0)
    }

    /// Whether this is an ARN and not a bare name.
    pub fn is_arn(&self) -> bool {
        self.0.starts_with("arn:")
    }

    /// Whether the cluster with this ARN is the one meant. A bare name means the cluster of that name
    /// in whatever account and region are being asked.
    pub fn matches(&self, cluster_arn: &str) -> bool {
        if self.is_arn() { self.as_str() == cluster_arn } else { self.name() == cluster_name(cluster_arn) }
    }
}

/// The name in a cluster's ARN (`arn:aws:ecs:REGION:ACCOUNT:cluster/NAME`), or the text itself.
fn cluster_name(text: &str) -> &str {
    text.rsplit_once(":cluster/").map_or(text, |(_, name)| name)
}

/// The fields of an ARN: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
fn arn_field(arn: &str, field: usize) -> Option<&str> {
    arn.split(':').nth(field).filter(|text| !text.is_empty())
}

impl TaskArn {
    /// The region that it runs in.
    pub fn region(&self) -> Option<&str> {
        arn_field(&self.0, 3)
    }

    /// The account that it runs in.
    pub fn account(&self) -> Option<&str> {
        arn_field(&self.0, 4)
    }

    /// The ARN of a service in the task's cluster, `arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME`.
    pub fn service(&self, name: &str) -> Option<String> {
        let (account, rest) = self.0.split_once(":task/")?;
        let (cluster, _id) = rest.split_once('/')?;
        Some(format!("{account}:service/{cluster}/{name}"))
    }

    /// The task's id, the last part of its ARN.
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The ARN of the task's cluster, as the long form of task ARNs names it
    /// (`arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID`); the short form of before 2018 does not.
    pub fn cluster(&self) -> Option<ClusterArn> {
        let (account, rest) = self.0.split_once(":task/")?;
        let (cluster, _id) = rest.split_once('/')?;
        Some(format!("{account}:cluster/{cluster}").as_str().into())
    }
}

impl TaskDefinitionArn {
    /// The last part of the ARN, `FAMILY:REVISION`.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Whether this is the definition of an ECS Managed Daemon (`…:daemon-task-definition/…`), which
    /// DescribeTaskDefinition does not know.
    pub fn is_daemon(&self) -> bool {
        self.0.contains(":daemon-task-definition/")
    }
}

/// What is known of one thing after a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched<T, G = ()> {
    /// AWS described it.
    Known(T),
    /// AWS answered that there is no such thing, now or for good.
    Gone(G),
    /// It could not be learned this time; the failure is in [`Snapshot::failures`].
    Unknown(FailureId),
}

/// Which of [`Snapshot::failures`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailureId(usize);

/// One way in which a refresh failed: the failed calls of one operation in one cluster with one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The AWS operation, such as `ListTasks`, or `refresh` where it is not one call that failed.
    pub operation: &'static str,
    /// The cluster that was asked about, where the operation has one.
    pub cluster: Option<ClusterRef>,
    /// AWS's error code, or our word for what happened on the way to AWS.
    pub code: String,
    /// The chain of causes in one line.
    pub message: String,
    /// AWS's id of the (first) failed request.
    pub request_id: Option<String>,
    /// How many calls failed like this.
    pub calls: usize,
    /// Whether it may pass by itself (a time-out, a throttle, an outage), and nobody has to mend anything.
    pub transient: bool,
}

/// The failures of a refresh, alike ones counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures(Vec<Failure>);

impl Failures {
    /// Adds a failure, to an alike one where there is one.
    pub fn record(&mut self, failure: Failure) -> FailureId {
        let alike = |known: &Failure| {
            (known.operation, &known.cluster, &known.code) == (failure.operation, &failure.cluster, &failure.code)
        };
        if let Some(at) = self.0.iter().position(alike) {
            self.0[at].calls += failure.calls;
            return FailureId(at);
        }
        self.0.push(failure);
        FailureId(self.0.len() - 1)
    }

    /// Each failure with its id.
    pub fn iter(&self) -> impl Iterator<Item = (FailureId, &Failure)> {
        self.0.iter().enumerate().map(|(at, failure)| (FailureId(at), failure))
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many different failures there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// What one refresh learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The clusters that were to be scanned, or why they are not known.
    pub clusters: Result<Vec<ClusterTasks>, FailureId>,
    /// The task definitions that the tasks name.
    pub definitions: HashMap<TaskDefinitionArn, Fetched<Arc<TaskDefinition>>>,
    /// The machines behind the container instances that were asked for.
    pub hosts: HashMap<ContainerInstanceArn, Fetched<Instance, NoHost>>,
    /// All that failed on the way. A refresh with any failure is a failed refresh.
    pub failures: Failures,
}

impl Snapshot {
    /// A snapshot in which nothing could be learned.
    pub fn failed(failure: Failure) -> Self {
        let mut failures = Failures::default();
        let clusters = Err(failures.record(failure));
        Self { clusters, definitions: HashMap::new(), hosts: HashMap::new(), failures }
    }
}

/// The tasks of one cluster, or why they could not be listed.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterTasks {
    /// The cluster as it was asked for.
    pub cluster: ClusterRef,
    /// Every listed task.
    pub tasks: Result<Vec<ListedTask>, FailureId>,
}

/// A task that was listed, and what describing it gave.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedTask {
    /// The ARN from the listing.
    pub arn: TaskArn,
    /// Its description; gone is the normal race of a task that stopped in between.
    pub task: Fetched<Task>,
}

/// A described task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its ARN.
    pub arn: TaskArn,
    /// The ARN of its cluster.
    pub cluster: Option<ClusterArn>,
    /// Its task definition.
    pub definition: TaskDefinitionArn,
    /// `service:NAME` or `family:NAME`; absent for some tasks.
    pub group: Option<Shared>,
    /// Where it is in its life.
    pub last_status: TaskStatus,
    /// Whether it has been told to stop (`desiredStatus` STOPPED).
    pub told_to_stop: bool,
    /// Whether it runs on an ECS Managed Instance, which EC2 hides unless asked for.
    pub on_managed_instance: bool,
    /// The container instance it runs on; none on Fargate.
    pub container_instance: Option<ContainerInstanceArn>,
    /// The IPv4 address of its network interface attachment, where it has one.
    pub attachment_ipv4: Option<Ipv4Addr>,
    /// Its containers, injected ones included.
    pub containers: Vec<Container>,
    /// What only meta labels need, where they are asked for.
    pub details: Option<Box<TaskDetails>>,
}

/// What ECS says of a task beyond what makes targets, in AWS's words.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // the names are AWS's
pub struct TaskDetails {
    pub availability_zone: Option<Shared>,
    pub subnet_id: Option<Shared>,
    pub launch_type: Option<Shared>,
    pub desired_status: Option<Shared>,
    pub last_status: Option<Shared>,
    pub health_status: Option<Shared>,
    pub platform_family: Option<Shared>,
    pub platform_version: Option<Shared>,
    /// Keys and values of its tags.
    pub tags: Vec<(Shared, Shared)>,
}

/// Where a task is in its life, in order (Amazon ECS Developer Guide, "Amazon ECS task lifecycle").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are AWS's
pub enum TaskStatus {
    Provisioning,
    Pending,
    Activating,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
    Deleted,
    /// Absent, or a word that AWS has added since: says nothing.
    Unknown,
}

impl TaskStatus {
    const NAMES: [(&'static str, Self); 9] = [
        ("PROVISIONING", Self::Provisioning),
        ("PENDING", Self::Pending),
        ("ACTIVATING", Self::Activating),
        ("RUNNING", Self::Running),
        ("DEACTIVATING", Self::Deactivating),
        ("STOPPING", Self::Stopping),
        ("DEPROVISIONING", Self::Deprovisioning),
        ("STOPPED", Self::Stopped),
        ("DELETED", Self::Deleted),
    ];

    /// Reads AWS's word.
    pub fn from_aws(word: Option<&str>) -> Self {
        Self::NAMES.iter().find(|(name, _)| Some(*name) == word).map_or(Self::Unknown, |(_, status)| *status)
    }

    /// AWS's word.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, status)| *status == self).map_or("UNKNOWN", |(name, _)| name)
    }

    /// Whether the task has not come up yet, so that its addresses are not to be trusted.
    pub fn is_coming(self) -> bool {
        matches!(self, Self::Provisioning | Self::Pending)
    }

    /// Whether the task is on its way out. It keeps its address in the answers, and that address may be
    /// someone else's by now.
    pub fn is_going(self) -> bool {
        matches!(self, Self::Deactivating | Self::Stopping | Self::Deprovisioning | Self::Stopped | Self::Deleted)
    }
}

/// A container of a described task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// Its name, by which its definition is found.
    pub name: Shared,
    /// Its ARN.
    pub arn: Option<Shared>,
    /// Whether it has stopped while its task goes on.
    pub stopped: bool,
    /// The IPv4 address of its network interface (awsvpc).
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address of its network interface (awsvpc).
    pub ipv6: Option<Ipv6Addr>,
    /// The ports it publishes on its host (bridge).
    pub bindings: Vec<Binding>,
}

/// Ports of a container published on its host: one port, or a range of equal length on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Whether it is TCP; a scrape is.
    pub tcp: bool,
    /// The address family it listens on; none where AWS does not say.
    pub family: Option<Family>,
    /// The ports inside the container.
    pub container_ports: RangeInclusive<u16>,
    /// The first of the ports on the host.
    pub first_host_port: u16,
}

impl Binding {
    /// The host port that leads to a container port.
    pub fn host_port(&self, container_port: u16) -> Option<u16> {
        if !self.container_ports.contains(&container_port) {
            return None;
        }
        self.first_host_port.checked_add(container_port - self.container_ports.start())
    }
}

/// The EC2 instance that a container instance is.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Where its containers are reached.
    pub address: IpAddr,
    /// What only meta labels need, where they are asked for.
    pub details: Option<Arc<InstanceDetails>>,
}

impl From<IpAddr> for Instance {
    fn from(address: IpAddr) -> Self {
        Self { address, details: None }
    }
}

/// What EC2 says of an instance beyond its address.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // the names are AWS's
pub struct InstanceDetails {
    pub instance_id: Shared,
    pub instance_type: Option<Shared>,
    pub private_ip: Option<Shared>,
    pub public_ip: Option<Shared>,
    pub subnet_id: Option<Shared>,
    /// Keys and values of its tags.
    pub tags: Vec<(Shared, Shared)>,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl From<IpAddr> for Family {
    fn from(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// A task definition revision, which never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDefinition {
    /// Its family.
    pub family: Shared,
    /// Its revision.
    pub revision: i32,
    /// Where its containers are reached.
    pub network_mode: NetworkMode,
    /// Its containers.
    pub containers: Vec<ContainerDefinition>,
}

impl TaskDefinition {
    /// The definition of the container with this name.
    pub fn container(&self, name: &str) -> Option<&ContainerDefinition> {
        self.containers.iter().find(|container| *container.name == *name)
    }
}

/// A container of a task definition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerDefinition {
    /// Its name.
    pub name: Shared,
    /// Its image, as the definition names it.
    pub image: Option<Shared>,
    /// Its docker labels.
    pub docker_labels: BTreeMap<Shared, Shared>,
}

impl ContainerDefinition {
    /// The value of a docker label.
    pub fn docker_label(&self, name: &str) -> Option<&Shared> {
        self.docker_labels.get(name)
    }
}

/// How a task's containers are reached (API reference, `TaskDefinition.networkMode`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    /// At the task's own network interface.
    Awsvpc,
    /// At the host, where ports are published. What an absent mode and Windows' `default` mean, too.
    Bridge,
    /// At the host, at the container's own ports.
    Host,
    /// Not at all.
    None,
    /// A mode that this program does not know.
    Other(Shared),
}

impl NetworkMode {
    /// The mode in AWS's word; the default's where it was absent.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Awsvpc => "awsvpc",
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
            Self::Other(other) => other,
        }
    }

    /// Reads AWS's word.
    pub fn from_aws(word: Option<&str>) -> Self {
        match word {
            None | Some("" | "bridge" | "default") => Self::Bridge,
            Some("awsvpc") => Self::Awsvpc,
            Some("host") => Self::Host,
            Some("none") => Self::None,
            Some(other) => Self::Other(other.into()),
        }
    }
}

/// Why a container instance has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoHost {
    /// ECS does not know the container instance (any more).
    ContainerInstanceGone,
    /// It is an ECS Anywhere machine (`mi-…`), which EC2 does not know.
    External,
    /// EC2 does not know the instance (any more).
    InstanceGone,
    /// The instance has no private address, as a terminated one.
    NoAddress,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_matched_by_name_or_by_arn() {
        let arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod";
        for (given, expected) in [
            ("prod", true),
            ("prod-2", false),
            ("pro", false),
            (arn, true),
            ("arn:aws:ecs:us-east-1:123456789012:cluster/prod", false),
        ] {
            assert_eq!(ClusterRef::from(given).matches(arn), expected, "{given}");
        }
    }

    #[test]
    fn the_long_form_of_a_task_arn_names_its_cluster() {
        let long = TaskArn::from("arn:aws:ecs:eu-west-1:123456789012:task/prod/abc");
        assert_eq!(long.cluster(), Some("arn:aws:ecs:eu-west-1:123456789012:cluster/prod".into()));
        assert_eq!(long.id(), "abc");
        let short = TaskArn::from("arn:aws:ecs:eu-west-1:123456789012:task/abc");
        assert_eq!((short.cluster(), short.id()), (None, "abc"));
    }

    #[test]
    fn a_range_is_mapped_by_offset() {
        let binding = Binding { tcp: true, family: None, container_ports: 8000..=8003, first_host_port: 65_534 };
        assert_eq!(
            [7999, 8000, 8001, 8002, 8004].map(|port| binding.host_port(port)),
            [None, Some(65_534), Some(65_535), None, None]
        );
    }

    #[test]
    fn alike_failures_are_counted_together() {
        let failure = |code: &str| Failure {
            operation: "ListTasks",
            cluster: Some("prod".into()),
            code: code.into(),
            message: String::new(),
            request_id: None,
            calls: 1,
            transient: false,
        };
        let mut failures = Failures::default();
        let (a, b) = (failures.record(failure("A")), failures.record(failure("B")));
        assert_eq!(failures.record(failure("A")), a);
        assert_eq!(failures.iter().map(|(id, f)| (id, f.calls)).collect::<Vec<_>>(), [(a, 2), (b, 1)]);
    }
}
