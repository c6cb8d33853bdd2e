//! The server's face, and the thread it runs on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::connection::serve;
use crate::state::State;
use crate::{Calls, Fault, Options, World};

/// A running simulated AWS. Dropping it stops the server and cuts its connections.
///
/// It runs on a thread and a runtime of its own, so that any test can use it, synchronous ones included.
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

    /// Starts on a free loopback port, for tests without a runtime. It blocks for no longer than a bind.
    pub fn start_blocking(world: World) -> io::Result<Self> {
        Self::start_blocking_on((Ipv4Addr::LOCALHOST, 0).into(), world)
    }

    /// Starts on this address, for callers without a runtime.
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the world between two calls. Listings that are under way go on as they began.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.state.lock().world)
    }

    /// The world as it is now.
    pub fn world(&self) -> World {
        self.state.lock().world.clone()
    }

    /// Replaces the options; quota buckets are full again.
    pub fn set_options(&self, options: Options) {
        self.state.set_options(options);
    }

    /// Adds a rule after those in force.
    pub fn add_fault(&self, fault: Fault) {
        self.state.lock().faults.add(fault);
    }

    /// Ends all rules. Calls that hang already go on hanging.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// The calls since the start or the last [`SimAws::take_calls`].
    pub fn calls(&self) -> Calls {
        self.state.lock().calls.clone()
    }

    /// The same, and counts from nothing again.
    pub fn take_calls(&self) -> Calls {
        self.state.take_calls()
    }

    /// Unknown operations and paths and broken limits seen so far: a good client leaves this empty.
    pub fn unexpected(&self) -> Vec<String> {
        self.state.lock().unexpected.clone()
    }
}

impl Drop for SimAws {
    fn drop(&mut self) {
        // The thread's runtime goes down with it, and every connection with the runtime.
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
            // Out of file descriptors, most likely: others have to be closed first.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
