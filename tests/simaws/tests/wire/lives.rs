//! Tasks that change by themselves.

use std::time::Duration;

use serde_json::{Value, json};
use simaws::{Life, SimAws, Status, Task};

use crate::client::{ecs, listing, send, try_send};
use crate::{start, world};

const SOON: Duration = Duration::from_millis(100);

fn task() -> Task {
    Task::fargate("t9", "web:3").container("app", "10.0.0.9")
}

fn described(aws: &SimAws) -> Value {
    ecs(aws, "DescribeTasks", json!({"cluster": "prod", "tasks": ["t9"]})).json()["tasks"][0].clone()
}

fn receive(aws: &SimAws, queue: &str) -> Vec<Value> {
    let body = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 20}).to_string();
    let reply = try_send(aws, "POST /", "X-Amz-Target: AmazonSQS.ReceiveMessage\r\n", &body).unwrap().json();
    let messages = reply["Messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|message| serde_json::from_str(message["Body"].as_str().unwrap()).unwrap()).collect()
}

#[test]
fn task_comes_up_and_stops() {
    let aws = start(world());
    let listed = || listing(&aws, "ListTasks", "taskArns", json!({"cluster": "prod"})).1.len();
    let address = |task: &Value| task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"].clone();
    assert_eq!(listed(), 2);
    aws.start_life("prod", task(), Life::default().then(Duration::ZERO, Status::Pending));
    assert_eq!((listed(), address(&described(&aws))), (3, Value::Null));
    aws.start_life("prod", task(), Life::default().then(SOON, Status::Running));
    let running = loop {
        let described = described(&aws);
        if described["lastStatus"] == "RUNNING" {
            break described;
        }
    };
    assert_eq!((address(&running), &running["version"]), (json!("10.0.0.9"), &json!(2)));
    aws.start_life("prod", task(), Life::default().stops(Duration::ZERO));
    assert_eq!((listed(), &described(&aws)["desiredStatus"]), (2, &json!("STOPPED")));
}

#[test]
fn event_reaches_a_call_that_waits() {
    let aws = start(world());
    let queue = aws.queue("tasks");
    aws.start_life("prod", task(), Life::default().then(SOON, Status::Running).events("tasks", SOON));
    let [event] = &receive(&aws, &queue)[..] else { panic!("one event") };
    assert_eq!((&event["detail"]["lastStatus"], &event["detail"]["version"]), (&json!("RUNNING"), &json!(1)));
}

#[test]
fn life_starts_over_http() {
    let aws = start(world());
    let life = r#"{"cluster": "prod", "task": {"id": "t9", "taskDefinition": "web:3"},
                   "life": {"steps": [{"afterMillis": 0, "status": "RUNNING"}], "queues": ["tasks"]}}"#;
    assert_eq!(send(&aws, "POST /_sim/lives", life).status, 200);
    assert_eq!(described(&aws)["lastStatus"], "RUNNING");
    assert_eq!(aws.messages("tasks"), 1);
    assert_eq!(send(&aws, "POST /_sim/lives", "{}").status, 400);
}
