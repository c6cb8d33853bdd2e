//! Clusters that are given by name and exist in some scopes only.
//!
//! A name is looked for in every scope. If it was found in one, its absence in another is no failure. If none has it, the
//! name may be misspelt. Targets of a cluster that was there are kept for a while, as for every missing cluster.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::inventory::{FailureId, Snapshot};
use crate::refresh::Refresh;

/// Returns the refreshes without the failures that only say that a cluster is in another scope.
pub(super) fn without_absent(refreshes: Vec<Arc<Refresh>>) -> Vec<Arc<Refresh>> {
    let found = found(&refreshes);
    let absent = |refresh: &Refresh| -> BTreeSet<FailureId> {
        let is_absent = |id: &FailureId, name: &str| found.contains(name) && !refresh.kept.contains_key(id);
        let missing = refresh.snapshot.failures.iter().filter(|(_, failure)| failure.cluster_is_missing());
        let named = missing.filter_map(|(id, failure)| Some((id, failure.cluster.as_ref().filter(|it| !it.is_arn())?)));
        named.filter(|(id, cluster)| is_absent(id, cluster.name())).map(|(id, _)| id).collect()
    };
    let refreshes = refreshes.into_iter().map(|refresh| match absent(&refresh) {
        absent if absent.is_empty() => refresh,
        absent => Arc::new(without(&refresh, &absent)),
    });
    refreshes.collect()
}

/// Returns the names of the clusters that exist.
fn found(refreshes: &[Arc<Refresh>]) -> HashSet<String> {
    let clusters = refreshes.iter().flat_map(|refresh| &refresh.snapshot.clusters);
    clusters.filter(|cluster| cluster.tasks.is_ok()).map(|cluster| cluster.cluster.name().to_owned()).collect()
}

fn without(refresh: &Refresh, absent: &BTreeSet<FailureId>) -> Refresh {
    let mut snapshot = Snapshot::clone(&refresh.snapshot);
    snapshot.clusters.retain(|cluster| !matches!(cluster.tasks, Err(id) if absent.contains(&id)));
    snapshot.failures.retain(|id| !absent.contains(&id));
    let scanned: HashSet<_> = snapshot.clusters.iter().map(|cluster| &cluster.cluster).collect();
    let clusters = refresh.clusters.iter().filter(|state| scanned.contains(&state.cluster)).cloned().collect();
    Refresh { clusters, snapshot: Arc::new(snapshot), ..refresh.clone() }
}
