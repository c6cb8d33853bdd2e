//! Scripted lives of tasks: which status a task reaches when, and what ECS shows of it then.

mod millis;
mod step;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use step::{Status, Step};

/// For how long DescribeTasks knows a task that has stopped ("DescribeTasks" in the Amazon ECS API Reference).
const KNOWN_AFTER_STOP: Duration = Duration::from_secs(3600);

/// When a task that is to stop reaches the statuses after that.
const STOP: [(Duration, Status); 5] = [
    (Duration::from_secs(1), Status::Deactivating),
    (Duration::from_secs(2), Status::Stopping),
    (Duration::from_secs(6), Status::Deprovisioning),
    (Duration::from_secs(10), Status::Stopped),
    (KNOWN_AFTER_STOP, Status::Gone),
];

/// The life of a task. In JSON:
/// `{"steps": [{"afterMillis": 0, "status": "PENDING"}], "queues": ["tasks"], "eventDelayMillis": 200}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Life {
    /// The changes, in order.
    pub steps: Vec<Step>,
    /// The queues that get an event of each change.
    #[serde(default)]
    pub queues: Vec<String>,
    /// How long after the change the event is in the queues.
    #[serde(default, rename = "eventDelayMillis", with = "millis")]
    pub event_delay: Duration,
}

impl Life {
    /// Returns the life of a task on Fargate, which runs after this time. It takes AWS 24 to 47 s.
    pub fn fargate(up: Duration) -> Self {
        let tenths =
            [Status::Provisioning, Status::Pending, Status::Activating, Status::Running].into_iter().zip([0, 4, 9, 10]);
        tenths.fold(Self::default(), |life, (status, tenths)| life.then(up * tenths / 10, status))
    }

    /// Returns the life of a task on EC2 in bridge mode, which runs after this time. It takes AWS a few seconds if the
    /// image is cached.
    pub fn ec2(up: Duration) -> Self {
        Self::default().then(Duration::ZERO, Status::Pending).then(up, Status::Running)
    }

    /// Adds a change, this long after the creation of the task.
    #[must_use]
    pub fn then(mut self, after: Duration, status: Status) -> Self {
        self.steps.push(Step { after, status, stop: status > Status::Running });
        self
    }

    /// Leaves out a status.
    #[must_use]
    pub fn without(mut self, status: Status) -> Self {
        self.steps.retain(|step| step.status != status);
        self
    }

    /// Starts later: everything happens this much later.
    #[must_use]
    pub fn later(mut self, by: Duration) -> Self {
        self.steps.iter_mut().for_each(|step| step.after += by);
        self
    }

    /// Requests the task to stop, this long after its creation, whatever it is doing then. A life without steps is that
    /// of a task that runs already.
    #[must_use]
    pub fn stops(mut self, after: Duration) -> Self {
        self.steps.retain(|step| step.after < after);
        let status = self.steps.last().map_or(Status::Running, |step| step.status);
        self.steps.push(Step { after, status, stop: true });
        STOP.into_iter().fold(self, |life, (later, status)| life.then(after + later, status))
    }

    /// Puts an event of each change into a queue, this long after the change.
    #[must_use]
    pub fn events(mut self, queue: &str, delay: Duration) -> Self {
        self.queues.push(queue.to_owned());
        self.event_delay = delay;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(life: &Life) -> Vec<(u64, &'static str, bool)> {
        life.steps.iter().map(|step| (step.after.as_secs(), step.status.name(), step.stop)).collect()
    }

    #[test]
    fn tasks_come_up_as_on_fargate_and_on_ec2() {
        let seconds = Duration::from_secs;
        let fargate = statuses(&Life::fargate(seconds(30)));
        let expected = [(0, "PROVISIONING"), (12, "PENDING"), (27, "ACTIVATING"), (30, "RUNNING")];
        assert_eq!(fargate, expected.map(|(at, status)| (at, status, false)));
        assert_eq!(statuses(&Life::ec2(seconds(3))), [(0, "PENDING", false), (3, "RUNNING", false)]);
        let without = Life::fargate(seconds(30)).without(Status::Activating);
        assert_eq!(statuses(&without).len(), 3);
        let later = Life::ec2(seconds(3)).later(seconds(5));
        assert_eq!(statuses(&later), [(5, "PENDING", false), (8, "RUNNING", false)]);
    }

    #[test]
    fn stop_ends_a_life_wherever_it_is() {
        let stop = |life: Life, after| statuses(&life.stops(Duration::from_secs(after)));
        let ending = |at: u64, status| {
            let later = [(1, "DEACTIVATING"), (2, "STOPPING"), (6, "DEPROVISIONING"), (10, "STOPPED"), (3600, "GONE")];
            let steps = [(0, status)].into_iter().chain(later);
            steps.map(|(later, status)| (at + later, status, true)).collect::<Vec<_>>()
        };
        assert_eq!(stop(Life::default(), 5), ending(5, "RUNNING"));
        let crash = [vec![(0, "PENDING", false)], ending(2, "PENDING")].concat();
        assert_eq!(stop(Life::ec2(Duration::from_secs(3)), 2), crash);
    }

    #[test]
    fn life_round_trips_through_json() {
        let life = Life::ec2(Duration::from_millis(2500)).stops(Duration::from_secs(9)).events("tasks", Duration::ZERO);
        let text = serde_json::to_string(&life).unwrap();
        assert_eq!(serde_json::from_str::<Life>(&text).unwrap(), life);
        let short = r#"{"steps": [{"afterMillis": 2500, "status": "RUNNING"}]}"#;
        let parsed: Life = serde_json::from_str(short).unwrap();
        assert_eq!(parsed, Life::default().then(Duration::from_millis(2500), Status::Running));
    }
}
