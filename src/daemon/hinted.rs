//! The hints of one scope, and whether events flow.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::receiving::Notice;
use crate::events::EventResult;
use crate::inventory::{ClusterRef, Fetched, Source};
use crate::refresh::{Refresh, Refresher};
use crate::schedule::{Added, Batch, Events, Hint, Hints, Known};

/// How long the last event says that events flow. Without one for so long, the queue may have lost its rule, which nothing
/// else would tell.
const FLOWING_FOR: Duration = Duration::from_secs(60 * 60);

/// The hints of one scope.
pub(super) struct Hinted {
    notices: Receiver<Notice>,
    hints: Hints,
    /// The queue of the last event, and when it came.
    last: Option<(usize, Instant)>,
}

impl Hinted {
    pub(super) fn new(notices: Receiver<Notice>) -> Self {
        Self { notices, hints: Hints::default(), last: None }
    }

    /// Waits for the next notice.
    pub(super) async fn next(&mut self) -> Notice {
        match self.notices.recv().await {
            Some(notice) => notice,
            // The routes live as long as the loops.
            None => std::future::pending().await,
        }
    }

    /// Takes a notice. Returns what became of it if it is a hint.
    pub(super) fn take<S: Source>(&mut self, notice: Notice, refresher: &Refresher<S>) -> Option<EventResult> {
        match notice {
            Notice::Hint { queue, hint } => Some(self.hint(queue, hint, refresher)),
            Notice::Failing(queue) => {
                self.last.take_if(|(last, _)| *last == queue);
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
        if added != Added::OtherCluster {
            self.last = Some((queue, now));
        }
        match added {
            Added::Accepted => EventResult::Accepted,
            Added::NothingNew => EventResult::NothingNew,
            Added::OtherCluster => EventResult::OtherCluster,
            Added::TooMany => EventResult::Dropped,
        }
    }

    /// Returns whether events say what changes in this scope: one came within the last hour, from a queue that has been
    /// received from without a failure since. Neither a queue without a rule nor one of other accounts counts.
    pub(super) fn flow(&self) -> Events {
        let flows = self.last.is_some_and(|(_, at)| at.elapsed() < FLOWING_FOR);
        if flows { Events::Flowing } else { Events::Absent }
    }

    /// Records a refresh.
    pub(super) fn refreshed(&mut self, refresh: &Refresh) {
        // If clusters could not be listed, those of before are still scanned.
        if refresh.snapshot.unlisted.is_none() {
            self.hints.set_scanned(refresh.snapshot.clusters.iter().map(|cluster| cluster.cluster.clone()));
        }
    }

    /// Returns when the next call is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.hints.next_due().map(Instant::from_std)
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
            _ => None,
        };
        let versions = batch.tasks.iter().map(|task| (task.clone(), version(task)));
        self.hints.described(versions, Instant::now().into_std());
    }

    /// Records that describing these tasks failed.
    pub(super) fn failed(&mut self, batch: &Batch) {
        self.hints.failed(batch, Instant::now().into_std());
    }
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
