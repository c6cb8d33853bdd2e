//! The machines that tasks run on.

use std::net::IpAddr;
use std::sync::Arc;

use super::Shared;

/// The EC2 instance that a container instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
