//! Stale beats partial: which last known target groups are kept for what a refresh could not learn.
//!
//! A cluster that could not be listed keeps all of its groups. A task that was listed but could not be described keeps
//! its own. All other groups are those that the refresh learned.

use std::collections::{BTreeMap, HashMap};

use crate::file_sd::TargetGroup;
use crate::inventory::{ClusterTasks, FailureId, Snapshot};
use crate::targets::{Derived, Unknown};

/// The groups known after a refresh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// All of them, sorted.
    pub groups: Vec<TargetGroup>,
    /// The number of last known groups among them, by the failure because of which they are kept.
    pub kept: BTreeMap<FailureId, usize>,
}

/// Returns why a group in a file was not written by this program or the original: it cannot be told whether to keep it.
pub fn check(group: &TargetGroup) -> Result<(), String> {
    for label in ["cluster_arn", "task_arn"] {
        if group.labels.get(label).is_none() {
            return Err(format!("a target group without the label {label}"));
        }
    }
    if group.targets.len() == 1 { Ok(()) } else { Err(format!("a target group with {} targets", group.targets.len())) }
}

/// Merges what a refresh learned with the last known groups for what it could not learn.
pub fn merge(last_good: &[TargetGroup], snapshot: &Snapshot, derived: &Derived) -> Merged {
    let mut unknown: HashMap<&str, Vec<&Unknown>> = HashMap::new();
    for entry in &derived.unknown {
        unknown.entry(entry.task.as_str()).or_default().push(entry);
    }
    let mut known = Merged { groups: derived.groups.clone(), kept: BTreeMap::new() };
    for group in last_good {
        if let Some(failure) = reason_to_keep(group, snapshot, &unknown) {
            known.groups.push(group.clone());
            *known.kept.entry(failure).or_default() += 1;
        }
    }
    known.groups.sort_unstable();
    known.groups.dedup();
    known
}

/// Returns the failure because of which a last known group is kept.
fn reason_to_keep(
    group: &TargetGroup,
    snapshot: &Snapshot,
    unknown: &HashMap<&str, Vec<&Unknown>>,
) -> Option<FailureId> {
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
    let covers_container = |entry: &&&Unknown| entry.container.is_none() || entry.container.as_deref() == container;
    entries.iter().find(covers_container).map(|entry| entry.failure)
}
