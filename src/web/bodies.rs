//! The bodies in memory: each is rendered once per refresh at most, and their size is bounded whatever clients do.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::spawn_blocking;

use super::connections::Connections;
use super::rendered::{Chunks, Rendered};
use crate::filter::TargetFilter;

/// What a body shows, and of which version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The selected targets of this version.
    Targets(u64, TargetFilter),
    /// The status page of what is selected of this publication, and its number.
    Page(u64, TargetFilter, usize),
}

impl Key {
    /// Returns the size in memory. Clients choose the filters, so they count like the bodies.
    fn bytes(&self) -> usize {
        let (Self::Targets(_, filter) | Self::Page(_, filter, _)) = self;
        filter.size() + ENTRY_OVERHEAD
    }
}

/// What a body takes in memory apart from its bytes and its filter.
const ENTRY_OVERHEAD: usize = 512;

/// The rendering panicked.
pub(super) struct RenderFailed;

/// The bodies.
pub(super) struct Bodies {
    in_memory: Mutex<InMemory>,
    /// The largest size of all bodies. A single one may be larger: it has as many targets as AWS reports, and clients
    /// cannot make it larger.
    limit: usize,
    connections: Arc<Connections>,
    /// Held while rendering. Rendering one body at a time takes less memory, and the others may want the same.
    rendering: Arc<tokio::sync::Mutex<()>>,
}

/// Every body that is being sent or will be sent again, oldest first. One without a key is not sent again.
#[derive(Default)]
struct InMemory(Vec<(Option<Key>, Arc<Rendered>)>);

impl InMemory {
    /// Drops what is neither being sent nor sent again.
    fn prune(&mut self) {
        self.0.retain(|(key, body)| key.is_some() || Arc::strong_count(body) > 1);
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|(key, body)| body.bytes() + key.as_ref().map_or(0, Key::bytes)).sum()
    }

    /// Removes the body that is missed least: one that nobody is reading, or else an outdated one.
    fn remove_one(&mut self) -> Option<Arc<Rendered>> {
        let unread = self.0.iter().position(|(_, body)| Arc::strong_count(body) == 1);
        let outdated = || self.0.iter().position(|(key, _)| key.is_none());
        let at = unread.or_else(outdated).unwrap_or(0);
        (at < self.0.len()).then(|| self.0.remove(at).1)
    }
}

impl Bodies {
    pub(super) fn new(limit: usize, connections: Arc<Connections>) -> Self {
        Self { in_memory: Mutex::default(), limit, connections, rendering: Arc::default() }
    }

    /// Returns a body from memory, or has it rendered on a thread for blocking work. `is_current` tells which bodies
    /// can still be asked for.
    pub(super) async fn get(
        self: &Arc<Self>,
        key: Key,
        is_current: impl Fn(&Key) -> bool,
        render: impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static,
    ) -> Result<Arc<Rendered>, RenderFailed> {
        if let Some(body) = self.find(&key) {
            return Ok(body);
        }
        let turn = self.rendering.clone().lock_owned().await;
        if let Some(body) = self.find(&key) {
            return Ok(body);
        }
        self.outdate(is_current);
        let bodies = self.clone();
        let rendering = spawn_blocking(move || {
            // Rendering goes on when its client is gone, and so does the turn: a client that comes and goes must not
            // start one rendering beside another.
            let _turn = turn;
            let key_bytes = key.bytes();
            bodies.make_room(key_bytes);
            let mut chunks = Chunks::new(|bytes| bodies.make_room(key_bytes + bytes));
            // Writing to memory cannot fail.
            let _ = render(&mut chunks);
            let body = Arc::new(chunks.finish());
            bodies.lock().0.push((Some(key), body.clone()));
            body
        });
        rendering.await.map_err(|_| RenderFailed)
    }

