//! When to refresh.

use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use crate::config::RefreshConfig;
use crate::inventory::Source;
use crate::refresh::Refresher;
use crate::status::SharedStatus;
use crate::telemetry::Telemetry;

/// The loop.
pub struct Daemon<S> {
    refresher: Refresher<S>,
    status: Arc<SharedStatus>,
    telemetry: Arc<Telemetry>,
}

/// The last refresh of a limited run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the last refresh failed")]
pub struct LastRefreshFailed;

impl<S: Source> Daemon<S> {
    /// Returns a loop that reports each refresh to `status` and `telemetry`.
    pub fn new(refresher: Refresher<S>, status: Arc<SharedStatus>, telemetry: Arc<Telemetry>) -> Self {
        Self { refresher, status, telemetry }
    }

    /// Refreshes at once and then at each interval, until the limit is reached.
    pub async fn run(&mut self, when: RefreshConfig) -> Result<(), LastRefreshFailed> {
        let start = time::Instant::now();
        let mut left = when.limit.map(|limit| limit.get());
        loop {
            self.status.refresh_started();
            let refresh = Arc::new(self.refresher.refresh().await);
            let failed = refresh.failed();
            // Metrics come from both: who sees this refresh counted also finds its status.
            self.status.refreshed(refresh.clone());
            self.telemetry.refreshed(&refresh);
            drop(refresh);
            left = left.map(|left| left - 1);
            if left == Some(0) {
                return if failed { Err(LastRefreshFailed) } else { Ok(()) };
            }
            // A refresh that outlasts the interval skips ticks: tokio's own intervals would make up for them, and
            // back-to-back refreshes would leave AWS no pause.
            time::sleep(until_next_tick(start.elapsed(), when.interval)).await;
        }
    }
}

/// Returns the time until the next multiple of the interval.
fn until_next_tick(elapsed: Duration, interval: Duration) -> Duration {
    let into = elapsed.as_nanos() % interval.as_nanos().max(1);
    interval.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
