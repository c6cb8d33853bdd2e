//! How long each cluster has not been learned completely. Pure: the caller says what time it is.

use std::collections::BTreeMap;
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

/// When each cluster was last complete.
#[derive(Debug, Default)]
pub struct Staleness(BTreeMap<ClusterRef, Instant>);

impl Staleness {
    /// Updates the clusters from a refresh at `now`, and returns their states. If the clusters could not be listed,
    /// the earlier ones are incomplete.
    pub fn update(&mut self, snapshot: &Snapshot, derived: &Derived, now: Instant) -> Vec<ClusterState> {
        let mut before = std::mem::take(&mut self.0);
        let mut states: Vec<_> = snapshot
            .clusters
            .iter()
            .map(|tasks| {
                let complete = is_complete(tasks, derived);
                let last = before.remove(&tasks.cluster).filter(|_| !complete).unwrap_or(now);
                ClusterState { cluster: tasks.cluster.clone(), complete, last_complete: last }
            })
            .collect();
        if snapshot.unlisted.is_some() {
            let left = before.into_iter();
            states.extend(left.map(|(cluster, last_complete)| ClusterState {
                cluster,
                complete: false,
                last_complete,
            }));
        }
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
