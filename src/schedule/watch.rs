//! Describes pending tasks between refreshes, so that a task is known within seconds to be up.
//!
//! A task is watched closely for two minutes after it was first seen pending, and then ever less often, until the
//! refreshes describe it as often as the watch would. The calls are bounded in three ways, however many tasks start:
//! one task costs at most 60 close looks and a few more; a scope makes at most one call a second; and calls after which
//! no task comes up, as in a crash loop, slow down to one in ten seconds (see [`budget`](super::budget)).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::budget::{Budget, GAP};
use super::interval::Events;
use super::{BATCH, Batch};
use crate::inventory::{ClusterRef, TaskArn};

/// For how long a task is watched closely.
const CLOSELY: Duration = Duration::from_secs(120);

/// The time between two looks at a task that is watched closely.
const CLOSE: Duration = Duration::from_secs(2);

/// The time to the first look after that; it doubles each time.
const FIRST_LOOSE: Duration = Duration::from_secs(5);

/// How closely new tasks are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Every two seconds at first.
    Close,
    /// Ever less often from the start, because events say when a task is up.
    Loose,
}

impl Pace {
    /// Returns the pace for whether events say what changes.
    pub fn with(events: Events) -> Self {
        match events {
            Events::Flowing => Self::Loose,
            Events::Absent => Self::Close,
        }
    }
}

/// The pending tasks of one scope.
#[derive(Debug)]
pub struct Watch {
    tasks: HashMap<TaskArn, Watched>,
    budget: Budget,
    interval: Duration,
    pace: Pace,
}

#[derive(Debug)]
struct Watched {
    cluster: ClusterRef,
    first_seen: Instant,
    /// When to look at it next; `None` if a refresh will be sooner.
    due: Option<Instant>,
    /// The time from the last look to the next one.
    delay: Duration,
    /// The number of looks after the close ones.
    loose_looks: u32,
}

impl Watch {
    /// Returns a watch between refreshes that are `interval` apart.
    pub fn new(interval: Duration, now: Instant) -> Self {
        Self { tasks: HashMap::new(), budget: Budget::new(now), interval, pace: Pace::Close }
    }

    /// Sets the time between refreshes. Tasks are not watched less often than that.
    pub fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Sets how closely tasks are watched: less closely from their next look on, more closely from now on.
    pub fn set_pace(&mut self, pace: Pace, now: Instant) {
        let before = std::mem::replace(&mut self.pace, pace);
        if pace == before || pace == Pace::Loose || self.interval <= CLOSE {
            return;
        }
        for task in self.tasks.values_mut().filter(|task| task.is_close(now, pace)) {
            let soon = now + CLOSE;
            (task.due, task.delay) = (Some(task.due.map_or(soon, |due| due.min(soon))), CLOSE);
        }
    }

    /// Replaces the pending tasks, after a refresh or a look. Of tasks that are not pending any more, `is_up` says
    /// whether they came up; the others stopped or went.
    pub fn update(
        &mut self,
        pending: impl IntoIterator<Item = (ClusterRef, TaskArn)>,
        is_up: impl Fn(&TaskArn) -> bool,
        now: Instant,
    ) {
        let mut before = std::mem::take(&mut self.tasks);
        for (cluster, arn) in pending {
            let known = before.remove(&arn);
            let task = known.unwrap_or_else(|| Watched::new(cluster, now, self.pace, self.interval));
            self.tasks.insert(arn, task);
        }
        self.budget.reward(before.keys().filter(|arn| is_up(arn)).count());
    }

    /// Records that a refresh has just described every task: no look is needed before the usual time from now. Of several
    /// clusters the first is looked at earlier, because the last one has to wait for its turn.
    pub fn refreshed(&mut self, now: Instant) {
        let first = self.tasks.values().next().map(|task| &task.cluster);
        let several = self.tasks.values().any(|task| Some(&task.cluster) != first);
        let earlier = if several { GAP } else { Duration::ZERO };
        for task in self.tasks.values_mut() {
            task.due = task.due.map(|due| due.max(now + task.delay.saturating_sub(earlier)));
        }
    }

    /// Records that a call was throttled or failed, the watch's own or another of the scope: the next one waits, longer
    /// each time.
    pub fn failed(&mut self, now: Instant) {
        self.budget.failed(now);
    }

    /// Records that a look succeeded.
    pub fn succeeded(&mut self) {
        self.budget.succeeded();
    }

    /// Returns the number of pending tasks.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Returns whether no task is pending.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Returns when the next look is due; `None` if there is nothing to look at.
    pub fn next_due(&self) -> Option<Instant> {
        let oldest = self.tasks.values().filter_map(|task| task.due).min()?;
        Some(oldest.max(self.budget.next()))
    }

    /// Returns the tasks to look at now, if a look is due: those of the cluster that has waited longest.
    pub fn take_due(&mut self, now: Instant) -> Option<Batch> {
        if self.next_due()? > now {
            return None;
        }
        // The ARN makes the order deterministic.
        let due = self.tasks.iter().filter_map(|(arn, task)| Some((task.due?, arn, task)));
        let (_, _, first) = due.min_by_key(|(due, arn, _)| (*due, *arn))?;
        let cluster = first.cluster.clone();
        let tasks = self.of_cluster(&cluster, now);
        for arn in &tasks {
            if let Some(task) = self.tasks.get_mut(arn) {
                task.looked(now, self.pace, self.interval);
            }
        }
        self.budget.spend(now);
        Some(Batch { cluster, tasks })
    }

    /// Returns the tasks of a cluster to describe in one call: those that are due, longest first, and in the places left
    /// those that are watched closely, so that tasks that start one after the other share their calls.
    fn of_cluster(&self, cluster: &ClusterRef, now: Instant) -> Vec<TaskArn> {
        let wanted = |task: &Watched| task.due.filter(|due| *due <= now || task.is_close(now, self.pace));
        let mut tasks: Vec<(Instant, &TaskArn)> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.cluster == *cluster)
            .filter_map(|(arn, task)| Some((wanted(task)?, arn)))
            .collect();
        tasks.sort_unstable();
        tasks.into_iter().take(BATCH).map(|(_, arn)| arn.clone()).collect()
    }
}

impl Watched {
    fn new(cluster: ClusterRef, now: Instant, pace: Pace, interval: Duration) -> Self {
        let mut task = Self { cluster, first_seen: now, due: None, delay: CLOSE, loose_looks: 0 };
        // The refresh or the look that found it has just described it.
        task.looked(now, pace, interval);
        task
    }

    fn is_close(&self, now: Instant, pace: Pace) -> bool {
        pace == Pace::Close && now.saturating_duration_since(self.first_seen) < CLOSELY
    }

    fn looked(&mut self, now: Instant, pace: Pace, interval: Duration) {
        self.delay = CLOSE;
        if !self.is_close(now, pace) {
            self.delay = FIRST_LOOSE.saturating_mul(2_u32.saturating_pow(self.loose_looks));
            self.loose_looks += 1;
        }
        self.due = (self.delay < interval).then(|| now + self.delay);
    }
}

#[cfg(test)]
mod tests;
