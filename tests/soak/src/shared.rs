//! What the threads of the soak share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use simaws::SimAws;

use crate::history::Violation;
use crate::oracle::Oracle;
use crate::setup::Scope;

/// What the threads share.
pub(crate) struct Shared {
    pub(crate) aws: SimAws,
    pub(crate) file: PathBuf,
    oracle: Mutex<Oracle>,
    violation: Mutex<Option<Violation>>,
    /// The address of the web endpoints, while the program listens.
    web: Mutex<Option<SocketAddr>>,
    /// Changes when the program is started, stopped or killed: what a client sees across that proves nothing.
    disturbances: AtomicU64,
    /// The number of publications in all lives.
    pub(crate) publications: Arc<AtomicU64>,
    calm: AtomicBool,
    ended: AtomicBool,
}

impl Shared {
    pub(crate) fn new(aws: SimAws, file: PathBuf, oracle: Oracle) -> Self {
        Self {
            aws,
            file,
            oracle: Mutex::new(oracle),
            violation: Mutex::default(),
            web: Mutex::default(),
            disturbances: AtomicU64::new(0),
            publications: Arc::default(),
            calm: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    /// Locks the oracle, after it has taken the calls so far.
    pub(crate) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        let mut oracle = lock(&self.oracle);
        let calls = self.aws.take_calls();
        let scopes = Scope::all().map(|scope| (scope, calls.in_scope(scope.account(), scope.region()).to_value()));
        let begun = scopes.flat_map(|(scope, counts)| {
            let counts = counts.as_object().cloned().unwrap_or_default().into_iter();
            counts.map(move |(operation, count)| ((scope, operation), count.as_u64().unwrap_or_default()))
        });
        oracle.observe(begun, calls.spans());
        oracle
    }

    /// Records a violation; the first one counts.
    pub(crate) fn report(&self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            lock(&self.violation).get_or_insert(violation);
        }
    }

    /// Returns the first violation that a thread has found.
    pub(crate) fn violation(&self) -> Result<(), Violation> {
        lock(&self.violation).take().map_or(Ok(()), Err)
    }

    pub(crate) fn web(&self) -> Option<SocketAddr> {
        *lock(&self.web)
    }

    pub(crate) fn set_web(&self, address: Option<SocketAddr>) {
        *lock(&self.web) = address;
    }

    pub(crate) fn disturb(&self) {
        self.disturbances.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn disturbances(&self) -> u64 {
        self.disturbances.load(Ordering::SeqCst)
    }

    pub(crate) fn publications(&self) -> u64 {
        self.publications.load(Ordering::SeqCst)
    }

    /// Tells hostile clients whether to leave the program alone.
    pub(crate) fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::SeqCst);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    /// Tells the threads to end.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// Locks what a thread may have left when it panicked, which ends the soak.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
