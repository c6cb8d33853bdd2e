//! Why a container is not a target, and what to do about it.

use std::fmt;

use crate::inventory::{FailureId, NoHost, Shared, TaskArn, TaskStatus};

/// A container that is not a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Its task.
    pub task: TaskArn,
    /// Its name; `None` if the task's containers are not known.
    pub container: Option<Shared>,
    /// Why it was skipped.
    pub reason: SkipReason,
}

/// Why there is no target.
#[derive(Clone, Debug)]
pub(super) enum NoTarget {
    /// There is none.
    Skipped(SkipReason),
    /// It is not known whether there is one, because a call failed.
    Unknown(FailureId),
}

/// Why a container is not a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// It does not have the docker label with this name, which lists the ports.
    NoPortLabel(String),
    /// It does not have the docker label `PROMETHEUS_DYNAMIC_EXPORT=1`, which dynamic port detection requires.
    NoDynamicPortLabel,
    /// It does not have the docker label (and value) of `config.filter-label`.
    FilteredOut,
    /// An item of the port docker label is not a valid port.
    InvalidPort(String),
    /// The server name docker label is not a valid host.
    InvalidServerName(String),
    /// The host attribute of the container instance is not a valid host.
    InvalidHostAttribute(String),
    /// The port is not published on the host over TCP in the host's address family.
    PortNotPublished(u16),
    /// Dynamic port detection found this number of published ports instead of one.
    NotOnePublishedPort(usize),
    /// The task has not started yet.
    TaskNotUp(TaskStatus),
    /// The task is stopping or has stopped; `None` if only its desired status says so.
    TaskStopping(Option<TaskStatus>),
    /// The task went away between being listed and being described.
    TaskGone,
    /// The container has stopped while its task runs on.
    ContainerStopped,
    /// The container was injected (Service Connect, GuardDuty) and is not in its task definition.
    NotInTaskDefinition,
    /// AWS does not know the task definition, or no longer.
    TaskDefinitionGone,
    /// The task belongs to an ECS Managed Daemon, whose containers have no docker labels.
    DaemonTask,
    /// The network mode is `none`.
    NetworkModeNone,
    /// This program does not know the network mode.
    UnknownNetworkMode(Shared),
    /// The task has no network interface with an address, or not yet.
    NoTaskAddress,
    /// The task is not on a container instance, although its network mode requires one.
    NoContainerInstance,
    /// The container instance has no address.
    NoHostAddress(NoHost),
}

