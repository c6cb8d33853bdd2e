//! Receives events, and routes them to the scopes.

use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep};

use crate::events::{EventQueue, EventResult, Health, Message, Parsed, QueueCall, QueueFailure, QueueState, parse};
use crate::inventory::Scope;
use crate::schedule::Hint;
use crate::telemetry::Telemetry;

/// The most notices that wait for a scope, as during a long refresh.
const MOST_WAITING: usize = 10_000;

/// Of these, some are kept free of hints, so that a scope always hears that a queue fails.
const RESERVED: usize = 100;

/// A queue that responds at once, without messages or with ones that cannot be deleted, is not asked more often.
const SHORTEST_ROUND: Duration = Duration::from_secs(1);

/// What a queue tells a scope.
pub(super) enum Notice {
    /// A task changed.
    Hint {
        /// The position of the queue.
        queue: usize,
        /// What it says of the task.
        hint: Hint,
    },
    /// The queue at this position fails.
    Failing(usize),
    /// Hints were dropped, because too many were waiting.
    Dropped,
}

/// Where the notices of a scope come out.
pub(super) struct Notices {
    receive: Receiver<Notice>,
    /// Apart from the others, because it has to arrive when no more of them fit.
    dropped: Arc<Notify>,
}

impl Notices {
    /// Waits for the next notice.
    pub(super) async fn next(&mut self) -> Notice {
        tokio::select! {
            notice = self.receive.recv() => match notice {
                Some(notice) => notice,
                // The routes live as long as the loops.
                None => pending().await,
            },
            () = self.dropped.notified() => Notice::Dropped,
        }
    }

    /// Returns the next notice if one is waiting.
    pub(super) fn try_next(&mut self) -> Option<Notice> {
        self.receive.try_recv().ok()
    }
}

/// The way to a scope.
struct Route {
    scope: Scope,
    send: Sender<Notice>,
    dropped: Arc<Notify>,
}

impl Route {
    fn hint(&self, queue: usize, hint: Hint) -> Result<(), TrySendError<Notice>> {
        let notice = Notice::Hint { queue, hint };
        if self.send.capacity() <= RESERVED { Err(TrySendError::Full(notice)) } else { self.send.try_send(notice) }
    }
}

/// The ways to the scopes.
#[derive(Default)]
pub(super) struct Routes(Vec<Route>);

impl Routes {
    /// Adds a scope, and returns where its notices come out.
    pub(super) fn add(&mut self, scope: &Scope) -> Notices {
        let ((send, receive), dropped) = (channel(MOST_WAITING), Arc::new(Notify::new()));
        self.0.push(Route { scope: scope.clone(), send, dropped: dropped.clone() });
        Notices { receive, dropped }
    }

    /// Passes on a hint. Returns what becomes of it if the scope does not decide that.
    fn hint(&self, queue: usize, hint: Hint) -> Option<EventResult> {
        let arn = hint.cluster.as_str();
        // A scope of which only the credentials are known may be of any account, but not of one that another scope has.
        let covers = |known| {
            let covers = |route: &&Route| route.scope.account.is_some() == known && route.scope.contains(arn);
            self.0.iter().find(covers)
        };
        let Some(route) = [true, false].into_iter().find_map(covers) else { return Some(EventResult::OtherCluster) };
        if route.hint(queue, hint).is_ok() {
            return None;
        }
        route.dropped.notify_one();
        Some(EventResult::Dropped)
    }

    fn failing(&self, queue: usize) {
        for route in &self.0 {
            // A scope that has so much to do refreshes soon.
            let _ = route.send.try_send(Notice::Failing(queue));
        }
    }
}

/// The loop of one queue.
pub(super) struct Receiving<'a, Q> {
    queue: Q,
    /// The position of the queue.
    number: usize,
    routes: &'a Routes,
    telemetry: &'a Telemetry,
    health: Health,
}

impl<'a, Q: EventQueue> Receiving<'a, Q> {
    pub(super) fn new(number: usize, queue: Q, routes: &'a Routes, telemetry: &'a Telemetry) -> Self {
        Self { queue, number, routes, telemetry, health: Health::default() }
    }

    /// Receives for ever.
    pub(super) async fn run(mut self) {
        self.telemetry.queue_added(self.queue.url(), self.queue.scope());
        loop {
            let start = Instant::now();
            let useful = self.receive().await;
            if !self.health.is_receiving() {
                sleep(self.health.pause(random())).await;
            } else if !useful {
                sleep(SHORTEST_ROUND.saturating_sub(start.elapsed())).await;
            }
        }
    }

    /// Receives once. Returns whether messages were received and deleted.
    async fn receive(&mut self) -> bool {
        let received = self.queue.receive().await;
        self.record(QueueCall::Receive, received.as_ref().map(drop));
        let Ok(messages) = received else { return false };
        if messages.is_empty() {
            return false;
        }
        self.telemetry.events_received(self.queue.url());
        for message in &messages {
            if let Some(result) = self.route(message) {
                self.telemetry.event(result);
            }
        }
        // Afterwards, because the tasks wait.
        let receipts = messages.into_iter().map(|message| message.receipt).filter(|receipt| !receipt.is_empty());
        let deleted = self.queue.delete(receipts.collect()).await;
        self.record(QueueCall::Delete, deleted.as_ref().map(drop));
        deleted.is_ok()
    }

    fn route(&self, message: &Message) -> Option<EventResult> {
        match parse(&message.body) {
            Parsed::Hint(hint) => self.routes.hint(self.number, hint),
            Parsed::OtherEvent => Some(EventResult::OtherEvent),
            Parsed::Invalid => Some(EventResult::Invalid),
        }
    }

    /// Records the result of a call, and logs it if it changes the state of the queue.
    fn record(&mut self, call: QueueCall, result: Result<(), &QueueFailure>) {
        let state = result.map_or_else(|failure| failure.state, |()| QueueState::Up);
        let changed = self.health.record(call, state);
        if let (Err(failure), None) = (result, changed) {
            tracing::debug!(
                queue = self.queue.url(),
                code = failure.code,
                error = failure.message,
                "queue still failing"
            );
        }
        let Some(state) = changed else { return };
        self.telemetry.queue(self.queue.url(), state);
        if !self.health.is_receiving() {
            self.routes.failing(self.number);
        }
        let (queue, failure) = (self.queue.url(), result.err());
        let (code, error) = (failure.map(|failure| &*failure.code), failure.map(|failure| &*failure.message));
        let allow = call.operation().iam_action();
        let call = if call == QueueCall::Receive { "receive" } else { "delete" };
        match state {
            QueueState::Up => tracing::info!(queue, "receiving events"),
            QueueState::Denied => {
                let remedy = format!("allow {allow}");
                tracing::warn!(queue, code, error, remedy, "cannot {call} events: access denied");
            }
            QueueState::Gone => tracing::warn!(queue, code, error, "cannot {call} events: the queue does not exist"),
            QueueState::Unreachable => tracing::warn!(queue, code, error, "cannot {call} events: the call failed"),
        }
    }
}

/// Returns a random number. (The keys of hash maps are the standard library's only ones.)
fn random() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(0).to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}
