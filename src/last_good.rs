//! Stale beats partial: which last known target groups are kept for what a refresh could not learn.
//!
//! A cluster that could not be listed keeps all of its groups. A task that was listed but could not be described keeps
//! its own. All other groups are those that the refresh learned.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::file_sd::TargetGroup;
use crate::inventory::{ClusterRef, ClusterTasks, Clusters, FailureId, Snapshot};
use crate::targets::{Derived, Unknown};

/// The groups known after a refresh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// All of them, sorted.
    pub groups: Arc<Vec<TargetGroup>>,
    /// The number of last known groups among them, by the failure because of which they are kept.
    pub kept: BTreeMap<FailureId, usize>,
    /// The number of last known groups that are no longer kept, by the failure because of which they were.
    pub expired: BTreeMap<FailureId, usize>,
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

/// Merges what a refresh learned with the last known groups for what it could not learn. `keeps` decides whether a group
/// of a cluster is still kept; there is no cluster if the clusters could not be listed.
pub fn merge(
    last_good: &[TargetGroup],
    snapshot: &Snapshot,
    derived: &Derived,
    mut keeps: impl FnMut(&TargetGroup, Option<&ClusterRef>) -> bool,
) -> Merged {
    let mut unknown: HashMap<&str, Vec<&Unknown>> = HashMap::new();
    for entry in &derived.unknown {
        unknown.entry(entry.task.as_str()).or_default().push(entry);
    }
    let tasks: HashMap<&ClusterRef, &ClusterTasks> =
        snapshot.clusters.iter().map(|cluster| (&cluster.cluster, cluster)).collect();
    let asked = Asked { clusters: Clusters::new(tasks.keys().copied()), tasks, unlisted: snapshot.unlisted };
    let mut known = Merged { groups: derived.groups.clone(), ..Merged::default() };
    let mut kept = Vec::new();
    for group in last_good {
        let Some((failure, cluster)) = reason_to_keep(group, &asked, &unknown) else { continue };
        let counts = if keeps(group, cluster) {
            kept.push(group.clone());
            &mut known.kept
        } else {
            &mut known.expired
        };
        *counts.entry(failure).or_default() += 1;
    }
    // Without any, the list of what was learned is shared.
    if !kept.is_empty() {
        let groups = Arc::make_mut(&mut known.groups);
        groups.append(&mut kept);
        groups.sort_unstable();
        groups.dedup();
    }
    known
}

/// The clusters that were asked for, and their tasks.
struct Asked<'a> {
    clusters: Clusters<'a>,
    tasks: HashMap<&'a ClusterRef, &'a ClusterTasks>,
    /// Why there may be more.
    unlisted: Option<FailureId>,
}

/// Returns the failure because of which a last known group is kept, and the cluster that was asked for.
fn reason_to_keep<'a>(
    group: &TargetGroup,
    asked: &Asked<'a>,
    unknown: &HashMap<&str, Vec<&Unknown>>,
) -> Option<(FailureId, Option<&'a ClusterRef>)> {
    let Some(cluster) = group.labels.get("cluster_arn").and_then(|arn| asked.clusters.of_arn(arn)) else {
        return asked.unlisted.map(|failure| (failure, None));
    };
    if let Err(failure) = &asked.tasks.get(cluster)?.tasks {
        return Some((*failure, Some(cluster)));
    }
    let entries = unknown.get(group.labels.get("task_arn")?)?;
    let container = group.labels.get("container_name");
    let covers_container = |entry: &&&Unknown| entry.container.is_none() || entry.container.as_deref() == container;
    entries.iter().find(covers_container).map(|entry| (entry.failure, Some(cluster)))
}
