//! One change of a task, and what ECS shows of the task afterwards.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::millis;
use crate::world::{Container, Task};

/// A lifecycle status, in order ("Amazon ECS task lifecycle" in the Amazon ECS Developer Guide).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum Status {
    Provisioning,
    Pending,
    Activating,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
    /// DescribeTasks does not know the task any more. Not a status of AWS.
    Gone,
}

/// A change of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// The time since the creation of the task.
    #[serde(rename = "afterMillis", with = "millis")]
    pub after: Duration,
    /// The last status from then on.
    pub status: Status,
    /// Whether the desired status is STOPPED from then on.
    #[serde(default)]
    pub stop: bool,
}

impl Status {
    /// Returns AWS's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Activating => "ACTIVATING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
            Self::Gone => "GONE",
        }
    }

    /// Returns the status of a task's containers.
    fn of_containers(self) -> &'static str {
        match self {
            Self::Provisioning | Self::Pending | Self::Activating => "PENDING",
            Self::Running | Self::Deactivating | Self::Stopping => "RUNNING",
            Self::Deprovisioning | Self::Stopped | Self::Gone => "STOPPED",
        }
    }
}

impl Step {
    /// Returns the task after this change, given how it is while it runs: addresses are known from ACTIVATING on and
    /// published ports from RUNNING on, and both stay when it stops. ListTasks lists it until it is to stop.
    pub(crate) fn applied_to(&self, running: &Task, version: i64) -> Task {
        let desired = if self.stop { "STOPPED" } else { "RUNNING" };
        let mut task = running.clone().last_status(self.status.name()).desired_status(desired);
        (task.version, task.listed) = (Some(version), !self.stop);
        for container in &mut task.containers {
            self.change_container(container);
        }
        if self.status < Status::Activating {
            task.attachments.iter_mut().filter(|attachment| is_interface(attachment)).for_each(detach);
        }
        task
    }

    fn change_container(&self, container: &mut Container) {
        container.last_status = Some(self.status.of_containers().to_owned());
        if self.status < Status::Activating {
            container.network_interfaces.clear();
        }
        if self.status < Status::Running {
            container.network_bindings.clear();
        }
    }
}

fn is_interface(attachment: &Value) -> bool {
    attachment["type"] == "ElasticNetworkInterface"
}

/// Makes an attachment one whose interface does not exist yet: it has only the subnet.
fn detach(attachment: &mut Value) {
    attachment["status"] = json!("PRECREATED");
    if let Some(details) = attachment["details"].as_array_mut() {
        details.retain(|detail| detail["name"] == "subnetId");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(status: Status, stop: bool) -> Step {
        Step { after: Duration::ZERO, status, stop }
    }

    fn task() -> Task {
        let app = Container::new("app").interface("10.0.0.1").binding(80, 32768);
        Task::fargate("t", "web:1").eni("10.0.0.1").with_container(app)
    }

    #[test]
    fn addresses_and_ports_come_with_their_status() {
        let known = |status| {
            let task = step(status, false).applied_to(&task(), 1);
            let app = &task.containers[0];
            let address = task.attachments[0]["details"].as_array().unwrap().len() == 3;
            assert_eq!(address, !app.network_interfaces.is_empty());
            (address, !app.network_bindings.is_empty())
        };
        assert_eq!(known(Status::Provisioning), (false, false));
        assert_eq!(known(Status::Pending), (false, false));
        assert_eq!(known(Status::Activating), (true, false));
        assert_eq!(known(Status::Running), (true, true));
        assert_eq!(known(Status::Stopped), (true, true));
    }

    #[test]
    fn running_task_is_as_given() {
        let expected = Task { version: Some(4), ..task() };
        assert_eq!(step(Status::Running, false).applied_to(&task(), 4), expected);
    }

    #[test]
    fn task_that_is_to_stop_is_not_listed() {
        let stopping = step(Status::Running, true).applied_to(&task(), 5);
        let statuses = [&stopping.last_status, &stopping.desired_status].map(|status| status.as_deref());
        assert_eq!((statuses, stopping.listed), ([Some("RUNNING"), Some("STOPPED")], false));
        let stopped = step(Status::Stopped, true).applied_to(&task(), 6);
        assert_eq!(stopped.containers[0].last_status.as_deref(), Some("STOPPED"));
    }
}
