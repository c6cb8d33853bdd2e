//! The loop of one scope: refreshes it at an interval, and in between looks at its pending tasks, and at those that
//! events tell of.

use std::future::pending;

use tokio::time::{Instant, sleep_until};

use super::hinted::Hinted;
use super::pacing::Pacing;
use super::publishing::Publish;
use super::receiving::{Notice, Notices};
use super::turns::Turns;
use crate::config::RefreshConfig;
use crate::inventory::Source;
use crate::refresh::{Cause, First, Refresh, Refresher};
use crate::schedule::{Batch, Pace, Watch};
use crate::status::SharedStatus;
use crate::telemetry::Telemetry;

/// What the loops of all scopes share.
pub(super) struct Shared<'a> {
    pub(super) turns: Turns,
    pub(super) status: &'a SharedStatus,
    pub(super) telemetry: &'a Telemetry,
}

/// The loop of one scope.
pub(super) struct ScopeLoop<'a, S> {
    refresher: Refresher<S>,
    shared: &'a Shared<'a>,
    publish: Publish,
    pacing: Pacing,
    /// The number of refreshes that are left; `None` for no limit.
    left: Option<u64>,
    /// The pending tasks, if they are watched.
    watch: Option<Watch>,
    /// The tasks that events tell of, if there is a queue.
    hinted: Option<Hinted>,
    failed: bool,
}

impl<'a, S: Source> ScopeLoop<'a, S> {
    pub(super) fn new(
        refresher: Refresher<S>,
        when: RefreshConfig,
        shared: &'a Shared<'a>,
        publish: Publish,
        notices: Option<Notices>,
    ) -> Self {
        // A limited run publishes once a round.
        let watches = when.watch && when.limit.is_none();
        let watch = watches.then(|| Watch::new(when.interval.longest(), Instant::now().into_std()));
        let left = when.limit.map(|limit| limit.get());
        let (pacing, hinted) = (Pacing::new(when.interval), notices.map(Hinted::new));
        Self { refresher, shared, publish, pacing, left, watch, hinted, failed: false }
    }

    /// Refreshes until the limit is reached.
    pub(super) async fn run(mut self) {
        loop {
            self.refresh().await;
            self.left = self.left.map(|left| left - 1);
            if self.left == Some(0) {
                return;
            }
            let next = self.pacing.next_refresh();
            self.watch_until(next).await;
        }
    }

