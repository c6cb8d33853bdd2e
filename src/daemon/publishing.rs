//! Publishes what the loops of all scopes learn, one publication at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time;

use crate::publish::{Publication, Publisher};
use crate::refresh::Refresh;
use crate::status::SharedStatus;
use crate::telemetry::Telemetry;

/// The longest pause after a publication.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A refresh to publish.
pub(super) struct Refreshed {
    /// The position of its scope.
    scope: usize,
    refresh: Arc<Refresh>,
    /// Where to say that it is published, if somebody waits for that.
    published: Option<oneshot::Sender<()>>,
}

/// Sends the refreshes of one scope to be published.
pub(super) struct Publish {
    pub(super) scope: usize,
    pub(super) send: UnboundedSender<Refreshed>,
}

impl Publish {
    /// Publishes what is known in the middle of a refresh, which goes on meanwhile.
    pub(super) fn some(&self, refresh: Refresh) {
        let refreshed = Refreshed { scope: self.scope, refresh: Arc::new(refresh), published: None };
        let _ = self.send.send(refreshed);
    }

    /// Returns when the refresh is published, so that a slow disk makes refreshes wait rather than pile up.
    pub(super) async fn refresh(&self, refresh: Refresh) {
        let (published, done) = oneshot::channel();
        // The receiver lives as long as the loops.
        let _ = self.send.send(Refreshed { scope: self.scope, refresh: Arc::new(refresh), published: Some(published) });
        let _ = done.await;
    }
}

/// Which refreshes are published together.
#[derive(Clone, Copy)]
pub(super) enum Gather {
    /// One of each of this number of scopes: a limited run writes once a round.
    All(usize),
    /// Those that have finished.
    Finished,
}

/// Publishes what is sent, and returns the last publication.
pub(super) async fn publish_repeatedly(
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
        telemetry.published(&publication);
        last = Some(publication);
        for Refreshed { published, .. } in new.drain(..) {
            let _ = published.map(|published| published.send(()));
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
