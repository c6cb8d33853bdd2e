//! What takes calls of its own and no target depends on: services, clusters and network interfaces, for meta labels.

use std::collections::HashMap;
use std::sync::Arc;

use super::strings::Shared;

/// The data of a cluster for those meta labels that take further calls. What could not be learned is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterDetails {
    /// The cluster's tags.
    pub tags: Option<Tags>,
    /// Services, by name.
    pub services: HashMap<Shared, Arc<ServiceDetails>>,
    /// The public IPv4 addresses of network interfaces, by interface id.
    pub public_ips: HashMap<Shared, Shared>,
}

impl ClusterDetails {
    /// Adds what was learned since.
    pub fn extend(&mut self, newer: Self) {
        self.tags = newer.tags.or(self.tags.take());
        self.services.extend(newer.services);
        self.public_ips.extend(newer.public_ips);
    }
}

/// What ECS reports of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceDetails {
    /// Its status, in AWS's words.
    pub status: Option<Shared>,
    /// Its tags.
    pub tags: Vec<(Shared, Shared)>,
}

/// Keys and values of tags, for several owners.
pub type Tags = Arc<[(Shared, Shared)]>;
