//! No fault of any AWS call loses a target or delays the targets that do not depend on that call.
//!
//! Each case: a healthy refresh; a fault, while new tasks start elsewhere; the fault clears. Meanwhile the file is read
//! in a loop. Calls whose results are cached (definitions, hosts) fail after a restart without a cache, so that only
//! the file knows the targets.

use serde_json::Value;
use simaws::{Fault, FaultKind};

use crate::fixtures::{BUS, SHOP, TWO_CLUSTERS, WEB, on_fargate, two_clusters};
use crate::harness::{Scene, is_failure, run_concurrently, text};

/// The targets of the tasks that start during a fault, in `prod` and in `other`.
const NEW_IN_PROD: &str = "10.0.1.2:9102";
const NEW_IN_OTHER: &str = "10.0.2.2:9102";

/// An operation, and what to expect of its failure.
struct Operation {
    name: &'static str,
    fault: fn(FaultKind) -> Fault,
    /// The cluster in the log, and the last known targets.
    cluster: &'static str,
    keeping: &'static str,
    /// The new targets that must appear nevertheless.
    unaffected: &'static [&'static str],
    /// Whether the results are cached, so that the operation fails only after a restart.
    cached: bool,
}

const LIST_CLUSTERS: Operation = Operation {
    name: "ListClusters",
    fault: |kind| Fault::always("ecs:ListClusters", kind),
    cluster: "",
    keeping: "keeping 4 targets",
    unaffected: &[],
    cached: false,
};

const LIST_TASKS: Operation = Operation {
    name: "ListTasks",
    fault: |kind| Fault::always("ecs:ListTasks", kind).cluster("prod"),
    cluster: "prod",
    keeping: "keeping 2 targets of cluster prod",
    unaffected: &[NEW_IN_OTHER],
    cached: false,
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
    unaffected: &[NEW_IN_PROD, NEW_IN_OTHER],
    cached: true,
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

/// Every kind of fault that ends quickly, with its code in the log.
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
    // `cut_ec2_response_loses_no_target` covers a cut document from EC2.
    if operation.name != "DescribeInstances" {
        kinds.push((FaultKind::Malformed, "InvalidResponse"));
    }
    if ["ListClusters", "ListTasks", "DescribeInstances"].contains(&operation.name) {
        kinds.push((FaultKind::RepeatedToken, "InvalidResponse"));
    }
    kinds
}

/// Runs the scenario of this module for one operation and one kind of fault.
fn check_fault(operation: &Operation, kind: &FaultKind, code: &str) {
    let clusters = if operation.name == "ListClusters" { "" } else { "prod,other" };
    let mut scene = Scene::of(two_clusters()).flag(&format!("-config.cluster={clusters}"));
    if operation.cached {
        scene = scene.flag("-config.cache=off");
    }
    scene.start_and_wait_for(&TWO_CLUSTERS);
    let restarted = operation.cached || code == "Timeout";
    if restarted {
        scene.stop();
    }
    let reader = scene.reader(&TWO_CLUSTERS);
    scene.aws.add_fault((operation.fault)(kind.clone()));
    if !restarted {
        // A refresh in progress may be past the failing call, and would find the new tasks.
        scene.wait_for_failure(operation.name, code);
    }
    scene.aws.change(|world| {
        world.cluster_mut("prod").add_task(on_fargate("web-2", "web:1", "10.0.1.2"));
        world.cluster_mut("other").add_task(on_fargate("shop-2", "shop:1", "10.0.2.2"));
    });
    if restarted {
        scene.start();
    }
    let failure = scene.wait_for_failure(operation.name, code);
    assert_eq!(text(&failure, "message"), format!("{} failed: {}", operation.name, operation.keeping));
    assert_eq!(text(&failure, "cluster"), operation.cluster);
    assert!(!text(&failure, "error").is_empty() && !text(&failure, "error").contains('\n'), "{failure}");
    if code.ends_with("Exception") || operation.name == "DescribeInstances" && code.starts_with('R') {
        assert!(text(&failure, "request_id").starts_with("5e1f"), "{failure}");
    }
    scene.wait_for_targets(&[&TWO_CLUSTERS[..], operation.unaffected].concat());
    scene.aws.clear_faults();
    scene.wait_for_targets(&[&TWO_CLUSTERS[..], &[NEW_IN_PROD, NEW_IN_OTHER]].concat());
    reader.stop();
    let is_warning = |line: &&Value| text(line, "level") == "WARN" && !text(line, "operation").is_empty();
    assert!(scene.log().iter().filter(is_warning).all(|line| is_failure(line, operation.name, code)));
    scene.aws.change(|world| world.cluster_mut("prod").remove_task("api-1"));
    scene.wait_for_targets(&[WEB, SHOP, BUS, NEW_IN_PROD, NEW_IN_OTHER]);
    scene.stop();
}

fn check_faults(operation: &Operation) {
    run_concurrently(&kinds(operation), |(kind, code)| check_fault(operation, kind, code));
}

#[test]
fn failed_list_clusters_loses_no_target() {
    check_faults(&LIST_CLUSTERS);
}

#[test]
fn failed_list_tasks_loses_no_target() {
    check_faults(&LIST_TASKS);
}

#[test]
fn failed_describe_tasks_loses_no_target() {
    check_faults(&DESCRIBE_TASKS);
}

#[test]
fn failed_describe_task_definition_loses_no_target() {
    check_faults(&DESCRIBE_TASK_DEFINITION);
}

#[test]
fn failed_describe_container_instances_loses_no_target() {
    check_faults(&DESCRIBE_CONTAINER_INSTANCES);
}

#[test]
fn failed_describe_instances_loses_no_target() {
    check_faults(&DESCRIBE_INSTANCES);
}

/// The SDK's XML parser takes the end of a cut document for the end of its lists: instances in the missing half would
/// look as if they did not exist.
#[test]
fn cut_ec2_response_loses_no_target() {
    check_fault(&DESCRIBE_INSTANCES, &FaultKind::Malformed, "InvalidResponse");
}

/// Slow: an attempt times out after 5 s and a call after 10 s.
#[test]
fn timeout_loses_no_target() {
    let cases = [
        ("ListTasks hangs", &LIST_TASKS, FaultKind::Hang),
        ("DescribeTaskDefinition hangs", &DESCRIBE_TASK_DEFINITION, FaultKind::Hang),
        ("DescribeInstances hangs", &DESCRIBE_INSTANCES, FaultKind::Hang),
        ("DescribeTasks is slow", &DESCRIBE_TASKS, FaultKind::SlowBody { chunk_millis: 1000 }),
    ];
    let names: Vec<_> = cases.iter().collect();
    run_concurrently(&names.iter().map(|case| case.0).collect::<Vec<_>>(), |name| {
        let (_, operation, kind) = cases.iter().find(|case| case.0 == *name).unwrap();
        check_fault(operation, kind, "Timeout");
    });
}