    /// Returns whether a body is in memory.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.find(key).is_some()
    }

    /// Counts a body that is sent once.
    pub(super) fn add(&self, text: &str) -> Arc<Rendered> {
        let mut chunks = Chunks::new(|bytes| self.make_room(bytes));
        // Writing to memory cannot fail.
        let _ = io::Write::write_all(&mut chunks, text.as_bytes());
        let body = Arc::new(chunks.finish());
        self.lock().0.push((None, body.clone()));
        body
    }

    fn find(&self, key: &Key) -> Option<Arc<Rendered>> {
        self.lock().0.iter().find(|(known, _)| known.as_ref() == Some(key)).map(|(_, body)| body.clone())
    }

    /// Marks the bodies that nobody will ask for again.
    fn outdate(&self, is_current: impl Fn(&Key) -> bool) {
        let mut in_memory = self.lock();
        for (key, _) in &mut in_memory.0 {
            key.take_if(|key| !is_current(key));
        }
        in_memory.prune();
    }

    /// Makes room for a new body of this size. If there is none, ends responses: their clients are slow, and have had
    /// at least the time until now.
    fn make_room(&self, new: usize) {
        let mut in_memory = self.lock();
        in_memory.prune();
        while in_memory.bytes() + new > self.limit {
            let Some(body) = in_memory.remove_one() else { return };
            self.connections.end_responses(&body);
        }
    }

    fn lock(&self) -> MutexGuard<'_, InMemory> {
        // Every change is a single step.
        self.in_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;

    use super::super::connections::{Connection, Slot};
    use super::*;

    const MIB: usize = 1 << 20;

    async fn get(bodies: &Arc<Bodies>, version: u64, size: usize) -> Arc<Rendered> {
        let is_current = move |key: &Key| matches!(key, Key::Targets(known, _) if *known == version);
        let rendered = bodies.get(Key::Targets(version, TargetFilter::default()), is_current, move |out| {
            out.write_all(&vec![b'x'; size])
        });
        rendered.await.unwrap_or_else(|_| panic!("rendering failed"))
    }

    /// Opens a connection to which a body is being sent, and which never ends by itself.
    fn reader(connections: &Arc<Connections>, body: &Arc<Rendered>) -> (Arc<Connection>, Slot) {
        let connection = connections.add();
        let slot = connection.large().unwrap();
        slot.sends(body);
        (connection, slot)
    }

    fn is_ended(connection: &Connection) -> bool {
        connection.ended().now_or_never().is_some()
    }

    #[tokio::test]
    async fn concurrent_requests_share_one_rendering() {
        let bodies = Arc::new(Bodies::new(MIB, Arc::default()));
        let times = Arc::new(AtomicUsize::new(0));
        let request = || {
            let (times, key) = (times.clone(), Key::Page(1, TargetFilter::default(), 1));
            bodies.get(
                key,
                |_| true,
                move |out| {
                    times.fetch_add(1, Ordering::Relaxed);
                    out.write_all(b"page")
                },
            )
        };
        let (one, other) = tokio::join!(request(), request());
        assert!(Arc::ptr_eq(&one.ok().unwrap(), &other.ok().unwrap()));
        assert_eq!(times.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn clients_that_come_and_go_start_one_rendering() {
        let bodies = Arc::new(Bodies::new(MIB, Arc::default()));
        let times = Arc::new(AtomicUsize::new(0));
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let counted = times.clone();
        let first = bodies.get(
            Key::Page(1, TargetFilter::default(), 1),
            |_| true,
            move |out| {
                counted.fetch_add(1, Ordering::Relaxed);
                // Ends when the sender is dropped.
                let _ = wait.recv();
                out.write_all(b"page")
            },
        );
        assert!(first.now_or_never().is_none(), "its client is gone");
        let counted = times.clone();
        let mut second = Box::pin(bodies.get(
            Key::Page(1, TargetFilter::default(), 1),
            |_| true,
            move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok(())
            },
        ));
        assert!((&mut second).now_or_never().is_none(), "it waits for the first");
        drop(go_on);
        assert_eq!(second.await.map(|body| body.bytes()).ok(), Some(4));
        assert_eq!(times.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn slow_readers_of_outdated_bodies_are_ended_when_memory_is_short() {
        let connections = Arc::new(Connections::default());
        let bodies = Arc::new(Bodies::new(5 * MIB, connections.clone()));
        let mut readers = Vec::new();
        for version in 0..20 {
            let body = get(&bodies, version, 2 * MIB).await;
            // Drops what ended connections held, as their tasks do.
            readers.retain(|(_, (connection, _)): &(_, (Arc<Connection>, _))| !is_ended(connection));
            readers.push((body.clone(), reader(&connections, &body)));
            let in_use: usize = readers.iter().map(|(body, _)| body.bytes()).sum();
            assert!(in_use <= 5 * MIB, "{in_use} at {version}");
            assert!(readers.iter().any(|(sent, _)| Arc::ptr_eq(sent, &body)));
        }
    }

    #[tokio::test]
    async fn a_body_larger_than_the_limit_is_sent_alone() {
        let bodies = Arc::new(Bodies::new(MIB, Arc::default()));
        get(&bodies, 1, MIB / 2).await;
        assert_eq!(get(&bodies, 2, 3 * MIB).await.bytes(), 3 * MIB);
        assert_eq!(bodies.lock().bytes(), 3 * MIB + ENTRY_OVERHEAD);
    }

    #[tokio::test]
    async fn filters_count_like_bodies() {
        let bodies = Arc::new(Bodies::new(MIB, Arc::default()));
        for n in 0..200 {
            let values = (0..100).map(|value| ("service".into(), format!("{n}-{value}").into()));
            let key = Key::Targets(1, TargetFilter::of(values).unwrap());
            assert!(bodies.get(key, |_| true, |_| Ok(())).await.is_ok());
            assert!(bodies.lock().bytes() <= MIB, "{n}");
        }
        let kept = bodies.lock().0.len();
        assert!((50..200).contains(&kept), "{kept}");
    }

    #[tokio::test]
    async fn a_panic_while_rendering_costs_only_that_body() {
        let bodies = Arc::new(Bodies::new(MIB, Arc::default()));
        assert!(
            bodies
                .get(Key::Page(1, TargetFilter::default(), 1), |_| true, |_| panic!("as the test asks"))
                .await
                .is_err()
        );
        assert_eq!(get(&bodies, 1, 7).await.bytes(), 7);
    }
}
