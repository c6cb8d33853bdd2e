//! The statuses and tags of services, and the tags of clusters.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::calls::{Calls, in_cluster};
use super::rotation::{Plan, Rotation};
use crate::aws::api::ecs::{BATCH, Details, Ecs, SERVICE_BATCH};
use crate::inventory::{ClusterRef, Failures, Operation, ServiceDetails, Shared, Tags};

/// The least time between two calls for known services: the quota of service reads is the account's most contended one.
const SERVICE_SPACING: Duration = Duration::from_secs(60);

/// The services that have targets, by cluster.
pub(super) struct Services {
    ecs: Ecs,
    pub(super) rotation: Rotation<ClusterRef, Shared, Arc<ServiceDetails>>,
}

impl Services {
    pub(super) fn new(ecs: Ecs) -> Self {
        Self { ecs, rotation: Rotation::new(SERVICE_BATCH, SERVICE_SPACING) }
    }

    /// Makes the calls of a plan.
    pub(super) async fn learn(&mut self, plan: Plan<ClusterRef, Shared>, start: Instant) -> Failures {
        let mut failures = Failures::default();
        let (calls, ecs) = (Calls::new(Operation::DescribeServices, start), &self.ecs);
        let call = |cluster: ClusterRef, names: &[Shared]| {
            let names = names.to_vec();
            async move { ecs.describe_services(&cluster, &names).await }
        };
        let mut made = calls.groups(plan.calls, call).await;
        made.extend(calls.probes(plan.probes, call).await);
        for ((cluster, _), response) in made {
            match response {
                Ok(described) => learn(&mut self.rotation, &cluster, described, start, &mut failures),
                Err(failure) => {
                    failures.record(in_cluster(failure, &cluster));
                    self.rotation.fail(&cluster, start);
                }
            }
        }
        failures
    }
}

/// The clusters that have targets. They are all of one group, since a call takes clusters of any kind.
pub(super) struct Clusters {
    ecs: Ecs,
    pub(super) rotation: Rotation<(), ClusterRef, Tags>,
}

impl Clusters {
    pub(super) fn new(ecs: Ecs) -> Self {
        Self { ecs, rotation: Rotation::new(BATCH, Duration::ZERO) }
    }

    /// Makes the calls of a plan.
    pub(super) async fn learn(&mut self, plan: Plan<(), ClusterRef>, start: Instant) -> Failures {
        let mut failures = Failures::default();
        let (calls, ecs) = (Calls::new(Operation::DescribeClusters, start), &self.ecs);
        let call = |(), clusters: &[ClusterRef]| {
            let clusters = clusters.to_vec();
            async move { ecs.describe_clusters(&clusters).await }
        };
        let mut made = calls.groups(plan.calls, call).await;
        made.extend(calls.probes(plan.probes, call).await);
        for (_, response) in made {
            match response {
                Ok(described) => learn(&mut self.rotation, &(), described, start, &mut failures),
                Err(failure) => {
                    failures.record(failure);
                    self.rotation.fail(&(), start);
                }
            }
        }
        failures
    }
}

/// Records a response, in which single items may have failed.
fn learn<G: Ord + Clone, K: Ord + Clone, V>(
    rotation: &mut Rotation<G, K, V>,
    group: &G,
    described: Details<K, V>,
    now: Instant,
    failures: &mut Failures,
) {
    let (mut known, mut failed) = (Vec::with_capacity(described.len()), false);
    for (key, item) in described {
        match item {
            Ok(value) => known.push((key, value)),
            Err(failure) => {
                failures.record(failure);
                failed = true;
            }
        }
    }
    rotation.learn(group, known, now);
    if failed {
        rotation.fail(group, now);
    }
}
