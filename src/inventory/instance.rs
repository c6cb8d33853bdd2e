//! The hosts that tasks run on: container instances, and the EC2 instances behind them.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::strings::Shared;

/// A container instance, ECS's record of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerInstance {
    /// The host's id: `i-…`, or `mi-…` for ECS Anywhere.
    pub host_id: Shared,
    /// The value of its host attribute, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_attribute: Option<Shared>,
}

/// Where the containers on a container instance are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostAddress {
    /// At the address of this EC2 instance.
    Instance(Instance),
    /// At the host that an attribute of the container instance names; not validated.
    Attribute(Shared),
}

/// The EC2 instance behind a container instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The address at which its containers are reached.
    pub address: IpAddr,
    /// What only meta labels need, if they are enabled.
    pub details: Option<Arc<InstanceDetails>>,
}

impl From<IpAddr> for Instance {
    fn from(address: IpAddr) -> Self {
        Self { address, details: None }
    }
}

/// What EC2 reports of an instance beyond its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the names are AWS's
pub struct InstanceDetails {
    pub instance_id: Shared,
    pub instance_type: Option<Shared>,
    pub private_ip: Option<Shared>,
    pub public_ip: Option<Shared>,
    pub subnet_id: Option<Shared>,
    /// Its tags.
    pub tags: Vec<(Shared, Shared)>,
}

/// Why a container instance has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoHost {
    /// ECS does not know the container instance, or no longer.
    ContainerInstanceGone,
    /// It is an ECS Anywhere host (`mi-…`), which EC2 does not know.
    External,
    /// EC2 does not know the instance, or no longer.
    InstanceGone,
    /// The instance has no private address, as when terminated.
    NoAddress,
}
