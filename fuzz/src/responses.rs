//! The responses of ECS, EC2, SQS and STS through the real SDK, and of the task metadata endpoint.
//!
//! The first byte of the input is a letter for an operation, the second a digit for the status (2, 3, 4, 5 or another), and the
//! rest the body. All other operations succeed. After the last operation come the metadata as JSON and as a whole HTTP response.
//!
//! Invariant: no response makes the program panic or take more memory than in proportion to its size. Last known targets stay
//! unless a well-formed response says of just these that they are gone. No target comes up for a task that is not listed. Once all
//! is well again, so are the targets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ecs_discovery::aws::region_in_metadata;
use ecs_discovery::config::{Config, Queue};
use ecs_discovery::events::{self, EventQueue};
use ecs_discovery::file_sd::TargetGroup;
use ecs_discovery::http::get_over;
use ecs_discovery::inventory::{Failure, RoleArn, is_region};
use ecs_discovery::refresh::{Refresh, Refresher};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::memory::within;
use crate::offline::{
    CLUSTER, EC2_TASK, FARGATE_TASK, INSTANCE, Nobody, OPERATIONS, Response, healthy, source, with_clients,
};
use crate::runtime::block_on;
use crate::snapshots::settings;

/// The operations of a refresh, which come first.
const OF_REFRESH: usize = 9;

/// Runs the target.
pub fn run(data: &[u8]) {
    let [operation, status, body @ ..] = data else { return };
    let operation = usize::from(operation.wrapping_sub(b'A')) % (OPERATIONS.len() + 2);
    let status = match status {
        b'3' => 301,
        b'4' => 400,
        b'5' => 500,
        b'6' => 403,
        _ => 200,
    };
    let limit = (8 << 20) + 5_000 * data.len();
    match OPERATIONS.get(operation) {
        Some(name) => {
            let fault = Fault { operation: name, response: Response { status, body: body.to_vec() } };
            within(limit, || if operation < OF_REFRESH { check_refresh(&fault) } else { check_other(&fault) });
        }
        None if operation == OPERATIONS.len() => {
            if let Some(region) = region_in_metadata(body) {
                // What is ignored need not be UTF-8.
                assert!(is_region(&region) && serde_json::from_str::<Value>(&String::from_utf8_lossy(body)).is_ok());
            }
        }
        None => within(limit, || check_raw(body)),
    }
}

/// A response in place of the usual one.
struct Fault {
    operation: &'static str,
    response: Response,
}

impl Fault {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.response.status)
    }

    /// Returns the JSON, if it is an object. As to the SDK, control characters in its strings make no difference, nor what is
    /// not UTF-8 in those that it ignores.
    fn json(&self) -> Option<Value> {
        let body = self.response.body.iter().map(|byte| if *byte < b' ' { b' ' } else { *byte });
        serde_json::from_str(&String::from_utf8_lossy(&body.collect::<Vec<_>>())).ok().filter(Value::is_object)
    }

    /// Returns whether the response says that the targets of a task are gone, or may say so.
    fn may_remove(&self, task: &str) -> bool {
        let Response { status, body } = &self.response;
        let text = String::from_utf8_lossy(body);
        if !self.is_success() {
            let unknown = text.contains("Unable to describe task definition");
            return self.operation == "DescribeTaskDefinition" && *status < 500 && unknown;
        }
        let on_instance = task == EC2_TASK;
        if self.operation == "DescribeInstances" {
            return on_instance && text.trim_ascii_end().ends_with("</DescribeInstancesResponse>");
        }
        let Some(json) = self.json() else { return false };
        let list = |name: &str| json[name].as_array().map(Vec::as_slice);
        let lists = |name: &str, arn: &str| list(name).is_some_and(|items| items.iter().any(|item| item == arn));
        let names = |list_name: &str, arn_name: &str, arn: &str| {
            list(list_name).unwrap_or_default().iter().any(|item| item[arn_name] == arn)
        };
        let is_gone = |arn: &str| {
            let missing = |item: &Value| item["arn"] == arn && item["reason"] == "MISSING";
            list("failures").is_some_and(|failures| failures.iter().any(missing))
        };
        let is_last_page = json["nextToken"].as_str().is_none_or(str::is_empty);
        match self.operation {
            "ListClusters" => is_last_page && list("clusterArns").is_some() && !lists("clusterArns", CLUSTER),
            "ListTasks" => is_last_page && list("taskArns").is_some() && !lists("taskArns", task),
            "DescribeTasks" => names("tasks", "taskArn", task) || is_gone(task),
            "DescribeTaskDefinition" => json["taskDefinition"]["containerDefinitions"].is_array(),
            "DescribeContainerInstances" => {
                on_instance && (names("containerInstances", "containerInstanceArn", INSTANCE) || is_gone(INSTANCE))
            }
            _ => false,
        }
    }

    /// Returns whether the response cannot be of use, so that nothing of it is remembered.
    fn is_useless(&self) -> bool {
        let is_query = matches!(self.operation, "DescribeInstances" | "DescribeNetworkInterfaces");
        if self.is_success() { !is_query && self.json().is_none() } else { !self.may_remove(FARGATE_TASK) }
    }
}

