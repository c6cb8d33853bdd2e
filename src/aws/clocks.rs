//! Whether time has passed as it should between two refreshes.

use std::time::{Duration, Instant, SystemTime};

/// How far the wall clock may get away from the monotonic one between two refreshes: more than it is ever
/// slewed, less than any sleep that matters. The monotonic clock stands still while a machine sleeps
/// (Linux, clock_gettime(2), `CLOCK_MONOTONIC`).
const LARGEST_STEP: Duration = Duration::from_secs(30);

/// How many intervals may pass between two refreshes of which one takes long.
const INTERVALS: u32 = 3;

/// The two clocks, as they were at the last refresh.
#[derive(Debug)]
pub(super) struct Clocks {
    longest: Duration,
    last: Option<(Instant, SystemTime)>,
}

impl Clocks {
    /// For refreshes at this interval.
    pub(super) fn new(interval: Duration) -> Self {
        Self { longest: interval.saturating_mul(INTERVALS) + LARGEST_STEP, last: None }
    }

    /// Whether, since the last time this was asked, a clock jumped or the program or its machine was asleep.
    pub(super) fn were_interrupted(&mut self) -> bool {
        self.were_interrupted_at(Instant::now(), SystemTime::now())
    }

    fn were_interrupted_at(&mut self, monotonic: Instant, wall: SystemTime) -> bool {
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
    fn a_jump_and_a_sleep_are_noticed() {
        let (start, wall) = (Instant::now(), SystemTime::now());
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for (passed, on_wall, interrupted) in [
            (minutes(1), wall + minutes(1), false),
            (minutes(3), wall + minutes(3) + Duration::from_secs(20), false),
            (minutes(1), wall + minutes(2), true), // asleep, or the clock was put forward
            (minutes(1), wall - minutes(1), true), // put back
            (minutes(1), wall, true),
            (minutes(4), wall + minutes(4), true), // stopped
        ] {
            let mut clocks = Clocks::new(minutes(1));
            assert!(!clocks.were_interrupted_at(start, wall), "the first time there is nothing to compare with");
            assert_eq!(clocks.were_interrupted_at(start + passed, on_wall), interrupted, "{passed:?}");
        }
    }
}
