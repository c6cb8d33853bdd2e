//! Stale beats partial: which earlier target groups stand in for what a refresh could not learn.
//!
//! The listing decides which tasks live. A cluster that could not be listed keeps all it had; a task that
//! is listed and could not be looked into keeps its own; everything else is as the refresh says.

use std::collections::{BTreeMap, HashMap};

use crate::file_sd::TargetGroup;
use crate::inventory::{ClusterTasks, FailureId, Snapshot};
use crate::targets::{Derived, Unknown};

/// The groups known after a refresh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// All of them, sorted.
    pub groups: Vec<TargetGroup>,
    /// How many of them are earlier ones, by the failure that they stand in for.
    pub kept: BTreeMap<FailureId, usize>,
}

/// Whether every group names its cluster and its task, so that it can be told whose it is. A file in
/// which one does not is not ours.
pub fn are_ours(groups: &[TargetGroup]) -> bool {
    groups.iter().all(|group| group.labels.get("cluster_arn").is_some() && group.labels.get("task_arn").is_some())
}

/// Adds to what a refresh learned the earlier groups for what it could not.
pub fn stand_in(last_good: &[TargetGroup], snapshot: &Snapshot, derived: &Derived) -> Known {
    let mut unknown: HashMap<&str, Vec<&Unknown>> = HashMap::new();
    for entry in &derived.unknown {
        unknown.entry(entry.task.as_str()).or_default().push(entry);
    }
    let mut known = Known { groups: derived.groups.clone(), kept: BTreeMap::new() };
    for group in last_good {
        if let Some(failure) = keeps(group, snapshot, &unknown) {
            known.groups.push(group.clone());
            *known.kept.entry(failure).or_default() += 1;
        }
    }
    known.groups.sort_unstable();
    known.groups.dedup();
    known
}

/// The failure because of which an earlier group stays.
fn keeps(group: &TargetGroup, snapshot: &Snapshot, unknown: &HashMap<&str, Vec<&Unknown>>) -> Option<FailureId> {
    let clusters = match &snapshot.clusters {
        Ok(clusters) => clusters,
        Err(failure) => return Some(*failure),
    };
    let cluster_arn = group.labels.get("cluster_arn")?;
    let in_cluster = |cluster: &&ClusterTasks| cluster.cluster.matches(cluster_arn);
    if let Err(failure) = &clusters.iter().find(in_cluster)?.tasks {
        return Some(*failure);
    }
    let entries = unknown.get(group.labels.get("task_arn")?)?;
    let container = group.labels.get("container_name");
    let concerned = |entry: &&&Unknown| entry.container.is_none() || entry.container.as_deref() == container;
    entries.iter().find(concerned).map(|entry| entry.failure)
}
