//! Whether events say what changes in a scope.

use std::time::{Duration, Instant};

use super::interval::Events;

/// For how long a change may be known before its event: events are rarely later than a few seconds.
const GRACE: Duration = Duration::from_secs(120);

/// How long the last event says that events flow. Without one for so long, the queue may have lost its rule, and in a quiet
/// fleet nothing else would tell.
const FLOWING_FOR: Duration = Duration::from_secs(60 * 60);

/// What is known of the events of one scope. They flow from the first one on, until a change is found of which no event
/// told.
#[derive(Debug, Default)]
pub struct Flow {
    /// The queue of the last event, and when it came.
    last: Option<(usize, Instant)>,
    /// When a change was first found of which no event has told since.
    unexplained: Option<Instant>,
    silent: bool,
}

impl Flow {
    /// Records an event from the queue with this number. Returns whether events were missing before.
    pub fn event(&mut self, queue: usize, now: Instant) -> bool {
        self.last = Some((queue, now));
        self.unexplained = None;
        std::mem::take(&mut self.silent)
    }

    /// Records a refresh or a look, and whether it found changes of which events should tell. Returns whether events are
    /// missing from now on.
    pub fn refreshed(&mut self, found_changes: bool, now: Instant) -> bool {
        let recent = self.last.is_some_and(|(_, last)| now.saturating_duration_since(last) <= GRACE);
        if found_changes && !recent {
            self.unexplained.get_or_insert(now);
        }
        self.fell_silent(now)
    }

    /// Returns when events will be missing unless one comes before.
    pub fn silent_at(&self) -> Option<Instant> {
        self.unexplained.filter(|_| !self.silent).map(|since| since + GRACE)
    }

    /// Returns whether events are missing from now on.
    pub fn fell_silent(&mut self, now: Instant) -> bool {
        let changed = self.silent_at().is_some_and(|at| at <= now);
        self.silent |= changed;
        changed
    }

    /// Returns whether events are missing: changes were found of which none has told.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// Records that a queue fails: no event of it counts any more.
    pub fn failing(&mut self, queue: usize) {
        self.last.take_if(|(last, _)| *last == queue);
    }

    /// Returns whether events say what changes: one came within the last hour, from a queue that has not failed since, and
    /// none is missing.
    pub fn events(&self, now: Instant) -> Events {
        let recent = self.last.is_some_and(|(_, last)| now.saturating_duration_since(last) < FLOWING_FOR);
        if recent && !self.silent { Events::Flowing } else { Events::Absent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    fn flows(flow: &Flow, now: Instant) -> bool {
        flow.events(now) == Events::Flowing
    }

    #[test]
    fn events_flow_from_the_first_one_until_their_queue_fails() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        assert!(!flows(&flow, start));
        assert!(!flow.event(0, start));
        flow.failing(1);
        assert!(flows(&flow, start), "it came from another queue");
        flow.failing(0);
        assert!(!flows(&flow, start));
        flow.event(0, start);
        assert!(flows(&flow, start + minutes(59)) && !flows(&flow, start + minutes(60)));
    }

    #[test]
    fn quiet_fleet_is_no_sign_of_missing_events() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        flow.event(0, start);
        assert!((1..1000).all(|minute| !flow.refreshed(false, start + minutes(minute))));
    }

    #[test]
    fn changes_without_events_are_reported_once() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        flow.event(0, start);
        assert!(!flow.refreshed(true, start + minutes(2)), "an event has just come");
        assert!(!flow.refreshed(true, start + minutes(10)), "its event may come yet");
        assert_eq!(flow.silent_at(), Some(start + minutes(12)));
        assert!(!flow.fell_silent(start + minutes(11)) && flow.fell_silent(start + minutes(12)));
        assert_eq!(flow.silent_at(), None, "it is reported once");
        assert!(!flow.refreshed(true, start + minutes(20)) && !flows(&flow, start + minutes(20)));
        assert!(flow.event(0, start + minutes(21)));
        assert!(!flow.event(0, start + minutes(21)) && flows(&flow, start + minutes(21)));
    }

    #[test]
    fn events_that_never_came_are_missing_too() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        assert!(!flow.refreshed(true, start) && flow.refreshed(true, start + minutes(2)));
    }

    #[test]
    fn a_late_event_explains_a_change() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        flow.refreshed(true, start);
        flow.event(0, start + minutes(1));
        assert!(!flow.refreshed(false, start + minutes(10)) && flows(&flow, start + minutes(10)));
    }
}
