//! The loop of one scope: refreshes it at an interval, and looks at its pending tasks in between.

use tokio::time::{Instant, sleep_until};

use super::pacing::Pacing;
use super::publishing::Publish;
use super::turns::Turns;
use crate::config::RefreshConfig;
use crate::inventory::Source;
use crate::refresh::{Cause, First, Refresh, Refresher};
use crate::schedule::{Batch, Watch};
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
    failed: bool,
}

impl<'a, S: Source> ScopeLoop<'a, S> {
    pub(super) fn new(refresher: Refresher<S>, when: RefreshConfig, shared: &'a Shared<'a>, publish: Publish) -> Self {
        // A limited run publishes once a round.
        let watches = when.watch && when.limit.is_none();
        let watch = watches.then(|| Watch::new(when.interval.longest(), Instant::now().into_std()));
        let left = when.limit.map(|limit| limit.get());
        Self { refresher, shared, publish, pacing: Pacing::new(when.interval), left, watch, failed: false }
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
        let publish = &self.publish;
        let mut first = |refresh: Box<dyn FnOnce() -> Refresh + '_>| publish.some(refresh);
        // A limited run publishes once a round.
        let first = self.left.is_none().then_some(&mut first as &mut First<'_>);
        let refresh = turn.wait(self.refresher.refresh(first)).await;
        self.failed = refresh.calls_failed();
        if let Some(interval) = self.pacing.refreshed(&refresh, self.refresher.calls()) {
            let seconds = interval.as_secs();
            tracing::info!(scope = %refresh.scope, seconds, "interval between refreshes changed");
        }
        self.shared.telemetry.interval(&refresh.asked, self.pacing.interval());
        if let Some(watch) = &mut self.watch {
            let now = Instant::now().into_std();
            watch.set_interval(self.pacing.interval());
            update(watch, &refresh);
            watch.refreshed(now);
        }
        self.publish.refresh(refresh).await;
    }

    /// Looks at pending tasks when they are due, until this time.
    async fn watch_until(&mut self, end: Instant) {
        loop {
            let due = self.watch.as_ref().and_then(Watch::next_due).map(Instant::from_std);
            let Some(due) = due.filter(|due| *due < end) else { return sleep_until(end).await };
            sleep_until(due).await;
            let now = Instant::now().into_std();
            if let Some(batch) = self.watch.as_mut().and_then(|watch| watch.take_due(now)) {
                self.look(&batch, Cause::Watch).await;
            }
        }
    }

    async fn look(&mut self, batch: &Batch, cause: Cause) {
        let Batch { cluster, tasks } = batch;
        let looked = self.refresher.look(cluster, tasks, cause).await;
        let now = Instant::now().into_std();
        match looked {
            Ok(refresh) => {
                self.watch.iter_mut().for_each(Watch::succeeded);
                if let Some(refresh) = refresh {
                    self.watch.iter_mut().for_each(|watch| update(watch, &refresh));
                    self.publish.refresh(refresh).await;
                }
            }
            Err(failure) => {
                tracing::debug!(%cluster, code = failure.code, error = failure.message, "cannot look at pending tasks");
                self.watch.iter_mut().for_each(|watch| watch.failed(now));
            }
        }
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
