//! The hints of one scope, and whether events flow.

use std::collections::HashMap;

use tokio::time::Instant;

use super::receiving::{Notice, Notices};
use crate::events::EventResult;
use crate::inventory::{ClusterRef, ClusterTasks, Fetched, ListedTask, Scope, Snapshot, Source, TaskArn};
use crate::refresh::{Refresh, Refresher};
use crate::schedule::{Added, Batch, Events, Flow, Hint, Hints, Known};

/// The hints of one scope.
pub(super) struct Hinted {
    notices: Notices,
    hints: Hints,
    flow: Flow,
    /// Whether hints were dropped since the last refresh.
    dropped: bool,
    /// Whether events were missing when that was last shown.
    shown: Option<bool>,
}

impl Hinted {
    pub(super) fn new(notices: Notices) -> Self {
        Self { notices, hints: Hints::default(), flow: Flow::default(), dropped: false, shown: None }
    }

    /// Waits for the next notice.
    pub(super) async fn next(&mut self) -> Notice {
        self.notices.next().await
    }

    /// Returns the next notice if one is waiting.
    pub(super) fn try_next(&mut self) -> Option<Notice> {
        self.notices.try_next()
    }

    /// Takes a notice. Returns what became of it if it is a hint.
    pub(super) fn take<S: Source>(&mut self, notice: Notice, refresher: &Refresher<S>) -> Option<EventResult> {
        match notice {
            Notice::Hint { queue, hint } => Some(self.hint(queue, hint, refresher)),
            Notice::Failing(queue) => {
                self.flow.failing(queue);
                None
            }
            // It has been counted where it was dropped.
            Notice::Dropped => {
                self.dropped = true;
                None
            }
        }
    }

    fn hint<S: Source>(&mut self, queue: usize, hint: Hint, refresher: &Refresher<S>) -> EventResult {
        // A name in the list of scanned clusters says nothing of the account, which may be known only now.
        if !refresher.covers(hint.cluster.as_str()) {
            return EventResult::OtherCluster;
        }
        let now = Instant::now();
        let known = known(&hint, refresher);
        let added = self.hints.add(hint, known, now.into_std());
        if added != Added::OtherCluster && self.flow.event(queue, now.into_std()) {
            tracing::info!(scope = %refresher.asked(), "events tell of changed tasks again");
        }
        match added {
            Added::Accepted => EventResult::Accepted,
            Added::NothingNew => EventResult::NothingNew,
            Added::OtherCluster => EventResult::OtherCluster,
            Added::TooMany => {
                self.dropped = true;
                EventResult::Dropped
            }
        }
    }

    /// Returns whether hints were dropped since the last refresh: only a refresh finds what they told of.
    pub(super) fn has_dropped(&self) -> bool {
        self.dropped
    }

    /// Records that a refresh starts, which finds what dropped hints told of.
    pub(super) fn refresh_starts(&mut self) {
        self.dropped = false;
    }

    /// Returns whether events say what changes in this scope. Neither a queue without a rule nor one of other accounts counts.
    pub(super) fn flow(&mut self, scope: &Scope) -> Events {
        let now = Instant::now().into_std();
        if self.flow.fell_silent(now) {
            warn_of_silence(scope);
        }
        self.flow.events(now)
    }

    /// Returns whether events are missing, unless that is as the last time.
    pub(super) fn missing_changed(&mut self) -> Option<bool> {
        let missing = Some(self.flow.is_silent()).filter(|missing| self.shown != Some(*missing))?;
        self.shown = Some(missing);
        Some(missing)
    }

    /// Records a refresh, with what was known before.
    pub(super) fn refreshed(&mut self, before: Option<&Snapshot>, refresh: &Refresh) {
        let unnoticed = before.is_some_and(|before| changed_unnoticed(before, &refresh.snapshot));
        if self.flow.refreshed(unnoticed, Instant::now().into_std()) {
            warn_of_silence(&refresh.asked);
        }
        // If clusters could not be listed, those of before are still scanned.
        if refresh.snapshot.unlisted.is_none() {
            self.hints.set_scanned(refresh.snapshot.clusters.iter().map(|cluster| cluster.cluster.clone()));
        }
    }

    /// Records that a look at pending tasks found changes, of which events should tell.
    pub(super) fn changes_found(&mut self, scope: &Scope) {
        if self.flow.refreshed(true, Instant::now().into_std()) {
            warn_of_silence(scope);
        }
    }

    /// Returns when the next call is due, or when events will be missing.
    pub(super) fn next_due(&self) -> Option<Instant> {
        [self.hints.next_due(), self.flow.silent_at()].into_iter().flatten().min().map(Instant::from_std)
    }

    /// Returns the tasks to describe now, if a call is due.
    pub(super) fn take_due(&mut self) -> Option<Batch> {
        self.hints.take_due(Instant::now().into_std())
    }

    /// Records that these tasks were described.
    pub(super) fn described<S: Source>(&mut self, batch: &Batch, refresher: &Refresher<S>) {
        let same = |cluster: &ClusterRef| *cluster == batch.cluster;
        let version = |task| match refresher.task(same, task) {
            Some(Fetched::Known(task)) => Some(task.version),
            Some(Fetched::Gone(())) => None,
            // The response omits it, or it has stopped since: what is known is older than any event.
            Some(Fetched::Unknown(_)) | None => Some(1),
        };
        let versions = batch.tasks.iter().map(|task| (task.clone(), version(task)));
        self.hints.described(versions, Instant::now().into_std());
    }

    /// Records that describing these tasks failed.
    pub(super) fn failed(&mut self, batch: &Batch) {
        self.hints.failed(batch, Instant::now().into_std());
    }
}

fn warn_of_silence(scope: &Scope) {
    tracing::warn!(%scope, "tasks changed and no event told of it: check the EventBridge rule and its queue");
}

/// Returns what is known of the task of a hint.
fn known<S: Source>(hint: &Hint, refresher: &Refresher<S>) -> Known {
    match refresher.task(|cluster| cluster.matches(hint.cluster.as_str()), &hint.task) {
        Some(Fetched::Known(task)) if task.stop_requested || task.last_status.is_stopping() => Known::Stopping,
        Some(Fetched::Known(task)) => Known::Version(task.version),
        Some(Fetched::Unknown(_)) => Known::Version(0),
        Some(Fetched::Gone(())) | None => Known::Nothing,
    }
}

/// Returns whether tasks that run have come or gone. Those that start or stop are left out: of these, events have told or
/// will tell.
fn changed_unnoticed(before: &Snapshot, after: &Snapshot) -> bool {
    let runs = |listed: &&ListedTask| matches!(&listed.task, Fetched::Known(task) if task.is_settled());
    let differ = |before: &ClusterTasks, after: &ClusterTasks| {
        // Of a cluster that could not be listed, nothing is known.
        let (Ok(old), Ok(new)) = (&before.tasks, &after.tasks) else { return false };
        new.iter().filter(runs).any(|listed| !has(old, &listed.arn))
            || old.iter().filter(runs).any(|listed| !has(new, &listed.arn))
    };
    let known: HashMap<_, _> = before.clusters.iter().map(|of| (&of.cluster, of)).collect();
    after.clusters.iter().any(|of| known.get(&of.cluster).is_some_and(|before| differ(before, of)))
}

/// Returns whether a sorted list has this task.
fn has(listed: &[ListedTask], arn: &TaskArn) -> bool {
    listed.binary_search_by(|listed| listed.arn.cmp(arn)).is_ok()
}
