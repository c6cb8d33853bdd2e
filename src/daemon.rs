//! When to refresh, and when to publish.
//!
//! Each scope has a loop of its own, so that a slow one delays no other. What the loops learn is published in one place,
//! one publication at a time.
//!
//! * [`scope`]: the loop of one scope; [`pacing`]: the time of its next refresh.
//! * [`receiving`]: receives events, and routes them to the scopes; [`hinted`]: what a scope makes of them.
//! * [`turns`]: how many refresh concurrently.
//! * [`publishing`]: publishes what they learn.

mod hinted;
mod pacing;
mod publishing;
mod receiving;
mod scope;
mod turns;

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::mpsc::unbounded_channel;

use self::publishing::{Gather, Publish, publish_repeatedly};
use self::receiving::{Receiving, Routes};
use self::scope::{ScopeLoop, Shared};
use self::turns::Turns;
use crate::config::RefreshConfig;
use crate::events::EventQueue;
use crate::inventory::Source;
use crate::publish::Publisher;
use crate::refresh::Refresher;
use crate::status::SharedStatus;
use crate::telemetry::Telemetry;

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
        self.run_with(when, Vec::<Infallible>::new()).await
    }

    /// Does the same, and describes the tasks that events in these queues tell of. A limited run ignores them: it publishes
    /// once a round.
    pub async fn run_with<Q: EventQueue>(self, when: RefreshConfig, queues: Vec<Q>) -> Result<(), LastRefreshFailed> {
        let queues = if when.limit.is_some() { Vec::new() } else { queues };
        let Self { refreshers, publisher, status, telemetry } = self;
        let (send, receive) = unbounded_channel();
        let gather = match when.limit {
            Some(_) => Gather::All(refreshers.len()),
            None => Gather::Finished,
        };
        let shared = Shared { turns: Turns::default(), status: &status, telemetry: &telemetry };
        let mut routes = Routes::default();
        let loops = refreshers.into_iter().enumerate().map(|(scope, refresher)| {
            let publish = Publish { scope, send: send.clone(), in_part: RefCell::default() };
            let notices = (!queues.is_empty()).then(|| routes.add(refresher.asked()));
            ScopeLoop::new(refresher, when, &shared, publish, notices).run()
        });
        let loops: Vec<_> = loops.collect();
        // `publishing` ends when the loops have dropped their senders.
        drop(send);
        let publishing = publish_repeatedly(publisher, receive, gather, &status, &telemetry);
        // Not tasks of their own: a shutdown drops them in the middle of a call, and a panic in one is one of the loops.
        let receiving = queues.into_iter().enumerate();
        let receiving = receiving.map(|(number, queue)| Receiving::new(number, queue, &routes, &telemetry).run());
        let (_, _, last) = tokio::join!(join_all(loops), join_all(receiving), publishing);
        if last.is_some_and(|publication| !publication.failed()) { Ok(()) } else { Err(LastRefreshFailed) }
    }
}

#[cfg(test)]
mod tests;
