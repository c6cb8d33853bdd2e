//! Describes tasks because of events.
//!
//! An event only says that a task changed: what it is now, DescribeTasks says. Events may be repeated, late or out of
//! order; their versions tell which is newer.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::{BATCH, Batch};
use crate::inventory::{ClusterArn, ClusterRef, TaskArn, TaskStatus, cluster_name};

/// How long hints are gathered, so that the tasks of a deployment share a call.
const GATHER: Duration = Duration::from_millis(500);

/// The pauses before a task is described again because AWS described an older version than its event's, or because the
/// call failed. After the last one it is left to the watch and the refreshes.
const RETRIES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// The most hints kept. Beyond that a refresh is cheaper.
const MOST: usize = 10_000;

/// What an event says of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The task's cluster.
    pub cluster: ClusterArn,
    /// The task.
    pub task: TaskArn,
    /// The version of the task, which counts its changes.
    pub version: u64,
    /// Its lifecycle status at this version.
    pub last_status: TaskStatus,
    /// Whether it is to stop.
    pub stop_requested: bool,
}

impl Hint {
    fn is_stopping(&self) -> bool {
        self.stop_requested || self.last_status.is_stopping()
    }

    /// Returns whether the task starts but does not run yet. Its next event is only seconds away, and waiting for it
    /// halves the calls.
    fn is_starting(&self) -> bool {
        !self.is_stopping() && self.last_status < TaskStatus::Running
    }
}

/// What is known of the task of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is not listed, or it has stopped.
    Nothing,
    /// This version of it, which may run or come up.
    Version(u64),
    /// That it is stopping.
    Stopping,
}

/// What became of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// Its task will be described.
    Accepted,
    /// It says nothing new that could make or remove a target.
    NothingNew,
    /// Its cluster is not scanned.
    OtherCluster,
    /// There are too many: a refresh is needed.
    TooMany,
}

/// The hints of one scope that have not led to a description yet.
#[derive(Debug, Default)]
pub struct Hints {
    /// The clusters that are scanned; `None` before the first refresh, when every hint counts.
    scanned: Option<HashSet<ClusterRef>>,
    wanted: HashMap<TaskArn, Wanted>,
    /// When the hints of a cluster that are being gathered are due.
    gathering: HashMap<ClusterArn, Instant>,
}

#[derive(Debug)]
struct Wanted {
    cluster: ClusterArn,
    /// The highest version of which an event told.
    version: u64,
    /// The number of calls so far.
    calls: usize,
    /// When to describe it; `None` while a call is in progress.
    due: Option<Instant>,
}

impl Hints {
    /// Sets the clusters that are scanned. Hints for others are dropped.
    pub fn set_scanned(&mut self, clusters: impl IntoIterator<Item = ClusterRef>) {
        let scanned = clusters.into_iter().collect();
        self.wanted.retain(|_, wanted| find(&scanned, &wanted.cluster).is_some());
        self.gathering.retain(|cluster, _| find(&scanned, cluster).is_some());
        self.scanned = Some(scanned);
    }

    /// Adds a hint, unless what is known of the task makes it superfluous.
    pub fn add(&mut self, hint: Hint, known: Known, now: Instant) -> Added {
        if self.scanned.as_ref().is_some_and(|scanned| find(scanned, &hint.cluster).is_none()) {
            return Added::OtherCluster;
        }
        let superfluous = match known {
            _ if hint.is_starting() => true,
            Known::Nothing | Known::Stopping => hint.is_stopping(),
            Known::Version(version) => version >= hint.version,
        };
        let wanted = self.wanted.get(&hint.task);
        if superfluous || wanted.is_some_and(|wanted| wanted.version >= hint.version) {
            return Added::NothingNew;
        }
        if wanted.is_none() && self.wanted.len() >= MOST {
            return Added::TooMany;
        }
        let Hint { cluster, task, version, .. } = hint;
        let due = *self.gathering.entry(cluster.clone()).or_insert(now + GATHER);
        // Also in the middle of a call, which may have been too early to see what the event tells of.
        self.wanted.insert(task, Wanted { cluster, version, calls: 0, due: Some(due) });
        Added::Accepted
    }

    /// Returns the number of tasks to describe.
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Returns whether no task is to be described.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Returns when the next call is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.wanted.values().filter_map(|wanted| wanted.due).min()
    }

    /// Returns the tasks to describe now, if a call is due: those of the cluster that has waited longest. The response
    /// must be passed to [`described`](Self::described) or [`failed`](Self::failed).
    pub fn take_due(&mut self, now: Instant) -> Option<Batch> {
        let due = self.wanted.values().filter_map(|wanted| Some((wanted.due?, &wanted.cluster)));
        let (_, cluster) = due.filter(|(due, _)| *due <= now).min()?;
        let cluster = cluster.clone();
        self.gathering.remove(&cluster);
        // New hints share the call although they are not due yet; retries do not, since AWS needs the pause.
        let due = |wanted: &Wanted| wanted.due.filter(|due| *due <= now || wanted.calls == 0);
        let of_cluster = self.wanted.iter().filter(|(_, wanted)| wanted.cluster == cluster);
        let mut tasks: Vec<(Instant, TaskArn)> =
            of_cluster.filter_map(|(task, wanted)| Some((due(wanted)?, task.clone()))).collect();
        tasks.sort_unstable();
        tasks.truncate(BATCH);
        let tasks: Vec<TaskArn> = tasks.into_iter().map(|(_, task)| task).collect();
        for task in &tasks {
            if let Some(wanted) = self.wanted.get_mut(task) {
                wanted.due = None;
                wanted.calls += 1;
            }
        }
        Some(Batch { cluster: self.as_scanned(&cluster), tasks })
    }

    /// Records the versions that a call described: 0 if AWS does not say, `None` for a task that it does not know any
    /// more. Tasks in an older version than that of their event are described again.
    pub fn described(&mut self, tasks: impl IntoIterator<Item = (TaskArn, Option<u64>)>, now: Instant) {
        for (task, version) in tasks {
            let Some(wanted) = self.wanted.get(&task) else { continue };
            if version.is_none_or(|version| version == 0 || version >= wanted.version) {
                self.wanted.remove(&task);
            } else {
                self.retry(&task, now);
            }
        }
    }

    /// Records that a call failed. Its tasks are described again.
    pub fn failed(&mut self, batch: &Batch, now: Instant) {
        for task in &batch.tasks {
            self.retry(task, now);
        }
    }

    fn retry(&mut self, task: &TaskArn, now: Instant) {
        let Some(wanted) = self.wanted.get_mut(task) else { return };
        // A newer event has scheduled it already.
        if wanted.due.is_some() {
            return;
        }
        match RETRIES.get(wanted.calls.saturating_sub(1)) {
            Some(pause) => wanted.due = Some(now + *pause),
            None => {
                self.wanted.remove(task);
            }
        }
    }

    /// Returns the cluster as the refreshes ask for it.
    fn as_scanned(&self, cluster: &ClusterArn) -> ClusterRef {
        let known = self.scanned.as_ref().and_then(|scanned| find(scanned, cluster));
        known.cloned().unwrap_or_else(|| cluster.shared().into())
    }
}

/// Returns the cluster with this ARN, which is scanned by its ARN or by its name.
fn find<'a>(scanned: &'a HashSet<ClusterRef>, arn: &ClusterArn) -> Option<&'a ClusterRef> {
    scanned.get(arn.as_str()).or_else(|| scanned.get(cluster_name(arn.as_str())))
}

#[cfg(test)]
mod tests;
