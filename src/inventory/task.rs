//! Tasks and their containers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use super::names::{ClusterArn, ContainerInstanceArn, TaskArn, TaskDefinitionArn};
use super::strings::Shared;

/// A described task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its ARN.
    pub arn: TaskArn,
    /// The ARN of its cluster.
    pub cluster: Option<ClusterArn>,
    /// Its task definition.
    pub definition: TaskDefinitionArn,
    /// `service:NAME` or `family:NAME`; some tasks have none.
    pub group: Option<Shared>,
    /// Its lifecycle status.
    pub last_status: TaskStatus,
    /// Whether it is to stop (`desiredStatus` STOPPED).
    pub stop_requested: bool,
    /// Its version, which counts its changes; 0 if AWS does not say.
    pub version: u64,
    /// Whether it runs on an ECS Managed Instance, which EC2 lists only on request.
    pub on_managed_instance: bool,
    /// The container instance it runs on; `None` on Fargate.
    pub container_instance: Option<ContainerInstanceArn>,
    /// The IPv4 address of its network interface attachment.
    pub attachment_ipv4: Option<Ipv4Addr>,
    /// Its containers, including injected ones.
    pub containers: Vec<Container>,
    /// What only meta labels need, if they are enabled.
    pub details: Option<Box<TaskDetails>>,
}

impl Task {
    /// Returns whether everything that makes its targets is fixed for the rest of its life, except that
    /// containers may stop: it runs, and each of its containers runs or has stopped permanently. (Amazon ECS
    /// Developer Guide, "Amazon ECS task lifecycle"; a container that its restart policy restarts is never
    /// STOPPED.)
    pub fn is_settled(&self) -> bool {
        let up = |container: &Container| {
            matches!(container.last_status, TaskStatus::Running | TaskStatus::Stopped | TaskStatus::Unknown)
        };
        self.last_status == TaskStatus::Running && !self.stop_requested && self.containers.iter().all(up)
    }

    /// Returns the name of the service that it belongs to.
    pub fn service(&self) -> Option<&str> {
        self.group.as_deref()?.strip_prefix("service:")
    }

    /// Returns whether each of its containers has an address or a published port. A running task may get them a little
    /// later. In network mode `host` or `none` there are none, nor for a container in mode `bridge` that publishes
    /// nothing.
    pub fn is_reachable(&self) -> bool {
        let reachable = |container: &Container| {
            let has_address = container.ipv4.is_some() || container.ipv6.is_some();
            has_address || !container.bindings.is_empty() || container.last_status == TaskStatus::Stopped
        };
        self.attachment_ipv4.is_some() || self.containers.iter().all(reachable)
    }
}

/// What ECS reports of a task beyond what makes targets, in AWS's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    pub capacity_provider: Option<Shared>,
    pub started_by: Option<Shared>,
    /// The id of its network interface, if that is described.
    pub network_interface: Option<Shared>,
    /// Its tags.
    pub tags: Vec<(Shared, Shared)>,
}

/// A lifecycle status, in order (Amazon ECS Developer Guide, "Amazon ECS task lifecycle").
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
    /// Absent, or a status that AWS has added since.
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

    /// Converts AWS's word.
    pub fn from_aws(word: Option<&str>) -> Self {
        Self::NAMES.iter().find(|(name, _)| Some(*name) == word).map_or(Self::Unknown, |(_, status)| *status)
    }

    /// Returns AWS's word.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, status)| *status == self).map_or("UNKNOWN", |(name, _)| name)
    }

    /// Returns whether the task has not started yet, so that its addresses are not valid.
    pub fn is_starting(self) -> bool {
        matches!(self, Self::Provisioning | Self::Pending)
    }

    /// Returns whether the task is stopping or has stopped. Responses still show its address, which AWS may
    /// have given to another task.
    pub fn is_stopping(self) -> bool {
        matches!(self, Self::Deactivating | Self::Stopping | Self::Deprovisioning | Self::Stopped | Self::Deleted)
    }
}

/// A container of a described task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name, which also identifies its definition.
    pub name: Shared,
    /// Its ARN.
    pub arn: Option<Shared>,
    /// Its status: PENDING, RUNNING or STOPPED.
    pub last_status: TaskStatus,
    /// The IPv4 address of its network interface (awsvpc).
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address of its network interface (awsvpc).
    pub ipv6: Option<Ipv6Addr>,
    /// The ports that it publishes on its host (bridge).
    pub bindings: Vec<Binding>,
}

impl Default for Container {
    fn default() -> Self {
        Self {
            name: Shared::default(),
            arn: None,
            last_status: TaskStatus::Unknown,
            ipv4: None,
            ipv6: None,
            bindings: Vec::new(),
        }
    }
}

/// Ports of a container published on its host: one port, or ranges of equal length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Whether it is TCP, as scrapes are.
    pub tcp: bool,
    /// The address family it listens on; `None` if AWS does not say.
    pub family: Option<Family>,
    /// The ports inside the container.
    pub container_ports: RangeInclusive<u16>,
    /// The first port on the host.
    pub first_host_port: u16,
}

impl Binding {
    /// Returns the host port that leads to a container port.
    pub fn host_port(&self, container_port: u16) -> Option<u16> {
        if !self.container_ports.contains(&container_port) {
            return None;
        }
        self.first_host_port.checked_add(container_port - self.container_ports.start())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_a_range_by_offset() {
        let binding = Binding { tcp: true, family: None, container_ports: 8000..=8003, first_host_port: 65_534 };
        assert_eq!(
            [7999, 8000, 8001, 8002, 8004].map(|port| binding.host_port(port)),
            [None, Some(65_534), Some(65_535), None, None]
        );
    }
}
