//! Watches from outside: logs, metrics, and the state that the web endpoints show.

mod logs;
mod metrics;
mod process;
mod report;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

pub use self::logs::init;
use self::metrics::Metrics;
use self::report::Mistakes;
use crate::aws::{Attempt, Observer};
use crate::daemon::Refresh;
use crate::file_sd::TargetGroup;

/// All that is told of the running program.
pub struct Telemetry {
    /// Whether anybody can ask for it; the logs are written in any case.
    asked_for: bool,
    metrics: Metrics,
    board: Mutex<Board>,
    /// The mistakes that the logs have named.
    mistakes: Mutex<Mistakes>,
}

/// What was last known.
#[derive(Clone)]
pub struct Board {
    /// When the loop last showed a sign of life: a refresh began, or a call to AWS ended.
    pub alive: Instant,
    /// When the last refresh began.
    pub attempted: Option<SystemTime>,
    /// When the last refresh without a failure ended.
    pub succeeded: Option<SystemTime>,
    /// The targets in force, as in the file; none before there are any to know.
    pub targets: Option<Arc<Vec<TargetGroup>>>,
    /// Whether a full set of targets has been known: restored, or learned without a failure.
    pub complete: bool,
    /// The last refresh.
    pub last: Option<Arc<Refresh>>,
}

impl Telemetry {
    /// Nothing known yet. Where nobody can ask, only logs are written and nothing is kept.
    pub fn new(asked_for: bool) -> Self {
        let board = Board {
            alive: Instant::now(),
            attempted: None,
            succeeded: None,
            targets: None,
            complete: false,
            last: None,
        };
        Self { asked_for, metrics: Metrics::new(), board: Mutex::new(board), mistakes: Mutex::default() }
    }

    /// The program has started over after a panic, so many times by now. The refresh that it ended has begun, and there
    /// will be none for an interval.
    pub fn panicked(&self, times: u64) {
        self.metrics.panicked(times);
        self.lock().attempted = Some(SystemTime::now());
    }

    /// The targets of an earlier run have been read back.
    pub fn restored(&self, targets: &Arc<Vec<TargetGroup>>) {
        let mut board = self.lock();
        board.targets = Some(targets.clone());
        board.complete = true;
    }

    /// A refresh begins.
    pub fn refresh_begins(&self) {
        let mut board = self.lock();
        (board.alive, board.attempted) = (Instant::now(), Some(SystemTime::now()));
    }

    /// A refresh ended.
    pub fn refreshed(&self, refresh: Refresh) {
        report::report(&refresh, &mut self.mistakes.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.asked_for {
            return;
        }
        self.metrics.refreshed(&refresh);
        let mut board = self.lock();
        if refresh.in_force() {
            board.targets = Some(refresh.targets.clone());
        }
        if !refresh.failed() {
            (board.succeeded, board.complete) = (Some(SystemTime::now()), true);
        }
        board.last = Some(Arc::new(refresh));
    }

    /// What is known now.
    pub fn board(&self) -> Board {
        self.lock().clone()
    }

    /// The metrics in OpenMetrics text, or in Prometheus's classic text format.
    pub fn metrics(&self, openmetrics: bool) -> String {
        let board = self.board();
        self.metrics.render(&board, openmetrics)
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        // What a panic left behind is still true: each field is set whole.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Telemetry {
    fn attempt(&self, attempt: &Attempt<'_>) {
        if self.asked_for {
            self.metrics.attempt(attempt);
            self.lock().alive = Instant::now();
        }
    }

    fn remembers(&self, cache: &'static str, entries: usize) {
        self.metrics.remembers(cache, entries);
    }
}
