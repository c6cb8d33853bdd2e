//! Why a container is no target, and what to do about it.

use std::fmt;

use crate::inventory::{NoHost, Shared, TaskArn, TaskStatus};

/// A container that is no target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Its task.
    pub task: TaskArn,
    /// Its name; none where the task itself could not be looked into.
    pub container: Option<Shared>,
    /// Why.
    pub reason: SkipReason,
}

/// Why a container is no target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// It has no docker label that names a port. Holds the label's name.
    NoPortLabel(String),
    /// It lacks the docker label that dynamic port detection asks for, or the label is not `1`.
    NoDynamicPortLabel,
    /// It does not have the docker label (and value) of `config.filter-label`.
    FilteredOut,
    /// The docker label's text (or one item of its list) is no port.
    InvalidPort(String),
    /// The server name docker label's text is no host.
    InvalidServerName(String),
    /// The port is not published on the host over TCP (in the host's address family).
    PortNotPublished(u16),
    /// Dynamic port detection, and not exactly one published port. Holds their number.
    NotOnePublishedPort(usize),
    /// The task has not come up yet.
    TaskNotUp(TaskStatus),
    /// The task is stopping or has stopped; none where only its desired status says so.
    TaskStopping(Option<TaskStatus>),
    /// The task went away between being listed and being described.
    TaskGone,
    /// The container has stopped while its task goes on.
    ContainerStopped,
    /// The container was injected (Service Connect, GuardDuty): its task definition lacks it.
    NotInTaskDefinition,
    /// AWS does not know the task definition (any more).
    TaskDefinitionGone,
    /// The task belongs to an ECS Managed Daemon, whose containers have no docker labels.
    DaemonTask,
    /// The network mode is `none`.
    NetworkModeNone,
    /// The network mode is one that this program does not know.
    UnknownNetworkMode(Shared),
    /// The task has no network interface with an address (yet).
    NoTaskAddress,
    /// The task is on no container instance, though its network mode needs one.
    NoContainerInstance,
    /// The container instance has no address.
    NoHostAddress(NoHost),
}

impl SkipReason {
    /// Every [`code`](Self::code).
    pub const CODES: [&'static str; 22] = [
        "no_port_label",
        "no_dynamic_port_label",
        "filtered_out",
        "invalid_port",
        "invalid_server_name",
        "port_not_published",
        "not_one_published_port",
        "task_not_up",
        "task_stopping",
        "task_gone",
        "container_stopped",
        "not_in_task_definition",
        "task_definition_gone",
        "daemon_task",
        "network_mode_none",
        "unknown_network_mode",
        "no_task_address",
        "no_container_instance",
        "container_instance_gone",
        "external_instance",
        "instance_gone",
        "no_host_address",
    ];