fn config() -> Config {
    settings(&["-config.cluster=*", "-config.meta-labels=all", "-config.cache=off"])
}

/// Returns what tells a target apart, without the labels that only describe it.
fn identities(groups: &[TargetGroup]) -> BTreeSet<(String, String)> {
    let label = |group: &TargetGroup, name| group.labels.get(name).unwrap_or_default().to_owned();
    groups.iter().map(|group| (label(group, "task_arn"), group.targets.join(","))).collect()
}

fn check_refresh(fault: &Fault) {
    with_clients(|clients| {
        let config = config();
        let usual = usual(&config);
        let aws = source(&clients.offline, &config, b"");
        let mut refresher = Refresher::new(aws, config.rules.clone(), usual.clone(), None);
        let (operation, response) = (fault.operation, fault.response.clone());
        clients.aws.set(move |called, request| match called == operation {
            true => response.clone(),
            false => healthy(called, request),
        });
        let during = block_on(refresher.refresh(None));
        check_targets(fault, &during, &usual);
        if fault.is_useless() {
            clients.aws.set(healthy);
            let after = block_on(async {
                tokio::time::advance(Duration::from_secs(2 * 60 * 60)).await;
                refresher.refresh(None).await
            });
            assert_eq!(after.targets, usual, "all is well again");
        }
    });
}

/// Returns the targets while all is well.
fn usual(config: &Config) -> Arc<Vec<TargetGroup>> {
    thread_local! {
        static USUAL: std::cell::OnceCell<Arc<Vec<TargetGroup>>> = const { std::cell::OnceCell::new() };
    }
    let refresh = || {
        with_clients(|clients| {
            clients.aws.set(healthy);
            let aws = source(&clients.offline, config, b"");
            let mut refresher = Refresher::new(aws, config.rules.clone(), Arc::default(), None);
            let refresh = block_on(refresher.refresh(None));
            assert!(refresh.complete() && !refresh.failed(), "{:?}", refresh.snapshot.failures);
            assert_eq!(refresh.targets.len(), 2, "{:?}", refresh.targets);
            refresh.targets
        })
    };
    USUAL.with(|usual| usual.get_or_init(refresh).clone())
}

fn check_targets(fault: &Fault, refresh: &Refresh, usual: &[TargetGroup]) {
    let failures = || refresh.snapshot.failures.iter().map(|(_, failure)| failure);
    assert!(failures().all(|failure| failure.code != Failure::PANIC), "{:?}", refresh.snapshot.failures);
    for failure in failures() {
        assert!(!failure.message.contains('\n') && failure.message.chars().count() <= 401, "{failure:?}");
    }
    let now = identities(&refresh.targets);
    for (task, target) in identities(usual) {
        let is_kept = now.iter().any(|(kept, _)| *kept == task);
        assert!(is_kept || fault.may_remove(&task), "{task} lost: {:?}", refresh.snapshot.failures);
        if !fault.is_success() && is_kept {
            assert!(now.contains(&(task, target)), "{now:?}");
        }
    }
    let known = |task: &str| [FARGATE_TASK, EC2_TASK].contains(&task);
    assert!(now.iter().all(|(task, _)| known(task)), "{now:?}");
}

fn check_other(fault: &Fault) {
    with_clients(|clients| {
        let response = fault.response.clone();
        clients.aws.set(move |_, _| response.clone());
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks".to_owned();
        let mut queue =
            clients.offline.queue(&Queue { url, region: None, account: None, endpoint: None }, Arc::new(Nobody));
        block_on(async {
            match fault.operation {
                "ReceiveMessage" => {
                    let received = queue.receive().await;
                    // To the SDK an empty body is an empty object, and no messages are nothing unusual.
                    let is_response = fault.json().is_some() || fault.response.body.is_empty();
                    assert!(received.is_err() || (fault.is_success() && is_response), "{received:?}");
                    for message in received.unwrap_or_default() {
                        events::parse(&message.body);
                    }
                }
                "DeleteMessageBatch" => {
                    let deleted = queue.delete(vec!["receipt".into()]).await;
                    assert!(deleted.is_err() || fault.is_success());
                }
                "GetCallerIdentity" => {
                    let account = clients.offline.own_account().await;
                    assert!(account.is_none() || fault.is_success());
                }
                _ => {
                    let role = RoleArn::parse("arn:aws:iam::123456789012:role/r").unwrap();
                    let assumed = clients.offline.assume(&role).await;
                    assert!(assumed.is_err() || fault.is_success());
                }
            }
        });
    });
}

/// A whole response, with its head.
fn check_raw(bytes: &[u8]) {
    let (client, mut server) = tokio::io::duplex(64 << 10);
    let bytes = bytes.to_vec();
    block_on(async {
        let serve = async {
            // The client may have gone.
            let _ = server.write_all(&bytes).await;
            drop(server);
        };
        let url = "http://169.254.170.2/v4/x/task".parse().unwrap();
        if let (Ok((_, body)), ()) = tokio::join!(get_over(client, &url), serve) {
            assert!(body.len() <= 1 << 20);
            region_in_metadata(&body);
        }
    });
}
