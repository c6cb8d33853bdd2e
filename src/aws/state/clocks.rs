//! Detects clock jumps and suspends.

use std::time::{Duration, Instant, SystemTime};

/// How far the wall clock may diverge from the monotonic clock between two refreshes: more than it is ever
/// slewed, less than any suspend that matters. The monotonic clock stops while a machine is suspended
/// (Linux, clock_gettime(2), `CLOCK_MONOTONIC`).
const LARGEST_STEP: Duration = Duration::from_secs(30);

/// The two clocks, as of the last refresh.
#[derive(Debug)]
pub(in crate::aws) struct Clocks {
    /// The longest time from the end of a refresh to the start of the next one.
    longest_pause: Duration,
    /// When the last refresh started.
    started: Option<(Instant, SystemTime)>,
    /// When the last refresh ended. How long it took says nothing: calls may be slow.
    ended: Option<Instant>,
}

impl Clocks {
    /// Returns clocks for refreshes at this interval.
    pub(in crate::aws) fn new(interval: Duration) -> Self {
        Self { longest_pause: interval.saturating_add(LARGEST_STEP), started: None, ended: None }
    }

    /// Records that a refresh starts. Returns whether, since the start of the last one, the wall clock jumped or the
    /// machine was suspended, or the process was stopped between the two.
    pub(in crate::aws) fn start(&mut self) -> bool {
        self.start_at(Instant::now(), SystemTime::now())
    }

    /// Records that a refresh ends.
    pub(in crate::aws) fn end(&mut self) {
        self.ended = Some(Instant::now());
    }

    fn start_at(&mut self, monotonic: Instant, wall: SystemTime) -> bool {
        let stopped = self.ended.is_some_and(|ended| monotonic.saturating_duration_since(ended) > self.longest_pause);
        let jumped = self.started.replace((monotonic, wall)).is_some_and(|(last_monotonic, last_wall)| {
            let passed = monotonic.saturating_duration_since(last_monotonic);
            wall.duration_since(last_wall).map_or(true, |on_wall| on_wall.abs_diff(passed) > LARGEST_STEP)
        });
        stopped || jumped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_jumps_and_suspends_but_not_slow_refreshes() {
        let (start, wall) = (Instant::now(), SystemTime::now());
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for (what, took, passed, on_wall, interrupted) in [
            ("usual", minutes(0), minutes(1), wall + minutes(1), false),
            ("slow refresh", minutes(9), minutes(10), wall + minutes(10), false),
            ("slewed", minutes(2), minutes(3), wall + minutes(3) + Duration::from_secs(20), false),
            ("suspended, or set forward", minutes(0), minutes(1), wall + minutes(2), true),
            ("suspended in a slow refresh", minutes(9), minutes(10), wall + minutes(11), true),
            ("set back", minutes(0), minutes(1), wall - minutes(1), true),
            ("set back by the time that passed", minutes(0), minutes(1), wall, true),
            ("stopped after the refresh", minutes(1), minutes(4), wall + minutes(4), true),
        ] {
            let mut clocks = Clocks::new(minutes(1));
            assert!(!clocks.start_at(start, wall), "the first start has nothing to compare with");
            clocks.ended = Some(start + took);
            assert_eq!(clocks.start_at(start + passed, on_wall), interrupted, "{what}");
        }
    }
}
