//! When to refresh, and when to publish.
//!
//! Each scope has a loop of its own, so that a slow one delays no other. What their refreshes learn is published in one
//! place, one publication at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time;

use crate::config::RefreshConfig;
use crate::inventory::Source;
use crate::publish::{Publication, Publisher};
use crate::refresh::{Refresh, Refresher};
use crate::status::SharedStatus;
use crate::telemetry::Telemetry;

/// The number of scopes that are refreshed concurrently, which limits memory; as many more may be failing ones.
const CONCURRENT_SCOPES: usize = 8;

/// The longest pause after a publication.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The loops.
pub struct Daemon<S> {
    refreshers: Vec<Refresher<S>>,
    publisher: Publisher,
    status: Arc<SharedStatus>,
    telemetry: Arc<Telemetry>,
}

/// The last refresh of a limited run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the last refresh failed")]
pub struct LastRefreshFailed;

/// A refresh to publish.
struct Refreshed {
    /// The position of its scope.
    scope: usize,
    refresh: Arc<Refresh>,
    /// Where to say that it is published.
    published: oneshot::Sender<()>,
}

impl<S: Source> Daemon<S> {
    /// Returns loops that report to `status` and `telemetry`. `publisher` has the scopes of the refreshers, in order.
    pub fn new(
        refreshers: Vec<Refresher<S>>,
        publisher: Publisher,
        status: Arc<SharedStatus>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self { refreshers, publisher, status, telemetry }
    }

    /// Refreshes each scope at once and then at each interval, until the limit is reached.
    pub async fn run(self, when: RefreshConfig) -> Result<(), LastRefreshFailed> {
        let Self { refreshers, publisher, status, telemetry } = self;
        let (send, receive) = unbounded_channel();
        let gather = match when.limit {
            Some(_) => Gather::All(refreshers.len()),
            None => Gather::Finished,
        };
        let (turns, status) = (&Turns::default(), &*status);
        let loops = refreshers.into_iter().enumerate().map(|(scope, refresher)| {
            let publish = Publish { scope, send: send.clone() };
            refresh_repeatedly(refresher, when, turns, status, publish)
        });
        let loops: Vec<_> = loops.collect();
        // `publishing` ends when the loops have dropped their senders.
        drop(send);
        let publishing = publish_repeatedly(publisher, receive, gather, status, &telemetry);
        let (_, last) = tokio::join!(join_all(loops), publishing);
        if last.is_some_and(|publication| !publication.failed()) { Ok(()) } else { Err(LastRefreshFailed) }
    }
}

/// Sends the refreshes of one scope to be published.
struct Publish {
    scope: usize,
    send: UnboundedSender<Refreshed>,
}

impl Publish {
    /// Returns when the refresh is published, so that a slow disk makes refreshes wait rather than pile up.
    async fn refresh(&self, refresh: Refresh) {
        let (published, done) = oneshot::channel();
        // The receiver lives as long as the loops.
        let _ = self.send.send(Refreshed { scope: self.scope, refresh: Arc::new(refresh), published });
        let _ = done.await;
    }
}

/// Which refreshes are published together.
#[derive(Clone, Copy)]
enum Gather {
    /// One of each of this number of scopes: a limited run writes once a round.
    All(usize),
    /// Those that have finished.
    Finished,
}

async fn refresh_repeatedly<S: Source>(
    mut refresher: Refresher<S>,
    when: RefreshConfig,
    turns: &Turns,
    status: &SharedStatus,
    publish: Publish,
) {
    let start = time::Instant::now();
    let mut left = when.limit.map(|limit| limit.get());
    let mut failed = false;
    loop {
        let turn = turns.take(failed).await;
        status.refresh_started();
        let refresh = refresher.refresh().await;
        drop(turn);
        failed = refresh.failed();
        publish.refresh(refresh).await;
        left = left.map(|left| left - 1);
        if left == Some(0) {
            return;
        }
        // A refresh that outlasts the interval skips ticks: tokio's own intervals would make up for them, and
        // back-to-back refreshes would leave AWS no pause.
        time::sleep(until_next_tick(start.elapsed(), when.interval)).await;
    }
}

/// Limits the number of concurrent refreshes. Scopes whose last refresh failed wait only for each other, because they may
/// take until every time limit has passed.
struct Turns {
    succeeding: Semaphore,
    failing: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self { succeeding: Semaphore::new(CONCURRENT_SCOPES), failing: Semaphore::new(CONCURRENT_SCOPES) }
    }
}

impl Turns {
    async fn take(&self, failed: bool) -> Option<SemaphorePermit<'_>> {
        let semaphore = if failed { &self.failing } else { &self.succeeding };
        // It is never closed.
        semaphore.acquire().await.ok()
    }
}

/// Publishes what is sent, and returns the last publication.
async fn publish_repeatedly(
    mut publisher: Publisher,
    mut refreshed: UnboundedReceiver<Refreshed>,
    gather: Gather,
    status: &SharedStatus,
    telemetry: &Telemetry,
) -> Option<Arc<Publication>> {
    let mut last = None;
    let mut new = Vec::new();
    while gather_refreshes(&mut refreshed, gather, &mut new).await {
        let start = time::Instant::now();
        for Refreshed { scope, refresh, .. } in &new {
            publisher.refreshed(*scope, refresh.clone());
        }
        // Dropped first, so that the lists of the one before are not held longer than they are needed.
        drop(last.take());
        let publication = Arc::new(publisher.publish().await);
        // Metrics come from both: who sees this refresh counted also finds its status.
        status.published(publication.clone());
        telemetry.published(&publication, new.iter().map(|new| &*new.refresh));
        last = Some(publication);
        for Refreshed { published, .. } in new.drain(..) {
            let _ = published.send(());
        }
        // While a large file is written, many scopes finish: the next publication has them all.
        if matches!(gather, Gather::Finished) {
            time::sleep(start.elapsed().min(LONGEST_PAUSE)).await;
        }
    }
    last
}

/// Waits for refreshes to publish. Returns whether there are any.
async fn gather_refreshes(
    refreshed: &mut UnboundedReceiver<Refreshed>,
    gather: Gather,
    new: &mut Vec<Refreshed>,
) -> bool {
    const MOST: usize = 1024;
    while refreshed.recv_many(new, MOST).await > 0 {
        match gather {
            Gather::All(scopes) if new.len() < scopes => {}
            _ => return true,
        }
    }
    !new.is_empty()
}

/// Returns the time until the next multiple of the interval.
fn until_next_tick(elapsed: Duration, interval: Duration) -> Duration {
    let into = elapsed.as_nanos() % interval.as_nanos().max(1);
    interval.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
