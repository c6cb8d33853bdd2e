//! For how long last known targets are kept. Pure: the caller says what time it is.
//!
//! The time counts from the last refresh that learned the targets. It starts anew with the program: the modification
//! time of the output file says when *all* targets were last learned, so that some may have been learned since.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::file_sd::TargetGroup;
use crate::inventory::{ClusterRef, Snapshot, TaskArn};

/// How long the targets of a cluster are kept that AWS says does not exist: the time to correct a mistake, such as a
/// cluster that is deleted and created again.
const MISSING_CLUSTER: Duration = Duration::from_secs(60 * 60);

/// What decides whether last known targets are still kept.
#[derive(Debug)]
pub struct Retention {
    /// How long targets are kept that cannot be learned; `None` for no limit.
    max_stale: Option<Duration>,
    /// When the current refresh ended, or the program started; and the refresh before it.
    now: Instant,
    before: Instant,
    /// Since when AWS has said of these clusters that they do not exist.
    missing: HashMap<ClusterRef, Instant>,
    /// When the targets of these tasks were last learned: those that the refresh before kept, and those that this one
    /// keeps.
    kept_before: HashMap<TaskArn, Instant>,
    kept: HashMap<TaskArn, Instant>,
}

impl Retention {
    /// Starts with targets that count as learned at `now`.
    pub fn new(max_stale: Option<Duration>, now: Instant) -> Self {
        Self { max_stale, now, before: now, missing: HashMap::new(), kept_before: HashMap::new(), kept: HashMap::new() }
    }

    /// Starts to decide for a refresh at `now`.
    pub fn start(&mut self, snapshot: &Snapshot, now: Instant) {
        (self.before, self.now) = (self.now, now);
        self.kept_before = std::mem::take(&mut self.kept);
        let mut before = std::mem::take(&mut self.missing);
        self.missing.extend(snapshot.clusters.iter().filter_map(|cluster| {
            let since = before.remove(&cluster.cluster);
            let failure = snapshot.failures.get(*cluster.tasks.as_ref().err()?)?;
            // A failure in between says neither that it exists nor that it does not.
            let since = since.or_else(|| failure.cluster_is_missing().then_some(now))?;
            Some((cluster.cluster.clone(), since))
        }));
        if snapshot.unlisted.is_some() {
            // Nothing is known of those that are left.
            let scanned: HashSet<_> = snapshot.clusters.iter().map(|cluster| &cluster.cluster).collect();
            self.missing.extend(before.into_iter().filter(|(cluster, _)| !scanned.contains(cluster)));
        }
    }

    /// Decides whether last known targets are kept that were not learned. The cluster is the one that was asked for, if
    /// the clusters are known.
    pub fn keeps(&mut self, group: &TargetGroup, cluster: Option<&ClusterRef>) -> bool {
        let task = group.labels.get("task_arn").unwrap_or_default();
        let known = self.kept.get(task).or_else(|| self.kept_before.get(task));
        let learned = known.copied().unwrap_or(self.before);
        let for_at_least = |since: Instant, limit| self.now.saturating_duration_since(since) >= limit;
        let too_old = self.max_stale.is_some_and(|limit| for_at_least(learned, limit));
        let missing = cluster.and_then(|cluster| self.missing.get(cluster));
        if too_old || missing.is_some_and(|since| for_at_least(*since, MISSING_CLUSTER)) {
            return false;
        }
        if !self.kept.contains_key(task) {
            let arn = self.kept_before.remove_entry(task).map_or_else(|| task.into(), |(arn, _)| arn);
            self.kept.insert(arn, learned);
        }
        true
    }

    /// Returns when the oldest of the targets that this refresh keeps were learned.
    pub fn oldest(&self) -> Option<Instant> {
        self.kept.values().min().copied()
    }
}
