//! The open connections, and which of them has to go.
//!
//! What a client asks for is known only once the head of its request has been read, so every connection is accepted.
//! Large responses take slots, of which there are fewer than connections. Whatever clients do, the other connections
//! are left for health, readiness and metrics: when all are taken, the longest idle one is closed for a new one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::rendered::Rendered;

/// The largest number of connections. Each takes 32 KiB for the head of a request, here and in the kernel.
const CONNECTIONS: usize = 128;

/// The largest number of large responses that are being sent. Each takes 128 KiB in the kernel
/// (`SEND_BUFFER` in [`super::server`]).
const LARGE_RESPONSES: usize = 64;

/// How long a large response is safe from being ended for a new one.
const LEAST_TIME: Duration = Duration::from_secs(5);

/// The open connections.
#[derive(Default)]
pub(super) struct Connections(Mutex<Open>);

#[derive(Default)]
struct Open {
    connections: Vec<Entry>,
    next_id: u64,
}

struct Entry {
    id: u64,
    sending: Sending,
    /// Since when it sends this, or nothing.
    since: Instant,
    end: Arc<Notify>,
}

/// What is being sent. Those that sort first are closed first.
#[derive(Debug)]
enum Sending {
    Nothing,
    Small(Weak<Rendered>),
    /// Without a body while it is being rendered.
    Large(Option<Weak<Rendered>>),
}

impl Sending {
    fn is_large(&self) -> bool {
        matches!(self, Self::Large(_))
    }

    fn sends(&self, body: &Arc<Rendered>) -> bool {
        match self {
            Self::Nothing | Self::Large(None) => false,
            Self::Small(sent) | Self::Large(Some(sent)) => sent.as_ptr() == Arc::as_ptr(body),
        }
    }
}

impl Open {
    /// Ends a connection. It no longer counts, although its task ends a little later.
    fn end(&mut self, at: usize) {
        self.connections.swap_remove(at).end.notify_one();
    }

    /// Returns the place of the connection that has been like this for longest.
    fn longest(&self, like_this: impl Fn(&Entry) -> bool) -> Option<usize> {
        let alike = self.connections.iter().enumerate().filter(|(_, entry)| like_this(entry));
        alike.min_by_key(|(_, entry)| entry.since).map(|(at, _)| at)
    }
}

impl Connections {
    /// Adds a connection. If there are too many, closes the longest idle one, or else the one that has been sending a
    /// small response for longest: that client does not read.
    pub(super) fn add(self: &Arc<Self>) -> Arc<Connection> {
        let mut open = self.lock();
        if open.connections.len() >= CONNECTIONS {
            let idle = open.longest(|entry| matches!(entry.sending, Sending::Nothing));
            // There are fewer large responses than connections.
            let victim = idle.or_else(|| open.longest(|entry| !entry.sending.is_large()));
            victim.into_iter().for_each(|at| open.end(at));
        }
        let (id, end) = (open.next_id, Arc::new(Notify::new()));
        open.next_id += 1;
        open.connections.push(Entry { id, sending: Sending::Nothing, since: Instant::now(), end: end.clone() });
        Arc::new(Connection { id, end, all: self.clone() })
    }

    /// Ends the connections to which this body is being sent.
    pub(super) fn end_responses(&self, body: &Arc<Rendered>) {
        let mut open = self.lock();
        while let Some(at) = open.connections.iter().position(|entry| entry.sending.sends(body)) {
            open.end(at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Every change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection. Dropped when it is closed.
pub(super) struct Connection {
    id: u64,
    end: Arc<Notify>,
    all: Arc<Connections>,
}

impl Connection {
    /// Completes when the connection has to be closed.
    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }

    /// Returns a slot for a small response.
    pub(super) fn small(self: &Arc<Self>, body: &Arc<Rendered>) -> Slot {
        self.set(&mut self.all.lock(), Sending::Small(Arc::downgrade(body)));
        Slot(self.clone())
    }

    /// Returns a slot for a large response. If all are taken, the longest-running response is ended, unless it has only
    /// just begun.
    pub(super) fn large(self: &Arc<Self>) -> Option<Slot> {
        let mut open = self.all.lock();
        if open.connections.iter().filter(|entry| entry.sending.is_large()).count() >= LARGE_RESPONSES {
            let late = |entry: &Entry| entry.sending.is_large() && entry.since.elapsed() >= LEAST_TIME;
            let victim = open.longest(late)?;
            open.end(victim);
        }
        self.set(&mut open, Sending::Large(None));
        Some(Slot(self.clone()))
    }

    fn set(&self, open: &mut Open, sending: Sending) {
        // Absent if the connection has been ended.
        if let Some(entry) = open.connections.iter_mut().find(|entry| entry.id == self.id) {
            (entry.sending, entry.since) = (sending, Instant::now());
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.lock().connections.retain(|entry| entry.id != self.id);
    }
}

/// The right to send a response, until it is dropped.
pub(super) struct Slot(Arc<Connection>);

impl Slot {
    /// Records what is being sent.
    pub(super) fn sends(&self, body: &Arc<Rendered>) {
        self.0.set(&mut self.0.all.lock(), Sending::Large(Some(Arc::downgrade(body))));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.set(&mut self.0.all.lock(), Sending::Nothing);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_ended(connection: &Connection) -> bool {
        connection.ended().now_or_never().is_some()
    }

    #[test]
    fn the_longest_idle_connection_makes_way() {
        let connections = Arc::new(Connections::default());
        let mut open: Vec<_> = (0..CONNECTIONS).map(|_| connections.add()).collect();
        let body = Arc::default();
        let _busy = open[0].small(&body);
        open.push(connections.add());
        let ended: Vec<usize> = (0..open.len()).filter(|at| is_ended(&open[*at])).collect();
        assert_eq!(ended, [1]);
    }

    #[test]
    fn large_responses_leave_connections_for_others() {
        let connections = Arc::new(Connections::default());
        let open: Vec<_> = (0..CONNECTIONS).map(|_| connections.add()).collect();
        let slots: Vec<_> = open.iter().map_while(|connection| connection.large()).collect();
        assert_eq!(slots.len(), LARGE_RESPONSES);
        let _others: Vec<_> = (0..3 * CONNECTIONS).map(|_| connections.add()).collect();
        assert!(!open[..LARGE_RESPONSES].iter().any(|connection| is_ended(connection)));
        drop(slots);
        assert!(open[0].large().is_some(), "a slot is free again");
    }

    #[test]
    fn clients_that_never_read_small_responses_make_way_too() {
        let connections = Arc::new(Connections::default());
        let (open, body): (Vec<_>, _) = ((0..CONNECTIONS).map(|_| connections.add()).collect(), Arc::default());
        let _slots: Vec<_> = open.iter().map(|connection| connection.small(&body)).collect();
        let new = connections.add();
        assert!(is_ended(&open[0]) && !is_ended(&open[1]) && !is_ended(&new));
    }
}
