//! Observes the program: logs and metrics.

mod failures;
mod lines;
mod logs;
mod metrics;
mod process;
mod report;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use self::logs::init;
use self::metrics::Metrics;
pub use self::metrics::MetricsFormat;
use self::report::Logged;
use crate::events::{EventResult, QueueState};
use crate::inventory::{Attempt, Cached, Scope};
use crate::publish::Publication;
use crate::status::Status;

/// The logs and the metrics.
pub struct Telemetry {
    metrics: Metrics,
    /// What has been logged already.
    logged: Mutex<Logged>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { metrics: Metrics::new(), logged: Mutex::default() }
    }
}

impl Telemetry {
    /// Records that a refresh of a scope started.
    pub fn refresh_started(&self, scope: &Scope) {
        self.metrics.refresh_started(scope);
    }

    /// Records a publication.
    pub fn published(&self, publication: &Publication) {
        // Before the log, so that whoever reads of a failure finds it counted.
        self.metrics.published(publication);
        report::report(publication, &mut self.logged.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Records a refresh that panicked.
    pub fn panicked(&self) {
        self.metrics.panicked();
    }

    /// Records the time between the refreshes of a scope.
    pub fn interval(&self, scope: &Scope, interval: Duration) {
        self.metrics.interval(scope, interval);
    }

    /// Records an attempt of an AWS call.
    pub fn attempt(&self, attempt: &Attempt<'_>) {
        self.metrics.attempt(attempt);
    }

    /// Records the number of entries of a cache of a scope.
    pub fn cached(&self, scope: &Scope, cache: Cached, entries: usize) {
        self.metrics.cached(scope, cache, entries);
    }

    /// Records what became of an event.
    pub fn event(&self, result: EventResult) {
        self.metrics.event(result);
    }

    /// Records that a queue had messages.
    pub fn events_received(&self, url: &str) {
        self.metrics.events_received(url);
    }

    /// Records that a queue will be called, in this scope.
    pub fn queue_added(&self, url: &str, scope: &Scope) {
        self.metrics.queue_added(url, scope);
    }

    /// Records the state of a queue.
    pub fn queue(&self, url: &str, state: QueueState) {
        self.metrics.queue(url, state);
    }

    /// Records whether events are missing in a scope.
    pub fn events_missing(&self, scope: &Scope, missing: bool) {
        self.metrics.events_missing(scope, missing);
    }

    /// Returns the metrics as text.
    pub fn metrics(&self, status: &Status, format: MetricsFormat) -> String {
        self.metrics.render(status, format)
    }
}
