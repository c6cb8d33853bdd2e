//! The text of a queue's message.
//!
//! Invariant: parsing takes memory in proportion to the text's size. A hint comes only from a JSON object of at most 256 KiB
//! that says to be a task state change of ECS, and names a task and its cluster as the message does, both in the same account and
//! region. A hint leads to a call for just that task at most.

use std::time::{Duration, Instant};

use ecs_discovery::events::{Parsed, parse};
use ecs_discovery::inventory::{arn_account, arn_region};
use ecs_discovery::schedule::{Added, Hint, Hints, Known};
use serde_json::Value;

use crate::memory::within;

/// Runs the target.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Parsed::Hint(hint) = within((64 << 10) + 200 * text.len(), || parse(&text)) {
        assert!(text.len() <= 256 << 10);
        check(&hint, &serde_json::from_str(&text).expect("JSON"));
        check_calls(hint);
    }
}

fn check(hint: &Hint, event: &Value) {
    assert_eq!((&event["source"], &event["detail-type"]), (&"aws.ecs".into(), &"ECS Task State Change".into()));
    let detail = &event["detail"];
    let (task, cluster) = (hint.task.as_str(), hint.cluster.as_str());
    assert_eq!((&detail["taskArn"], &detail["clusterArn"]), (&task.into(), &cluster.into()));
    assert_eq!(detail["version"], hint.version);
    assert_eq!(hint.stop_requested, detail["desiredStatus"] == "STOPPED");
    assert!(task.starts_with("arn:") && task.contains(":task/") && cluster.contains(":cluster/"), "{hint:?}");
    assert!(arn_region(task).is_some() && arn_account(task).is_some(), "{hint:?}");
    assert_eq!((arn_region(task), arn_account(task)), (arn_region(cluster), arn_account(cluster)));
    assert!([task, cluster].iter().all(|arn| arn.len() <= 2048 && arn.bytes().all(|byte| byte.is_ascii_graphic())));
}

fn check_calls(hint: Hint) {
    let (mut hints, now) = (Hints::default(), Instant::now());
    let (task, cluster) = (hint.task.clone(), hint.cluster.clone());
    let added = hints.add(hint.clone(), Known::Nothing, now);
    assert_eq!(hints.add(hint, Known::Nothing, now), Added::NothingNew, "the same again");
    let batch = hints.take_due(now + Duration::from_secs(1));
    assert_eq!(batch.is_some(), added == Added::Accepted);
    if let Some(batch) = batch {
        assert_eq!((batch.cluster.as_str(), batch.tasks), (cluster.as_str(), vec![task]));
    }
}
