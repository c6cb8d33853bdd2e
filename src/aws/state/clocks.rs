//! Detects clock jumps and suspends between two refreshes.

use std::time::{Duration, Instant, SystemTime};

/// How far the wall clock may diverge from the monotonic clock between two refreshes: more than it is ever
/// slewed, less than any suspend that matters. The monotonic clock stops while a machine is suspended
/// (Linux, clock_gettime(2), `CLOCK_MONOTONIC`).
const LARGEST_STEP: Duration = Duration::from_secs(30);

/// How many intervals may pass between two refreshes, the first of which may be slow.
const INTERVALS: u32 = 3;

/// The two clocks, as of the last refresh.
#[derive(Debug)]
pub(in crate::aws) struct Clocks {
    longest: Duration,
    last: Option<(Instant, SystemTime)>,
}

impl Clocks {
    /// Returns clocks for refreshes at this interval.
    pub(in crate::aws) fn new(interval: Duration) -> Self {
        Self { longest: interval.saturating_mul(INTERVALS) + LARGEST_STEP, last: None }
    }

    /// Returns whether, since the last call, a clock jumped or the process or its machine was suspended.
    pub(in crate::aws) fn jumped(&mut self) -> bool {
        self.jumped_at(Instant::now(), SystemTime::now())
    }

    fn jumped_at(&mut self, monotonic: Instant, wall: SystemTime) -> bool {
        let Some((last_monotonic, last_wall)) = self.last.replace((monotonic, wall)) else { return false };
        let passed = monotonic.saturating_duration_since(last_monotonic);
        let passed_on_wall = wall.duration_since(last_wall);
        passed > self.longest || passed_on_wall.map_or(true, |on_wall| on_wall.abs_diff(passed) > LARGEST_STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_jumps_and_suspends() {
        let (start, wall) = (Instant::now(), SystemTime::now());
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for (passed, on_wall, interrupted) in [
            (minutes(1), wall + minutes(1), false),
            (minutes(3), wall + minutes(3) + Duration::from_secs(20), false),
            (minutes(1), wall + minutes(2), true), // suspended, or the clock was set forward
            (minutes(1), wall - minutes(1), true), // set back
            (minutes(1), wall, true),
            (minutes(4), wall + minutes(4), true), // stopped
        ] {
            let mut clocks = Clocks::new(minutes(1));
            assert!(!clocks.jumped_at(start, wall), "the first call has nothing to compare with");
            assert_eq!(clocks.jumped_at(start + passed, on_wall), interrupted, "{passed:?}");
        }
    }
}
