//! Whatever AWS does, no target is lost and the others follow.
//!
//! Each case: a healthy refresh; a fault, while tasks come up elsewhere; the fault passes. Somebody reads the
//! file all the while. What is asked only once (definitions, hosts) fails for a program that has been
//! restarted, with the file as its only memory.

use serde_json::Value;
use simaws::{Fault, FaultKind};

use crate::fixtures::{BUS, SHOP, TWO_CLUSTERS, WEB, on_fargate, two_clusters};
use crate::harness::{Scene, all_at_once, is_failure, text};

/// The tasks that come up under a fault, in `prod` and in `other`.
const NEW_IN_PROD: &str = "10.0.1.2:9102";
const NEW_IN_OTHER: &str = "10.0.2.2:9102";

/// An operation, and what is known of its fault.
struct Operation {
    name: &'static str,
    fault: fn(FaultKind) -> Fault,
    /// What the log says of the cluster, and of the targets that stand in.
    cluster: &'static str,
    keeping: &'static str,
    /// What is new and must appear all the same.
    follows: &'static [&'static str],
    /// Whether it is asked of only once, so that the program must have been restarted.
    remembered: bool,
}

const LIST_CLUSTERS: Operation = Operation {
    name: "ListClusters",
    fault: |kind| Fault::always("ecs:ListClusters", kind),
    cluster: "",
    keeping: "keeping 4 targets",
    follows: &[],
    remembered: false,
};

const LIST_TASKS: Operation = Operation {
    name: "ListTasks",
    fault: |kind| Fault::always("ecs:ListTasks", kind).cluster("prod"),
    cluster: "prod",
    keeping: "keeping 2 targets of cluster prod",
    follows: &[NEW_IN_OTHER],
    remembered: false,
};

const DESCRIBE_TASKS: Operation = Operation {
    name: "DescribeTasks",
    fault: |kind| Fault::always("ecs:DescribeTasks", kind).cluster("prod"),
    ..LIST_TASKS
};

const DESCRIBE_TASK_DEFINITION: Operation = Operation {
    name: "DescribeTaskDefinition",
    fault: |kind| Fault::always("ecs:DescribeTaskDefinition", kind).matching("/api:1"),
    cluster: "",
    keeping: "keeping 1 targets",
    follows: &[NEW_IN_PROD, NEW_IN_OTHER],
    remembered: true,
};

const DESCRIBE_CONTAINER_INSTANCES: Operation = Operation {
    name: "DescribeContainerInstances",
    fault: |kind| Fault::always("ecs:DescribeContainerInstances", kind).cluster("prod"),
    cluster: "prod",
    keeping: "keeping 1 targets of cluster prod",
    ..DESCRIBE_TASK_DEFINITION
};

const DESCRIBE_INSTANCES: Operation = Operation {
    name: "DescribeInstances",
    fault: |kind| Fault::always("ec2:DescribeInstances", kind),
    keeping: "keeping 2 targets",
    ..DESCRIBE_TASK_DEFINITION
};

/// Every kind of fault that has an answer or a quick end, and the code that the log gives it.
fn kinds(operation: &Operation) -> Vec<(FaultKind, &'static str)> {
    let ecs_or_ec2 = |ecs, ec2| if operation.name == "DescribeInstances" { ec2 } else { ecs };
    let own = FaultKind::Error { status: 418, code: "Teapot".into(), message: "short and\nstout".into() };
    let mut kinds = vec![
        (FaultKind::Throttle, ecs_or_ec2("ThrottlingException", "RequestLimitExceeded")),
        (FaultKind::ServerError, ecs_or_ec2("ServerException", "InternalError")),
        (FaultKind::Unavailable, ecs_or_ec2("ServiceUnavailableException", "Unavailable")),
        (FaultKind::Denied, ecs_or_ec2("AccessDeniedException", "UnauthorizedOperation")),
        (FaultKind::ExpiredToken, ecs_or_ec2("ExpiredTokenException", "RequestExpired")),
        (own, "Teapot"),
        (FaultKind::Reset, "ConnectionFailed"),
        (FaultKind::CutBody, "InvalidResponse"),
        (FaultKind::EmptyBody, "InvalidResponse"),
        (FaultKind::EmptyObject, "InvalidResponse"),
        (FaultKind::Html, "InvalidResponse"),
    ];
    // Half a document from EC2 has a test of its own.
    if operation.name != "DescribeInstances" {
        kinds.push((FaultKind::Malformed, "InvalidResponse"));
    }
    if ["ListClusters", "ListTasks", "DescribeInstances"].contains(&operation.name) {
        kinds.push((FaultKind::RepeatedToken, "InvalidResponse"));
    }
    kinds
}