    async fn refresh(&mut self) {
        let turn = self.shared.turns.take(self.failed).await;
        self.shared.status.refresh_started();
        self.shared.telemetry.refresh_started(self.refresher.asked());
        self.pacing.refresh_starts(self.refresher.calls());
        self.hinted.iter_mut().for_each(Hinted::refresh_starts);
        let publish = &self.publish;
        let mut first = |refresh: Box<dyn FnOnce() -> Refresh + '_>| publish.some(refresh);
        // A limited run publishes once a round.
        let first = self.left.is_none().then_some(&mut first as &mut First<'_>);
        let before = self.hinted.as_ref().and_then(|_| self.refresher.last().cloned());
        let refresh = turn.wait(self.refresher.refresh(first)).await;
        self.failed = refresh.calls_failed();
        if let Some(interval) = self.pacing.refreshed(&refresh, self.refresher.calls()) {
            let seconds = interval.as_secs();
            tracing::info!(scope = %refresh.scope, seconds, "interval between refreshes changed");
        }
        if let Some(hinted) = &mut self.hinted {
            hinted.refreshed(before.as_deref(), &refresh);
        }
        self.follow_events();
        self.shared.telemetry.interval(&refresh.asked, self.pacing.interval());
        if let Some(watch) = &mut self.watch {
            let now = Instant::now().into_std();
            watch.set_interval(self.pacing.interval());
            update(watch, &refresh);
            watch.refreshed(now);
        }
        self.publish.refresh(refresh).await;
    }

    /// Looks at pending tasks and at those that events tell of when they are due, until this time.
    async fn watch_until(&mut self, mut end: Instant) {
        loop {
            let watched = self.watch.as_ref().and_then(Watch::next_due).map(Instant::from_std);
            let hinted = self.hinted.as_ref().and_then(Hinted::next_due);
            let due = [watched, hinted].into_iter().flatten().min().filter(|due| *due < end);
            tokio::select! {
                notice = next(&mut self.hinted) => self.take(notice),
                () = sleep_until(due.unwrap_or(end)) => {
                    if due.is_none() {
                        return;
                    }
                    self.look_at_hinted().await;
                    self.look_at_pending().await;
                }
            }
            // If events no longer say what changes, the next refresh must come earlier.
            if self.follow_events() {
                end = end.min(self.pacing.next_refresh());
            }
            if self.hinted.as_ref().is_some_and(Hinted::has_dropped) {
                end = end.min(self.pacing.early_refresh());
            }
        }
    }

    /// Takes a notice and all others that are waiting: in a flood, what follows once would take too long for each.
    fn take(&mut self, notice: Notice) {
        let Some(hinted) = &mut self.hinted else { return };
        let mut next = Some(notice);
        while let Some(notice) = next {
            if let Some(result) = hinted.take(notice, &self.refresher) {
                self.shared.telemetry.event(result);
            }
            next = hinted.try_next();
        }
    }

    /// Adapts the interval and the watch to whether events say what changes. Returns whether that changes the interval.
    fn follow_events(&mut self) -> bool {
        let Some(hinted) = &mut self.hinted else { return false };
        let scope = self.refresher.asked();
        let events = hinted.flow(scope);
        if let Some(missing) = hinted.missing_changed() {
            self.shared.telemetry.events_missing(scope, missing);
        }
        let changed = self.pacing.set_events(events);
        if let Some(watch) = &mut self.watch {
            watch.set_interval(self.pacing.interval());
            watch.set_pace(Pace::with(events), Instant::now().into_std());
        }
        let Some(interval) = changed else { return false };
        tracing::info!(%scope, seconds = interval.as_secs(), "interval between refreshes changed");
        self.shared.telemetry.interval(scope, interval);
        true
    }

    /// Looks at the tasks that events tell of, if that is due.
    async fn look_at_hinted(&mut self) {
        let Some(batch) = self.hinted.as_mut().and_then(Hinted::take_due) else { return };
        let looked = self.look(&batch, Cause::Event).await;
        let Some(hinted) = &mut self.hinted else { return };
        if looked { hinted.described(&batch, &self.refresher) } else { hinted.failed(&batch) }
    }

    /// Looks at pending tasks, if that is due.
    async fn look_at_pending(&mut self) {
        let now = Instant::now().into_std();
        let Some(batch) = self.watch.as_mut().and_then(|watch| watch.take_due(now)) else { return };
        let looked = self.look(&batch, Cause::Watch).await;
        let Some(watch) = &mut self.watch else { return };
        if looked { watch.succeeded() } else { watch.failed(Instant::now().into_std()) }
    }

    /// Describes tasks, and publishes what that changes. Returns whether the call succeeded.
    async fn look(&mut self, batch: &Batch, cause: Cause) -> bool {
        let Batch { cluster, tasks } = batch;
        match self.refresher.look(cluster, tasks, cause).await {
            Ok(Some(refresh)) => {
                if let (Cause::Watch, Some(hinted)) = (cause, &mut self.hinted) {
                    hinted.changes_found(self.refresher.asked());
                }
                self.watch.iter_mut().for_each(|watch| update(watch, &refresh));
                self.publish.refresh(refresh).await;
                true
            }
            Ok(None) => true,
            Err(failure) => {
                tracing::debug!(%cluster, code = failure.code, error = failure.message, "cannot look at tasks");
                false
            }
        }
    }
}

/// Waits for the next notice, if there is a queue.
async fn next(hinted: &mut Option<Hinted>) -> Notice {
    match hinted {
        Some(hinted) => hinted.next().await,
        None => pending().await,
    }
}

/// Watches the tasks whose containers may become targets by themselves.
fn update(watch: &mut Watch, refresh: &Refresh) {
    let derived = &refresh.derived;
    let mut pending = Vec::new();
    for cluster in &refresh.snapshot.clusters {
        // Both lists are sorted by task.
        let listed = cluster.tasks.iter().flatten();
        let in_cluster = listed.filter(|listed| derived.is_pending(&listed.arn));
        pending.extend(in_cluster.map(|listed| (cluster.cluster.clone(), listed.arn.clone())));
    }
    let is_up = |task: &_| derived.has_target(task);
    watch.update(pending, is_up, Instant::now().into_std());
}
