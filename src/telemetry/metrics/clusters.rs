//! What is known of each cluster, by the labels of its series.

use std::collections::BTreeMap;

use super::labels::ByCluster;
use crate::file_sd::TargetGroup;
use crate::inventory::Clusters;
use crate::publish::Publication;
use crate::status::Status;

/// Returns the number of targets in force of each cluster.
pub(super) fn targets(publication: &Publication) -> BTreeMap<ByCluster, usize> {
    let mut counts: BTreeMap<ByCluster, usize> = BTreeMap::new();
    for refresh in &publication.refreshes {
        let clusters = Clusters::new(refresh.clusters.iter().map(|state| &state.cluster));
        for state in &refresh.clusters {
            counts.insert(ByCluster::of(&refresh.scope, &state.cluster), 0);
        }
        // The groups of a cluster follow each other.
        for groups in refresh.targets.chunk_by(|one, next| cluster_arn(one) == cluster_arn(next)) {
            let Some(arn) = groups.first().map(cluster_arn).filter(|_| publication.in_force) else { continue };
            let labels = match clusters.of_arn(arn) {
                Some(cluster) => ByCluster::of(&refresh.scope, cluster),
                None => ByCluster::of(&refresh.scope, &arn.into()),
            };
            *counts.entry(labels).or_default() += groups.len();
        }
    }
    counts
}

/// Returns for how many seconds each cluster has been incomplete.
pub(super) fn staleness(status: &Status) -> BTreeMap<ByCluster, f64> {
    let mut seconds = BTreeMap::new();
    for refresh in status.publication.iter().flat_map(|publication| &publication.refreshes) {
        for state in &refresh.clusters {
            let stale = if state.complete { 0.0 } else { state.last_complete.elapsed().as_secs_f64() };
            seconds.insert(ByCluster::of(&refresh.scope, &state.cluster), stale);
        }
    }
    seconds
}

fn cluster_arn(group: &TargetGroup) -> &str {
    group.labels.get("cluster_arn").unwrap_or_default()
}
