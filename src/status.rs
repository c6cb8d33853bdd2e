//! What is known now, shared between the loop that learns it and the web endpoints that show it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use crate::file_sd::TargetGroup;
use crate::inventory::Place;
use crate::publish::{Outcome, Publication};

mod seen;

pub use self::seen::SeenPlaces;

/// What is known now.
#[derive(Clone)]
pub struct Status {
    /// When the loop last made progress: a refresh started, or a call to AWS ended.
    pub last_progress: Instant,
    /// When the last refresh started.
    pub last_refresh: Option<SystemTime>,
    /// When every scope was last refreshed without failures.
    pub last_success: Option<SystemTime>,
    /// The targets in force, as in the file; `None` before any are known.
    pub targets: Option<Arc<Vec<TargetGroup>>>,
    /// Increases whenever the targets in force change.
    pub targets_version: u64,
    /// The places that this process scanned, or had targets of.
    pub seen: Arc<SeenPlaces>,
    /// Whether a complete set of targets has been known: restored, or learned.
    pub ready: bool,
    /// The last publication.
    pub publication: Option<Arc<Publication>>,
    /// The number of publications.
    pub publication_version: u64,
    /// The number of panics since the last refresh that ended.
    pub panics: u32,
}

impl Status {
    /// Puts targets in force.
    fn put_in_force(&mut self, targets: &Arc<Vec<TargetGroup>>) {
        if !self.targets.as_ref().is_some_and(|known| Arc::ptr_eq(known, targets)) {
            self.targets = Some(targets.clone());
            self.targets_version += 1;
        }
    }

    fn see(&mut self, places: Vec<Place>) {
        if !places.is_empty() {
            Arc::make_mut(&mut self.seen).add(places, self.publication_version);
        }
    }
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
            targets_version: 0,
            seen: Arc::default(),
            ready: false,
            publication: None,
            publication_version: 0,
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
        let places = seen::of_targets(targets);
        let mut status = self.lock();
        status.put_in_force(targets);
        status.ready = true;
        status.see(places);
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

    /// Records a publication.
    pub fn published(&self, publication: Arc<Publication>) {
        // Without the lock: a publication may have a hundred thousand tasks.
        let places = seen::new_in(&publication);
        let mut status = self.lock();
        if publication.in_force {
            status.put_in_force(&publication.targets);
        }
        if !publication.failed() {
            status.last_success = Some(SystemTime::now());
        }
        status.ready |= publication.complete() && !matches!(publication.output, Outcome::Failed(_));
        status.panics = 0;
        status.publication = Some(publication);
        status.publication_version += 1;
        status.see(places);
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