    /// The reason in a few fixed words, without what differs between containers: for counting.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPortLabel(_) => "no_port_label",
            Self::NoDynamicPortLabel => "no_dynamic_port_label",
            Self::FilteredOut => "filtered_out",
            Self::InvalidPort(_) => "invalid_port",
            Self::InvalidServerName(_) => "invalid_server_name",
            Self::PortNotPublished(_) => "port_not_published",
            Self::NotOnePublishedPort(_) => "not_one_published_port",
            Self::TaskNotUp(_) => "task_not_up",
            Self::TaskStopping(_) => "task_stopping",
            Self::TaskGone => "task_gone",
            Self::ContainerStopped => "container_stopped",
            Self::NotInTaskDefinition => "not_in_task_definition",
            Self::TaskDefinitionGone => "task_definition_gone",
            Self::DaemonTask => "daemon_task",
            Self::NetworkModeNone => "network_mode_none",
            Self::UnknownNetworkMode(_) => "unknown_network_mode",
            Self::NoTaskAddress => "no_task_address",
            Self::NoContainerInstance => "no_container_instance",
            Self::NoHostAddress(NoHost::ContainerInstanceGone) => "container_instance_gone",
            Self::NoHostAddress(NoHost::External) => "external_instance",
            Self::NoHostAddress(NoHost::InstanceGone) => "instance_gone",
            Self::NoHostAddress(NoHost::NoAddress) => "no_host_address",
        }
    }

    /// Whether somebody who meant this container to be scraped has something to mend.
    /// The others are how things are meant to be, or pass by themselves.
    pub fn is_misconfiguration(&self) -> bool {
        matches!(
            self,
            Self::InvalidPort(_)
                | Self::InvalidServerName(_)
                | Self::PortNotPublished(_)
                | Self::NotOnePublishedPort(_)
                | Self::TaskDefinitionGone
                | Self::NetworkModeNone
                | Self::UnknownNetworkMode(_)
                | Self::NoHostAddress(NoHost::External)
        )
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoPortLabel(_) => "give the container this docker label, with the port that it exports metrics on",
            Self::NoDynamicPortLabel => "give the container the docker label PROMETHEUS_DYNAMIC_EXPORT=1",
            Self::FilteredOut => {
                "give the container the docker label that -config.filter-label names, or change the flag"
            }
            Self::InvalidPort(_) => "write port[/path], or several with commas, with ports from 1 to 65535",
            Self::InvalidServerName(_) => "write a host name or an IP address: no scheme, no port, no path",
            Self::PortNotPublished(_) => "add the port to the container's portMappings, with protocol tcp",
            Self::NotOnePublishedPort(_) => "publish exactly one port, over TCP, or use the port label",
            Self::TaskNotUp(_) | Self::NoTaskAddress => "wait: it becomes a target when it is up",
            Self::TaskStopping(_) | Self::TaskGone | Self::ContainerStopped => "nothing to do",
            Self::NotInTaskDefinition | Self::DaemonTask => {
                "nothing to do: AWS put it there, and it has no docker labels"
            }
            Self::TaskDefinitionGone => "register the task definition again and redeploy",
            Self::NetworkModeNone => "use another network mode: this one cannot be reached",
            Self::UnknownNetworkMode(_) => "use awsvpc, bridge or host, or a newer ecs-discovery",
            Self::NoContainerInstance => "use the network mode awsvpc, or name the host with the server name label",
            Self::NoHostAddress(NoHost::External) => {
                "name the host with the server name docker label: EC2 does not know ECS Anywhere machines"
            }
            Self::NoHostAddress(_) => "nothing if the machine is being replaced; else look at its ECS agent",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPortLabel(name) => write!(f, "no docker label {name}"),
            Self::NoDynamicPortLabel => write!(f, "no docker label PROMETHEUS_DYNAMIC_EXPORT=1"),
            Self::FilteredOut => write!(f, "filtered out by its docker labels"),
            Self::InvalidPort(text) => write!(f, "{text:?} is no port"),
            Self::InvalidServerName(text) => write!(f, "server name {text:?} is no host"),
            Self::PortNotPublished(port) => write!(f, "port {port} is not published on the host"),
            Self::NotOnePublishedPort(ports) => write!(f, "{ports} ports are published, not one"),
            Self::TaskNotUp(status) => write!(f, "task is {}", status.as_str()),
            Self::TaskStopping(Some(status)) => write!(f, "task is {}", status.as_str()),
            Self::TaskStopping(None) => write!(f, "task is about to stop"),
            Self::TaskGone => write!(f, "task is gone"),
            Self::ContainerStopped => write!(f, "container is STOPPED"),
            Self::NotInTaskDefinition => write!(f, "container is not in the task definition"),
            Self::TaskDefinitionGone => write!(f, "task definition is gone"),
            Self::DaemonTask => write!(f, "task of an ECS Managed Daemon"),
            Self::NetworkModeNone => write!(f, "network mode is none"),
            Self::UnknownNetworkMode(mode) => write!(f, "network mode {mode:?} is not known"),
            Self::NoTaskAddress => write!(f, "task has no network interface with an address"),
            Self::NoContainerInstance => write!(f, "task is on no container instance"),
            Self::NoHostAddress(NoHost::ContainerInstanceGone) => write!(f, "container instance is gone"),
            Self::NoHostAddress(NoHost::External) => write!(f, "host is an ECS Anywhere machine, address not known"),
            Self::NoHostAddress(NoHost::InstanceGone) => write!(f, "EC2 instance is gone"),
            Self::NoHostAddress(NoHost::NoAddress) => write!(f, "EC2 instance has no private address"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// One of each, in the order of the codes.
    fn every() -> Vec<SkipReason> {
        use SkipReason::*;
        let hosts = [NoHost::ContainerInstanceGone, NoHost::External, NoHost::InstanceGone, NoHost::NoAddress];
        let others = [
            NoPortLabel("PORT".into()),
            NoDynamicPortLabel,
            FilteredOut,
            InvalidPort("x".into()),
            InvalidServerName("x".into()),
            PortNotPublished(9102),
            NotOnePublishedPort(2),
            TaskNotUp(TaskStatus::Pending),
            TaskStopping(Some(TaskStatus::Stopping)),
            TaskGone,
            ContainerStopped,
            NotInTaskDefinition,
            TaskDefinitionGone,
            DaemonTask,
            NetworkModeNone,
            UnknownNetworkMode("x".into()),
            NoTaskAddress,
            NoContainerInstance,
        ];
        others.into_iter().chain(hosts.map(NoHostAddress)).collect()
    }

    #[test]
    fn every_reason_has_a_code_of_its_own_a_text_and_a_remedy() {
        let codes: Vec<&str> = every().iter().map(SkipReason::code).collect();
        assert_eq!(codes, SkipReason::CODES);
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        for reason in every() {
            let (text, remedy) = (reason.to_string(), reason.remedy());
            assert!(!text.is_empty() && !remedy.is_empty() && !remedy.ends_with('.'), "{reason:?}: {text}: {remedy}");
        }
    }
}
