//! Limits the calls that lead to nothing.

use std::time::{Duration, Instant};

/// The shortest time between two calls.
pub(super) const GAP: Duration = Duration::from_secs(1);

/// The time that pays for one call: calls that lead to nothing are this far apart in the long run.
pub(super) const COST: Duration = Duration::from_secs(10);

/// The most calls that can be saved up: two minutes of one call a second.
pub(super) const LARGEST: u32 = 120;

/// The calls that a success pays for: a task on Fargate takes up to 47 s to start, which is 24 calls at two seconds.
pub(super) const REWARD: u32 = 30;

/// The pause after a failed call, which doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(4);
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// Decides whether a call may be made now.
///
/// It holds time, of which each call costs [`COST`]. In time `t` with `n` successes, the calls are therefore at most
/// `LARGEST + t / COST + n * REWARD`, and never more than `1 + t / GAP`.
#[derive(Debug)]
pub(super) struct Budget {
    saved: Duration,
    /// When `saved` was updated.
    at: Instant,
    /// When the next call may be made, however much is saved.
    not_before: Instant,
    /// The pause after the next failed call.
    pause: Duration,
}

impl Budget {
    /// Returns a full budget.
    pub(super) fn new(now: Instant) -> Self {
        Self { saved: COST * LARGEST, at: now, not_before: now, pause: FIRST_PAUSE }
    }

    /// Returns when the next call may be made.
    pub(super) fn next(&self) -> Instant {
        self.not_before.max(self.at + COST.saturating_sub(self.saved))
    }

    /// Pays for a call that is made now.
    pub(super) fn spend(&mut self, now: Instant) {
        self.save_until(now);
        self.saved = self.saved.saturating_sub(COST);
        self.not_before = self.not_before.max(now + GAP);
    }

    /// Records that calls led to this many successes.
    pub(super) fn reward(&mut self, successes: usize) {
        let successes = u32::try_from(successes).unwrap_or(u32::MAX);
        self.saved = (COST * LARGEST).min(self.saved.saturating_add((COST * REWARD).saturating_mul(successes)));
    }

    /// Records that a call failed or was throttled: the next one has to wait.
    pub(super) fn failed(&mut self, now: Instant) {
        self.not_before = self.not_before.max(now + self.pause);
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
    }

    /// Records that a call succeeded.
    pub(super) fn succeeded(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    fn save_until(&mut self, now: Instant) {
        self.saved = (COST * LARGEST).min(self.saved + now.saturating_duration_since(self.at));
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the seconds at which calls are made if each is made as soon as it may be.
    fn calls(budget: &mut Budget, start: Instant, count: usize) -> Vec<u64> {
        let mut call = || {
            let now = budget.next().max(start);
            budget.spend(now);
            (now - start).as_secs()
        };
        (0..count).map(|_| call()).collect()
    }

    #[test]
    fn calls_slow_down_when_the_savings_are_spent() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let at = calls(&mut budget, start, 140);
        assert_eq!(at[..3], [0, 1, 2]);
        // Time passes while the savings last: a tenth of a call each second.
        assert_eq!(at[132..136], [132, 140, 150, 160]);
    }

    #[test]
    fn success_pays_for_more_calls() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let last = *calls(&mut budget, start, 136).last().unwrap();
        budget.reward(1);
        let later = start + Duration::from_secs(last);
        assert_eq!(calls(&mut budget, later, 31)[30], 31);
        budget.reward(usize::MAX);
        assert_eq!(budget.saved, COST * LARGEST);
    }

    #[test]
    fn failures_pause_ever_longer() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let pauses: Vec<u64> = (0..6)
            .map(|_| {
                let now = budget.next();
                budget.failed(now);
                (budget.next() - now).as_secs()
            })
            .collect();
        assert_eq!(pauses, [4, 8, 16, 32, 64, 64]);
        budget.succeeded();
        let now = budget.next();
        budget.failed(now);
        assert_eq!((budget.next() - now).as_secs(), 4);
    }
}
