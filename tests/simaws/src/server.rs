//! The public API of the server, and the thread it runs on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::connection::serve;
use crate::lives::Birth;
use crate::state::State;
use crate::{Calls, Fault, Life, Options, Task, World};

/// A running simulated AWS. Dropping it stops the server and closes its connections.
///
/// It runs on a thread with a runtime of its own, so that synchronous tests can use it too.
#[derive(Debug)]
pub struct SimAws {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SimAws {
    /// Starts on a free loopback port.
    pub async fn start(world: World) -> io::Result<Self> {
        Self::start_blocking(world)
    }

    /// Starts on this address.
    pub async fn start_on(address: SocketAddr, world: World) -> io::Result<Self> {
        Self::start_blocking_on(address, world)
    }

    /// Starts on a free loopback port, for synchronous tests.
    pub fn start_blocking(world: World) -> io::Result<Self> {
        Self::start_blocking_on((Ipv4Addr::LOCALHOST, 0).into(), world)
    }

    /// Starts on this address, for synchronous tests.
    pub fn start_blocking_on(address: SocketAddr, world: World) -> io::Result<Self> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let state = Arc::new(State::new(world));
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let run = move || runtime.block_on(accept_until(stopped, listener, shared));
        let thread = std::thread::Builder::new().name("simaws".to_owned()).spawn(run)?;
        Ok(Self { address, state, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the world. Listings in progress continue with the world of their first page.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.state.lock().world)
    }

    /// Returns the current world.
    pub fn world(&self) -> World {
        self.state.lock().world.clone()
    }

    /// Starts a life of a task, and returns when. `task` is what the task is while it runs. A task with this id that the
    /// cluster has already changes; otherwise the first step creates it.
    pub fn start_life(&self, cluster: &str, task: Task, life: Life) -> Instant {
        self.state.start_life(Birth { cluster: cluster.to_owned(), task, life })
    }

    /// Replaces the options and refills the quota buckets.
    pub fn set_options(&self, options: Options) {
        self.state.set_options(options);
    }

    /// Returns the URL of a queue of this name, which is created if it does not exist.
    pub fn queue(&self, name: &str) -> String {
        self.state.lock().queues.create(name);
        format!("{}/123456789012/{name}", self.url())
    }

    /// Deletes a queue with its messages.
    pub fn delete_queue(&self, name: &str) {
        self.state.lock().queues.delete(name);
    }

    /// Sets how long a message of a queue is hidden after it has been received.
    pub fn set_visibility(&self, queue: &str, visibility: Duration) {
        self.state.lock().queues.set_visibility(queue, visibility);
    }

    /// Puts a message into a queue, which is created if it does not exist.
    pub fn put_message(&self, queue: &str, body: &str) {
        self.state.lock().queues.put(queue, body);
    }

    /// Returns the number of messages in a queue, hidden ones included.
    pub fn messages(&self, queue: &str) -> usize {
        self.state.lock().queues.len(queue)
    }

    /// Adds a fault after the active ones.
    pub fn add_fault(&self, fault: Fault) {
        self.state.lock().faults.add(fault);
    }

    /// Removes all faults. Calls that already hang keep hanging.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Returns the calls since the start or the last [`SimAws::take_calls`].
    pub fn calls(&self) -> Calls {
        self.state.lock().calls.clone()
    }

    /// Returns the same calls and starts to count from zero.
    pub fn take_calls(&self) -> Calls {
        self.state.take_calls()
    }

    /// Returns the unknown operations, unknown paths and exceeded limits so far. A correct client leaves this empty.
    pub fn unexpected(&self) -> Vec<String> {
        self.state.lock().unexpected.clone()
    }
}

impl Drop for SimAws {
    fn drop(&mut self) {
        // Ending the thread drops its runtime, which closes every connection.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept_until(stopped: oneshot::Receiver<()>, listener: StdListener, state: Arc<State>) {
    tokio::select! {
        _ = stopped => {}
        () = accept(listener, state) => {}
    }
}

async fn accept(listener: StdListener, state: Arc<State>) {
    let listener = TcpListener::from_std(listener).expect("the runtime takes a listening socket");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, Arc::clone(&state)));
            }
            // Most likely out of file descriptors, until other connections are closed.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
