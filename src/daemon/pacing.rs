//! The time of the next refresh of a scope.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Interval;
use crate::inventory::ClusterTasks;
use crate::refresh::Refresh;
use crate::schedule::{AutoInterval, Calls, Events, Fleet};

/// The part of its running tasks that a refresh describes: each task is described again within ten refreshes.
const DESCRIBES_ONE_IN: usize = 10;

/// Says when the next refresh starts.
pub(super) struct Pacing {
    configured: Interval,
    /// Follows the fleet, once there is one to follow, also where an interval is configured.
    auto: Option<AutoInterval>,
    /// Whether events say what changes.
    events: Events,
    /// When the loop started.
    start: Instant,
    /// When the last refresh started.
    started: Instant,
    /// The time between the starts of the last two.
    since: Duration,
    /// The calls until the start of the last refresh, by bucket.
    before: Vec<u32>,
    /// The calls until its end.
    ended: Vec<u32>,
}

impl Pacing {
    pub(super) fn new(configured: Interval) -> Self {
        let now = Instant::now();
        Self {
            configured,
            auto: None,
            events: Events::Absent,
            start: now,
            started: now,
            since: Duration::ZERO,
            before: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Records that a refresh starts, after this many calls.
    pub(super) fn refresh_starts(&mut self, calls: Vec<u32>) {
        let now = Instant::now();
        (self.since, self.started) = (now - self.started, now);
        self.before = calls;
    }

    /// Records that a refresh has ended, after this many calls. Returns the interval if it is a new one.
    pub(super) fn refreshed(&mut self, refresh: &Refresh, calls: Vec<u32>) -> Option<Duration> {
        let of_refresh = |bucket: usize| calls_of(&calls, bucket) - calls_of(&self.before, bucket);
        let between = |bucket: usize| calls_of(&self.before, bucket) - calls_of(&self.ended, bucket);
        let counts = (0..calls.len()).map(|bucket| Calls { refresh: of_refresh(bucket), between: between(bucket) });
        let counts: Vec<_> = counts.collect();
        self.ended = calls;
        // What a failed refresh took says little.
        if self.auto.is_some() && refresh.calls_failed() {
            return None;
        }
        let before = self.auto.as_ref().map(|auto| auto.interval(self.events));
        match &mut self.auto {
            Some(auto) => auto.refreshed(&counts, self.since),
            None => self.auto = Some(AutoInterval::new(&fleet(refresh))),
        }
        Some(self.interval()).filter(|interval| self.configured == Interval::Auto && Some(*interval) != before)
    }

    /// Sets whether events say what changes. Returns the interval if that changes it.
    pub(super) fn set_events(&mut self, events: Events) -> Option<Duration> {
        let before = self.interval();
        self.events = events;
        Some(self.interval()).filter(|interval| *interval != before)
    }

    /// Returns the interval.
    pub(super) fn interval(&self) -> Duration {
        match (self.configured, &self.auto) {
            (Interval::Every(interval), _) => interval,
            (Interval::Auto, Some(auto)) => auto.interval(self.events),
            (Interval::Auto, None) => Interval::LONGEST_AUTO,
        }
    }

    /// Returns when the next refresh starts. One that outlasts the interval skips ticks: tokio's own intervals would make
    /// up for them, and back-to-back refreshes would leave AWS no pause.
    pub(super) fn next_refresh(&self) -> Instant {
        let first = match self.configured {
            Interval::Every(_) => self.start,
            Interval::Auto => self.started,
        };
        let now = Instant::now();
        now + until_next_tick(now - first, self.interval())
    }

    /// Returns when the next refresh starts if it cannot wait, because it has to find what events told of that were dropped.
    /// It makes no more calls than refreshes without events at the automatic interval do.
    pub(super) fn early_refresh(&self) -> Instant {
        let apart = self.auto.as_ref().map_or(Interval::LONGEST_AUTO, |auto| auto.interval(Events::Absent));
        Instant::now().max(self.started + apart)
    }
}

fn calls_of(calls: &[u32], bucket: usize) -> u32 {
    calls.get(bucket).copied().unwrap_or(0)
}

/// Returns what the next refreshes will have to list and describe.
fn fleet(refresh: &Refresh) -> Fleet {
    let size = |cluster: &ClusterTasks| cluster.tasks.as_ref().map_or(0, Vec::len);
    Fleet { clusters: refresh.snapshot.clusters.iter().map(size).collect(), describes_one_in: DESCRIBES_ONE_IN }
}

/// Returns the time until the next multiple of the interval.
fn until_next_tick(elapsed: Duration, interval: Duration) -> Duration {
    let into = elapsed.as_nanos() % interval.as_nanos().max(1);
    interval.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(0)))
}
