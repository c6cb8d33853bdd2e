//! What is known now, shared between the loop that learns it and the web endpoints that show it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use crate::file_sd::TargetGroup;
use crate::refresh::Refresh;

/// What is known now.
#[derive(Clone)]
pub struct Status {
    /// When the loop last made progress: a refresh started, or a call to AWS ended.
    pub last_progress: Instant,
    /// When the last refresh started.
    pub last_refresh: Option<SystemTime>,
    /// When a refresh last ended without failures.
    pub last_success: Option<SystemTime>,
    /// The targets in force, as in the file; `None` before any are known.
    pub targets: Option<Arc<Vec<TargetGroup>>>,
    /// Whether a complete set of targets has been known: restored, or learned without failures.
    pub ready: bool,
    /// The last refresh.
    pub refresh: Option<Arc<Refresh>>,
    /// The number of panics since the last refresh that ended.
    pub panics: u32,
}

/// The status, for several owners.
pub struct SharedStatus(Mutex<Status>);

impl Default for SharedStatus {
    fn default() -> Self {
        Self(Mutex::new(Status {
            last_progress: Instant::now(),
            last_refresh: None,
            last_success: None,
            targets: None,
            ready: false,
            refresh: None,
            panics: 0,
        }))
    }
}

impl SharedStatus {
    /// Returns a copy of the status.
    pub fn get(&self) -> Status {
        self.lock().clone()
    }

    /// Records the targets of an earlier run.
    pub fn restored(&self, targets: &Arc<Vec<TargetGroup>>) {
        let mut status = self.lock();
        (status.targets, status.ready) = (Some(targets.clone()), true);
    }

    /// Records that the loop is alive.
    pub fn progressed(&self) {
        self.lock().last_progress = Instant::now();
    }

    /// Records that a refresh started.
    pub fn refresh_started(&self) {
        let mut status = self.lock();
        (status.last_progress, status.last_refresh) = (Instant::now(), Some(SystemTime::now()));
    }

    /// Records a finished refresh.
    pub fn refreshed(&self, refresh: Refresh) {
        let mut status = self.lock();
        if refresh.in_force() {
            status.targets = Some(refresh.targets.clone());
        }
        if !refresh.failed() {
            (status.last_success, status.ready) = (Some(SystemTime::now()), true);
        }
        status.panics = 0;
        status.refresh = Some(Arc::new(refresh));
    }

    /// Records that a refresh panicked.
    pub fn panicked(&self) {
        let mut status = self.lock();
        (status.last_progress, status.panics) = (Instant::now(), status.panics.saturating_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        // The status stays valid when a holder panics: each field is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
