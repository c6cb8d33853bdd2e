//! Whether a queue works, and when to try again.

use std::time::Duration;

use super::queue::{QueueCall, QueueState};

/// The pause after the first failure. Each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The results of the last calls to a queue.
#[derive(Debug, Default)]
pub struct Health {
    /// The result of the last call that received; `None` before the first.
    receiving: Option<QueueState>,
    /// The result of the last call that deleted; `None` before the first.
    deleting: Option<QueueState>,
    /// The number of calls that failed to receive since the last success.
    failures: u32,
}

impl Health {
    /// Records the result of a call. Returns the state of the queue if it has changed.
    pub fn record(&mut self, call: QueueCall, result: QueueState) -> Option<QueueState> {
        let before = self.state();
        match call {
            QueueCall::Receive => {
                self.receiving = Some(result);
                self.failures = if result == QueueState::Up { 0 } else { self.failures.saturating_add(1) };
            }
            QueueCall::Delete => self.deleting = Some(result),
        }
        self.state().filter(|state| Some(*state) != before)
    }

    /// Returns whether messages are received.
    pub fn is_receiving(&self) -> bool {
        self.receiving == Some(QueueState::Up)
    }

    /// Returns how long to wait after a failure. `random` spreads the processes that an outage has aligned: the pause
    /// is at least half of the longest that it could be.
    pub fn pause(&self, random: u32) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        let longest = doubled.min(LONGEST_PAUSE);
        longest / 2 + longest.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
    }

    /// Returns the state: a queue whose messages cannot be received says nothing of whether they could be deleted.
    fn state(&self) -> Option<QueueState> {
        match self.receiving {
            Some(QueueState::Up) => self.deleting.or(self.receiving),
            receiving => receiving,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::QueueCall::{Delete, Receive};
    use super::QueueState::{Denied, Gone, Unreachable, Up};
    use super::*;

    #[test]
    fn only_changes_of_the_state_are_reported() {
        let mut health = Health::default();
        let calls = [
            (Receive, Unreachable, Some(Unreachable)),
            (Receive, Unreachable, None),
            (Receive, Up, Some(Up)),
            (Receive, Up, None),
            (Delete, Denied, Some(Denied)),
            // Messages that cannot be deleted are received all the same.
            (Receive, Up, None),
            (Delete, Denied, None),
            (Receive, Gone, Some(Gone)),
            (Receive, Up, Some(Denied)),
            (Delete, Up, Some(Up)),
        ];
        for (n, (call, result, reported)) in calls.into_iter().enumerate() {
            assert_eq!(health.record(call, result), reported, "call {n}");
            assert_eq!(health.is_receiving(), n >= 2 && n != 7);
        }
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_start_again_after_a_success() {
        let mut health = Health::default();
        let mut pause = |result| {
            health.record(Receive, result);
            (health.pause(0).as_secs_f64(), health.pause(u32::MAX).as_secs_f64())
        };
        let pauses: Vec<_> = std::iter::repeat_with(|| pause(Denied)).take(8).collect();
        let longest = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0];
        assert_eq!(pauses, longest.map(|longest| (longest / 2.0, longest)));
        pause(Up);
        assert_eq!(pause(Gone), (0.5, 1.0));
    }
}
