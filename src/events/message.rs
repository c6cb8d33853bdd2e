//! From a message to a hint.

use serde_json::Value;

use crate::inventory::{TaskStatus, arn_account, arn_region};
use crate::schedule::Hint;

/// A longer message is no event of a task: one is about 4 kB, and each of at most ten containers adds half a kB.
const LONGEST: usize = 256 * 1024;

/// A longer text is no ARN (AWS's API model allows 1,011 to 2,048 characters).
const LONGEST_ARN: usize = 2048;

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// It tells of a task.
    Hint(Hint),
    /// It is another event.
    OtherEvent,
    /// It is no event, or a damaged one.
    Invalid,
}

/// Parses the text of a message as an event of EventBridge (Amazon ECS Developer Guide, "Amazon ECS task state change
/// events").
pub fn parse(body: &str) -> Parsed {
    if body.len() > LONGEST {
        return Parsed::Invalid;
    }
    let Ok(event) = serde_json::from_str::<Value>(body) else { return Parsed::Invalid };
    let (Some(source), Some(kind)) = (text(&event, "source"), text(&event, "detail-type")) else {
        return Parsed::Invalid;
    };
    if (source, kind) != ("aws.ecs", "ECS Task State Change") {
        return Parsed::OtherEvent;
    }
    event.get("detail").and_then(hint).map_or(Parsed::Invalid, Parsed::Hint)
}

fn hint(detail: &Value) -> Option<Hint> {
    let arn = |member, resource| text(detail, member).filter(|arn| is_arn(arn, resource));
    let (cluster, task) = (arn("clusterArn", ":cluster/")?, arn("taskArn", ":task/")?);
    let same_scope = arn_region(cluster) == arn_region(task) && arn_account(cluster) == arn_account(task);
    let hint = || {
        Some(Hint {
            cluster: cluster.into(),
            task: task.into(),
            version: detail.get("version")?.as_u64()?,
            last_status: TaskStatus::from_aws(text(detail, "lastStatus")),
            stop_requested: text(detail, "desiredStatus") == Some("STOPPED"),
        })
    };
    same_scope.then(hint).flatten()
}

fn is_arn(text: &str, resource: &str) -> bool {
    let id = text.split_once(resource).map_or("", |(_, id)| id);
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    text.len() <= LONGEST_ARN
        && printable
        && !id.is_empty()
        && arn_region(text).is_some()
        && arn_account(text).is_some()
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const CLUSTER: &str = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod";
    const TASK: &str = "arn:aws:ecs:eu-west-1:123456789012:task/prod/abc";

    fn event() -> Value {
        json!({
            "version": "0", "source": "aws.ecs", "detail-type": "ECS Task State Change",
            "detail": {
                "clusterArn": CLUSTER, "taskArn": TASK, "version": 5,
                "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "containers": [{"name": "app"}],
            },
        })
    }

    fn expected() -> Hint {
        let last_status = TaskStatus::Running;
        Hint { cluster: CLUSTER.into(), task: TASK.into(), version: 5, last_status, stop_requested: false }
    }

    /// Returns the event with another value at this place; `Null` removes it.
    fn with(pointer: &str, value: Value) -> String {
        let mut event = event();
        *event.pointer_mut(pointer).unwrap() = value;
        event.to_string()
    }

    #[test]
    fn event_of_a_task_is_a_hint() {
        assert_eq!(parse(&event().to_string()), Parsed::Hint(expected()));
        let stopping = Hint { stop_requested: true, ..expected() };
        assert_eq!(parse(&with("/detail/desiredStatus", json!("STOPPED"))), Parsed::Hint(stopping));
        let unknown = Hint { last_status: TaskStatus::Unknown, ..expected() };
        assert_eq!(parse(&with("/detail/lastStatus", json!(7))), Parsed::Hint(unknown));
    }

    #[test]
    fn other_events_and_damaged_ones_are_told_apart() {
        for (pointer, value) in [("/source", "aws.ec2"), ("/detail-type", "ECS Deployment State Change")] {
            assert_eq!(parse(&with(pointer, json!(value))), Parsed::OtherEvent, "{value}");
        }
        let damaged = [
            ("/source", json!(null)),
            ("/detail-type", json!(["ECS Task State Change"])),
            ("/detail", json!(null)),
            ("/detail", json!("x")),
            ("/detail/clusterArn", json!("prod")),
            ("/detail/clusterArn", json!(TASK)),
            ("/detail/clusterArn", json!("arn:aws:ecs:us-east-1:123456789012:cluster/prod")),
            ("/detail/taskArn", json!("arn:aws:ecs:eu-west-1:123456789012:task/")),
            ("/detail/taskArn", json!(format!("{TASK}\n"))),
            ("/detail/taskArn", json!(format!("{TASK}{}", "x".repeat(LONGEST_ARN)))),
            ("/detail/version", json!(null)),
            ("/detail/version", json!(-1)),
            ("/detail/version", json!("5")),
        ];
        for (pointer, value) in damaged {
            assert_eq!(parse(&with(pointer, value.clone())), Parsed::Invalid, "{pointer}: {value}");
        }
        for text in ["", "null", "[]", "{", "\u{feff}{}", &"[".repeat(10_000)] {
            assert_eq!(parse(text), Parsed::Invalid, "{text:.20}");
        }
        assert_eq!(parse(&(" ".repeat(LONGEST) + &event().to_string())), Parsed::Invalid);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            prop_assert!(!matches!(parse(&text), Parsed::Hint(_)));
        }

        /// A damaged event is never a hint about another task.
        #[test]
        fn cut_or_changed_event_is_the_same_hint_or_none(at in 0..300usize, with in any::<char>(), cut in any::<bool>()) {
            let mut text: Vec<char> = event().to_string().chars().collect();
            let at = at % text.len();
            if cut { text.truncate(at) } else { text[at] = with }
            if let Parsed::Hint(hint) = parse(&text.into_iter().collect::<String>()) {
                prop_assert!(arn_region(hint.cluster.as_str()) == arn_region(hint.task.as_str()));
            }
        }
    }
}