impl SkipReason {
    /// All values of [`code`](Self::code).
    pub const CODES: [&'static str; 23] = [
        "no_port_label",
        "no_dynamic_port_label",
        "filtered_out",
        "invalid_port",
        "invalid_server_name",
        "invalid_host_attribute",
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

    /// Returns whether the container may become a target within seconds, by itself.
    pub fn is_pending(&self) -> bool {
        match self {
            Self::TaskNotUp(_) | Self::NoTaskAddress | Self::PortNotPublished(_) => true,
            Self::NotOnePublishedPort(published) => *published == 0,
            _ => false,
        }
    }

    /// Returns the reason's fixed name, which metrics and JSON output use.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPortLabel(_) => "no_port_label",
            Self::NoDynamicPortLabel => "no_dynamic_port_label",
            Self::FilteredOut => "filtered_out",
            Self::InvalidPort(_) => "invalid_port",
            Self::InvalidServerName(_) => "invalid_server_name",
            Self::InvalidHostAttribute(_) => "invalid_host_attribute",
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

    /// Returns whether the container was meant to be scraped and its owner has something to fix. The other reasons
    /// are intended, or go away by themselves.
    pub fn is_misconfiguration(&self) -> bool {
        matches!(
            self,
            Self::InvalidPort(_)
                | Self::InvalidServerName(_)
                | Self::InvalidHostAttribute(_)
                | Self::PortNotPublished(_)
                | Self::NotOnePublishedPort(_)
                | Self::TaskDefinitionGone
                | Self::NetworkModeNone
                | Self::UnknownNetworkMode(_)
                | Self::NoHostAddress(NoHost::External)
        )
    }

    /// Returns what to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoPortLabel(_) => "to scrape it, add this docker label with the port of its metrics",
            Self::NoDynamicPortLabel => "to scrape it, add the docker label PROMETHEUS_DYNAMIC_EXPORT=1",
            Self::FilteredOut => "to scrape it, add the docker label of -config.filter-label, or change the flag",
            Self::InvalidPort(_) => "use PORT[/PATH] or a comma-separated list of these, with ports from 1 to 65535",
            Self::InvalidServerName(_) => "use a host name or an IP address, without scheme, port or path",
            Self::InvalidHostAttribute(_) => {
                "set the attribute of -config.host-attribute to a host name or an IP address, without scheme, port or path"
            }
            Self::PortNotPublished(_) => "add the port to the container's portMappings, with protocol tcp",
            Self::NotOnePublishedPort(_) => "publish exactly one TCP port, or use the port docker label",
            Self::TaskNotUp(_) | Self::NoTaskAddress => "wait until the task is running",
            Self::TaskStopping(_) | Self::TaskGone | Self::ContainerStopped => "nothing to do",
            Self::NotInTaskDefinition | Self::DaemonTask => "nothing to do: AWS added it, without docker labels",
            Self::TaskDefinitionGone => "register the task definition again and redeploy",
            Self::NetworkModeNone => "use the network mode awsvpc, bridge or host",
            Self::UnknownNetworkMode(_) => "use the network mode awsvpc, bridge or host, or update ecs-discovery",
            Self::NoContainerInstance => "use the network mode awsvpc, or set the server name docker label",
            Self::NoHostAddress(NoHost::External) => {
                "set the attribute ecs-discovery.host (-config.host-attribute) of the container instance to its address, \
                 or set the server name docker label"
            }
            Self::NoHostAddress(_) => "nothing to do if the instance is being replaced; otherwise check its ECS agent",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPortLabel(name) => write!(f, "no docker label {name}"),
            Self::NoDynamicPortLabel => write!(f, "no docker label PROMETHEUS_DYNAMIC_EXPORT=1"),
            Self::FilteredOut => write!(f, "excluded by -config.filter-label"),
            Self::InvalidPort(text) => write!(f, "invalid port {text:?}"),
            Self::InvalidServerName(text) => write!(f, "invalid server name {text:?}"),
            Self::InvalidHostAttribute(text) => write!(f, "invalid host attribute {text:?} of the container instance"),
            Self::PortNotPublished(port) => write!(f, "port {port} is not published on the host"),
            Self::NotOnePublishedPort(ports) => write!(f, "{ports} published ports instead of 1"),
            Self::TaskNotUp(status) => write!(f, "task has not started yet ({})", status.as_str()),
            Self::TaskStopping(Some(status @ (TaskStatus::Stopped | TaskStatus::Deleted))) => {
                write!(f, "task has stopped ({})", status.as_str())
            }
            Self::TaskStopping(Some(status)) => write!(f, "task is stopping ({})", status.as_str()),
            Self::TaskStopping(None) => write!(f, "task is about to stop (desired status STOPPED)"),
            Self::TaskGone => write!(f, "task no longer exists"),
            Self::ContainerStopped => write!(f, "container has stopped"),
            Self::NotInTaskDefinition => write!(f, "container is not in the task definition"),
            Self::TaskDefinitionGone => write!(f, "task definition no longer exists"),
            Self::DaemonTask => write!(f, "task of an ECS Managed Daemon"),
            Self::NetworkModeNone => write!(f, "network mode is none"),
            Self::UnknownNetworkMode(mode) => write!(f, "unknown network mode {mode:?}"),
            Self::NoTaskAddress => write!(f, "task has no network interface with an address"),
            Self::NoContainerInstance => write!(f, "task is not on a container instance"),
            Self::NoHostAddress(NoHost::ContainerInstanceGone) => write!(f, "container instance no longer exists"),
            Self::NoHostAddress(NoHost::External) => write!(f, "unknown address of an ECS Anywhere host"),
            Self::NoHostAddress(NoHost::InstanceGone) => write!(f, "EC2 instance no longer exists"),
            Self::NoHostAddress(NoHost::NoAddress) => write!(f, "EC2 instance has no private address"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Returns one reason for each code, in the order of the codes.
    fn all_reasons() -> Vec<SkipReason> {
        use SkipReason::*;
        let hosts = [NoHost::ContainerInstanceGone, NoHost::External, NoHost::InstanceGone, NoHost::NoAddress];
        let others = [
            NoPortLabel("PORT".into()),
            NoDynamicPortLabel,
            FilteredOut,
            InvalidPort("x".into()),
            InvalidServerName("x".into()),
            InvalidHostAttribute("x".into()),
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
    fn every_reason_has_a_unique_code_a_text_and_a_remedy() {
        let codes: Vec<&str> = all_reasons().iter().map(SkipReason::code).collect();
        assert_eq!(codes, SkipReason::CODES);
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        for reason in all_reasons() {
            let (text, remedy) = (reason.to_string(), reason.remedy());
            assert!(!text.is_empty() && !remedy.is_empty() && !remedy.ends_with('.'), "{reason:?}: {text}: {remedy}");
        }
    }
}