/// The story of this module, for one operation and one kind of fault.
fn nothing_is_lost(operation: &Operation, kind: &FaultKind, code: &str) {
    let clusters = if operation.name == "ListClusters" { "" } else { "prod,other" };
    let mut scene = Scene::of(two_clusters()).flag(&format!("-config.cluster={clusters}"));
    if operation.remembered {
        scene = scene.flag("-config.cache=off");
    }
    scene.start_with(&TWO_CLUSTERS);
    let restarted = operation.remembered || code == "Timeout";
    if restarted {
        scene.stop();
    }
    let reader = scene.reader(&TWO_CLUSTERS);
    scene.aws.add_fault((operation.fault)(kind.clone()));
    if !restarted {
        // A refresh that is under way may have what it needs already, and would see what is new.
        scene.until_failed(operation.name, code);
    }
    scene.aws.change(|world| {
        world.cluster_mut("prod").add_task(on_fargate("web-2", "web:1", "10.0.1.2"));
        world.cluster_mut("other").add_task(on_fargate("shop-2", "shop:1", "10.0.2.2"));
    });
    if restarted {
        scene.start();
    }
    let failure = scene.until_failed(operation.name, code);
    assert_eq!(text(&failure, "message"), format!("{} failed: {}", operation.name, operation.keeping));
    assert_eq!(text(&failure, "cluster"), operation.cluster);
    assert!(!text(&failure, "error").is_empty() && !text(&failure, "error").contains('\n'), "{failure}");
    if code.ends_with("Exception") || operation.name == "DescribeInstances" && code.starts_with('R') {
        assert!(text(&failure, "request_id").starts_with("5e1f"), "{failure}");
    }
    scene.until_targets(&[&TWO_CLUSTERS[..], operation.follows].concat());
    scene.aws.clear_faults();
    scene.until_targets(&[&TWO_CLUSTERS[..], &[NEW_IN_PROD, NEW_IN_OTHER]].concat());
    reader.stop();
    let is_warning = |line: &&Value| text(line, "level") == "WARN" && !text(line, "operation").is_empty();
    assert!(scene.log().iter().filter(is_warning).all(|line| is_failure(line, operation.name, code)));
    scene.aws.change(|world| world.cluster_mut("prod").remove_task("api-1"));
    scene.until_targets(&[WEB, SHOP, BUS, NEW_IN_PROD, NEW_IN_OTHER]);
    scene.stop();
}

fn nothing_is_lost_by(operation: &Operation) {
    all_at_once(&kinds(operation), |(kind, code)| nothing_is_lost(operation, kind, code));
}

#[test]
fn nothing_is_lost_when_clusters_cannot_be_listed() {
    nothing_is_lost_by(&LIST_CLUSTERS);
}

#[test]
fn nothing_is_lost_when_tasks_cannot_be_listed() {
    nothing_is_lost_by(&LIST_TASKS);
}

#[test]
fn nothing_is_lost_when_tasks_cannot_be_described() {
    nothing_is_lost_by(&DESCRIBE_TASKS);
}

#[test]
fn nothing_is_lost_when_a_definition_cannot_be_described() {
    nothing_is_lost_by(&DESCRIBE_TASK_DEFINITION);
}

#[test]
fn nothing_is_lost_when_container_instances_cannot_be_described() {
    nothing_is_lost_by(&DESCRIBE_CONTAINER_INSTANCES);
}

#[test]
fn nothing_is_lost_when_instances_cannot_be_described() {
    nothing_is_lost_by(&DESCRIBE_INSTANCES);
}

/// The SDK's XML reader takes the end of a cut document for the end of its lists: instances that the missing
/// half names would look as if they did not exist.
#[test]
fn nothing_is_lost_when_ec2_sends_half_a_document() {
    nothing_is_lost(&DESCRIBE_INSTANCES, &FaultKind::Malformed, "InvalidResponse");
}

/// An attempt may take 5 s and a call 10 s, so these take as long.
#[test]
fn nothing_is_lost_when_answers_do_not_come() {
    let cases = [
        ("ListTasks hangs", &LIST_TASKS, FaultKind::Hang),
        ("DescribeTaskDefinition hangs", &DESCRIBE_TASK_DEFINITION, FaultKind::Hang),
        ("DescribeInstances hangs", &DESCRIBE_INSTANCES, FaultKind::Hang),
        ("DescribeTasks is slow", &DESCRIBE_TASKS, FaultKind::SlowBody { chunk_millis: 1000 }),
    ];
    let names: Vec<_> = cases.iter().collect();
    all_at_once(&names.iter().map(|case| case.0).collect::<Vec<_>>(), |name| {
        let (_, operation, kind) = cases.iter().find(|case| case.0 == *name).unwrap();
        nothing_is_lost(operation, kind, "Timeout");
    });
}
