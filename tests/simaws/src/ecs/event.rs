//! The event `ECS Task State Change` as EventBridge puts it into a queue ("Amazon ECS task state change events" in the
//! Amazon ECS Developer Guide).

use serde_json::{Value, json};

use super::wire;
use crate::time;
use crate::world::{Task, World};

/// Returns the event that a task is as it is now. `number` makes its id.
pub(crate) fn of_task(world: &World, cluster: &str, task: &Task, number: u64) -> String {
    let now = time::now();
    let mut detail = wire::task(world, cluster, task, false);
    if let Some(members) = detail.as_object_mut() {
        members.remove("tags");
        // An event has texts where a response has seconds since 1970.
        let times = members.iter_mut().filter(|(name, _)| name.ends_with("At"));
        times.for_each(|(_, time)| {
            *time = time.as_f64().map_or(Value::Null, |seconds| json!(time::iso8601(seconds as u64)))
        });
        members.insert("updatedAt".to_owned(), json!(now));
    }
    let attachments = detail["attachments"].as_array_mut().into_iter().flatten();
    attachments.filter(|one| one["type"] == "ElasticNetworkInterface").for_each(|one| one["type"] = json!("eni"));
    let event = json!({
        "version": "0",
        "id": format!("3317b2af-7005-947d-b652-{number:012x}"),
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": world.account,
        "time": now,
        "region": world.region,
        "resources": [world.task_arn(cluster, &task.id)],
        "detail": detail,
    });
    event.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_has_the_task_without_tags() {
        let task = Task::fargate("t", "web:1").container("app", "10.0.0.1").eni("10.0.0.1").tag("team", "x");
        let task = Task { version: Some(3), ..task.member("createdAt", json!(1_767_225_599.5)) };
        let event: Value = serde_json::from_str(&of_task(&World::default(), "prod", &task, 10)).unwrap();
        assert_eq!((&event["source"], &event["detail-type"]), (&json!("aws.ecs"), &json!("ECS Task State Change")));
        let arn = "arn:aws:ecs:us-east-1:123456789012:task/prod/t";
        assert_eq!(
            (&event["resources"], &event["id"]),
            (&json!([arn]), &json!("3317b2af-7005-947d-b652-00000000000a"))
        );
        let detail = &event["detail"];
        assert_eq!(detail["clusterArn"], "arn:aws:ecs:us-east-1:123456789012:cluster/prod");
        let shown = ["taskArn", "lastStatus", "desiredStatus", "createdAt"].map(|name| detail[name].as_str().unwrap());
        assert_eq!(shown, [arn, "RUNNING", "RUNNING", "2025-12-31T23:59:59Z"]);
        assert_eq!((&detail["version"], &detail["tags"]), (&json!(3), &Value::Null));
        assert_eq!(detail["attachments"][0]["type"], "eni");
        assert_eq!(detail["containers"][0]["networkInterfaces"][0]["privateIpv4Address"], "10.0.0.1");
    }
}
