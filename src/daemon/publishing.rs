//! Publishes what the loops of all scopes learn, one publication at a time.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time;

use crate::publish::{Publication, Publisher};
use crate::refresh::Refresh;
use crate::status::SharedStatus;
use crate::telemetry::Telemetry;

/// The pause after a publication: how many times as long as the publication it is, and at most.
const LATER: (u32, Duration) = (1, Duration::from_secs(1));

/// The same while several scopes are refreshed for the first time: they are published in part again and again, and the
/// whole file is written each time.
const AT_START: (u32, Duration) = (4, Duration::from_secs(10));

/// A refresh to publish.
pub(super) struct Refreshed {
    /// The position of its scope.
    scope: usize,
    refresh: Arc<Refresh>,
    /// Where to say that it is published.
    published: oneshot::Sender<()>,
}

/// Sends the refreshes of one scope to be published.
pub(super) struct Publish {
    pub(super) scope: usize,
    pub(super) send: UnboundedSender<Refreshed>,
    /// Says when what was known in the middle of a refresh is published.
    pub(super) in_part: RefCell<Option<oneshot::Receiver<()>>>,
}

impl Publish {
    /// Publishes what is known in the middle of a refresh, which goes on meanwhile. Does nothing until the last one is
    /// published: if there are many scopes, publications take longer than their refreshes take to learn more.
    pub(super) fn some(&self, refresh: impl FnOnce() -> Refresh) {
        let mut in_part = self.in_part.borrow_mut();
        if in_part.as_mut().is_none_or(|published| published.try_recv() != Err(TryRecvError::Empty)) {
            *in_part = Some(self.send(refresh()));
        }
    }

    /// Returns when the refresh is published, so that a slow disk makes refreshes wait rather than pile up.
    pub(super) async fn refresh(&self, refresh: Refresh) {
        let _ = self.send(refresh).await;
    }

    fn send(&self, refresh: Refresh) -> oneshot::Receiver<()> {
        let (published, done) = oneshot::channel();
        // The receiver lives as long as the loops.
        let _ = self.send.send(Refreshed { scope: self.scope, refresh: Arc::new(refresh), published });
        done
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
        let starting = publication.outstanding > 1;
        last = Some(publication);
        for Refreshed { published, .. } in new.drain(..) {
            let _ = published.send(());
        }
        // While a large file is written, many scopes finish: the next publication has them all.
        if matches!(gather, Gather::Finished) {
            let (pauses, longest) = if starting { AT_START } else { LATER };
            time::sleep((start.elapsed() * pauses).min(longest)).await;
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
