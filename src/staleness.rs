//! How long each cluster has not been learned completely. Pure: the caller says what time it is.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::inventory::{ClusterRef, ClusterTasks, ListedTask, Snapshot};
use crate::targets::Derived;

/// A scanned cluster, as of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterState {
    /// The cluster as it was asked for.
    pub cluster: ClusterRef,
    /// Whether everything in the cluster was learned: its tasks were listed, and none of them is unknown.
    pub complete: bool,
    /// When the cluster was last complete; when it was first seen, if it never was.
    pub last_complete: Instant,
}

/// Returns a short text for each cluster by which it can be told from the others: its name, or all that was asked for
/// if several accounts or regions have a cluster of this name.
pub fn distinct_names(clusters: &[ClusterState]) -> Vec<(&ClusterRef, &str)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for state in clusters {
        *counts.entry(state.cluster.name()).or_default() += 1;
    }
    let distinct = |cluster: &'_ ClusterRef| counts.get(cluster.name()) == Some(&1);
    clusters
        .iter()
        .map(|state| &state.cluster)
        .map(|cluster| (cluster, if distinct(cluster) { cluster.name() } else { cluster.as_str() }))
        .collect()
}

/// When each cluster was last complete.
#[derive(Debug, Default)]
pub struct Staleness(BTreeMap<ClusterRef, Instant>);

impl Staleness {
    /// Updates the clusters from a refresh at `now`, and returns their states. If the clusters could not be listed,
    /// the earlier ones are incomplete.
    pub fn update(&mut self, snapshot: &Snapshot, derived: &Derived, now: Instant) -> Vec<ClusterState> {
        let Ok(clusters) = &snapshot.clusters else {
            let incomplete = |(cluster, last): (&ClusterRef, &Instant)| ClusterState {
                cluster: cluster.clone(),
                complete: false,
                last_complete: *last,
            };
            return self.0.iter().map(incomplete).collect();
        };
        let before = std::mem::take(&mut self.0);
        let states: Vec<_> = clusters
            .iter()
            .map(|tasks| {
                let complete = is_complete(tasks, derived);
                let last = before.get(&tasks.cluster).copied().filter(|_| !complete).unwrap_or(now);
                ClusterState { cluster: tasks.cluster.clone(), complete, last_complete: last }
            })
            .collect();
        self.0 = states.iter().map(|state| (state.cluster.clone(), state.last_complete)).collect();
        states
    }
}

/// Returns whether everything in a cluster was learned.
fn is_complete(cluster: &ClusterTasks, derived: &Derived) -> bool {
    // `derived.unknown` is sorted by task.
    let unknown = |task: &ListedTask| derived.unknown.binary_search_by(|unknown| unknown.task.cmp(&task.arn)).is_ok();
    cluster.tasks.as_ref().is_ok_and(|tasks| !tasks.iter().any(unknown))
}
