//! The metrics: every series exists from the start, the values are exact, both text formats work.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use simaws::{Calls, Cluster, Fault, FaultKind};

use super::{ONE, both_clusters, small};
use crate::fixtures::{TWO_CLUSTERS, exporter, fargate, on_fargate, two_clusters};
use crate::harness::{Metrics, Scene, Server, of_cluster, run_concurrently, wait_until};

/// Every metric with its type in the Prometheus text format, where `# TYPE` lines keep the suffix `_total`.
const METRICS: [(&str, &str); 23] = [
    ("ecs_discovery_events_total", "counter"),
    ("ecs_discovery_aws_request_duration_seconds", "histogram"),
    ("ecs_discovery_aws_requests_total", "counter"),
    ("ecs_discovery_aws_throttles_total", "counter"),
    ("ecs_discovery_build_info", "gauge"),
    ("ecs_discovery_cache_entries", "gauge"),
    ("ecs_discovery_cluster_stale_seconds", "gauge"),
    ("ecs_discovery_containers_skipped", "gauge"),
    ("ecs_discovery_file_writes_total", "counter"),
    ("ecs_discovery_last_refresh_timestamp_seconds", "gauge"),
    ("ecs_discovery_last_successful_refresh_timestamp_seconds", "gauge"),
    ("ecs_discovery_oldest_kept_target_seconds", "gauge"),
    ("ecs_discovery_refresh_duration_seconds", "histogram"),
    ("ecs_discovery_refresh_failures_total", "counter"),
    ("ecs_discovery_refresh_interval_seconds", "gauge"),
    ("ecs_discovery_refreshes_total", "counter"),
    ("ecs_discovery_targets", "gauge"),
    ("ecs_discovery_updates_total", "counter"),
    ("process_cpu_seconds_total", "counter"),
    ("process_open_fds", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
    ("process_virtual_memory_bytes", "gauge"),
];

/// The operations with their services.
const OPERATIONS: [(&str, &str); 6] = [
    ("ecs", "ListClusters"),
    ("ecs", "ListTasks"),
    ("ecs", "DescribeTasks"),
    ("ecs", "DescribeTaskDefinition"),
    ("ecs", "DescribeContainerInstances"),
    ("ec2", "DescribeInstances"),
];

/// The account and region of the program's own credentials, whose account is not known.
const SCOPE: &str = "account_id=\"\",region=\"us-east-1\"";

fn of_operation(metric: &str, service: &str, operation: &str) -> String {
    format!("{metric}{{{SCOPE},service=\"{service}\",operation=\"{operation}\"}}")
}

fn requests(operation: &str, code: &str) -> String {
    format!("aws_requests_total{{{SCOPE},service=\"ecs\",operation=\"{operation}\",code=\"{code}\"}}")
}

/// The labels of what is not of one scope.
const NO_SCOPE: &str = "account_id=\"\",region=\"\"";

/// Returns the series of failures of a stage in a scope.
fn failures(scope: &str, stage: &str) -> String {
    format!("refresh_failures_total{{{scope},stage=\"{stage}\"}}")
}

fn targets(cluster: &str) -> String {
    of_cluster("targets", cluster)
}

fn stale(cluster: &str) -> String {
    of_cluster("cluster_stale_seconds", cluster)
}

/// Waits until the value of a series satisfies the condition, and returns all metrics.
fn wait_for_value(server: Server, series: &str, condition: impl Fn(f64) -> bool) -> Metrics {
    let mut metrics = server.metrics();
    wait_until(&format!("a value of {series}"), || {
        metrics = server.metrics();
        metrics.value(series).is_some_and(&condition)
    });
    metrics
}

/// Runs exactly one refresh.
fn once(scene: Scene) -> (Scene, Metrics) {
    let mut scene = scene.flag("-config.scrape-interval=1h");
    let server = scene.serve();
    let metrics = wait_for_value(server, "refreshes_total", |refreshes| refreshes == 1.0);
    (scene, metrics)
}

fn types(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

#[test]
fn every_series_exists_before_the_first_refresh_ends() {
    let mut scene = small();
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Hang));
    let server = scene.serve();
    let metrics = wait_for_value(server, &failures(SCOPE, "list_tasks"), |count| count == 0.0);
    // Metrics of clusters appear when the first refresh ends.
    let later =
        ["ecs_discovery_targets", "ecs_discovery_cluster_stale_seconds", "ecs_discovery_refresh_interval_seconds"];
    let expected = METRICS.into_iter().filter(|(name, _)| !later.contains(name));
    assert_eq!(types(&metrics.0), expected.collect());
    let there: BTreeSet<&str> = metrics.series("").into_iter().collect();
    let per_operation = OPERATIONS.iter().flat_map(|(service, operation)| {
        let requests = of_operation("aws_requests_total", service, operation).replace('}', ",code=\"ok\"}");
        let duration = of_operation("aws_request_duration_seconds_count", service, operation);
        [requests, duration, of_operation("aws_throttles_total", service, operation)]
    });
    let stages = [
        "assume_role",
        "list_clusters",
        "list_tasks",
        "describe_tasks",
        "describe_task_definition",
        "describe_container_instances",
        "describe_instances",
        "panic",
    ];
    let labelled = |metric: &'static str, label: &'static str, values: &[&str]| -> Vec<String> {
        values.iter().map(|value| format!("{metric}{{{label}=\"{value}\"}}")).collect()
    };
    let wanted = per_operation
        .chain(stages.map(|stage| failures(SCOPE, stage)))
        .chain([failures(NO_SCOPE, "panic"), failures(NO_SCOPE, "write")])
        .chain(labelled("containers_skipped", "reason", &ecs_discovery::targets::SkipReason::CODES))
        .chain(labelled("events_total", "result", &ecs_discovery::events::EventResult::ALL.map(|result| result.name())))
        .chain(labelled("updates_total", "cause", &["watch", "event"]))
        .chain(labelled("file_writes_total", "result", &["replaced", "unchanged", "failed", "not_overwritten"]))
        .chain(labelled("cache_entries", "cache", &["tasks", "task_definitions", "container_instances", "instances"]))
        .chain(["refreshes_total", "refresh_duration_seconds_count", "last_refresh_timestamp_seconds"].map(Into::into))
        .chain(["last_successful_refresh_timestamp_seconds".to_owned()]);
    for series in wanted {
        assert!(there.contains(series.as_str()), "{series} is not among {there:#?}");
    }
    let build = format!("build_info{{version=\"{}\",revision=\"", env!("CARGO_PKG_VERSION"));
    assert_eq!(metrics.series(&build).len(), 1);
    assert_eq!((metrics.value("refreshes_total"), metrics.series("targets{").len()), (Some(0.0), 0));
}

#[test]
fn values_after_one_refresh() {
    let mut world = two_clusters().with_cluster(Cluster::new("empty")).with_task_definition(exporter("old", 2, "none"));
    world.cluster_mut("prod").add_task(on_fargate("old-1", "old:2", "10.0.9.9"));
    let (mut scene, metrics) = once(Scene::of(world));
    assert_eq!(scene.targets().len(), TWO_CLUSTERS.len());
    assert_eq!(types(&metrics.0), BTreeMap::from(METRICS));
    for (series, value) in [
        (targets("prod").as_str(), 2.0),
        (targets("other").as_str(), 2.0),
        (targets("empty").as_str(), 0.0),
        (stale("empty").as_str(), 0.0),
        ("containers_skipped{reason=\"network_mode_none\"}", 1.0),
        ("containers_skipped{reason=\"no_port_label\"}", 0.0),
        ("file_writes_total{result=\"replaced\"}", 1.0),
        ("file_writes_total{result=\"unchanged\"}", 0.0),
        ("cache_entries{cache=\"task_definitions\"}", 5.0),
        ("cache_entries{cache=\"container_instances\"}", 2.0),
        ("cache_entries{cache=\"instances\"}", 2.0),
        ("refresh_duration_seconds_count", 1.0),
    ] {
        assert_eq!(metrics.value(series), Some(value), "{series}");
    }
    let counted: Vec<(String, usize)> = OPERATIONS
        .iter()
        .map(|(service, operation)| {
            let ok = of_operation("aws_requests_total", service, operation).replace('}', ",code=\"ok\"}");
            let took = of_operation("aws_request_duration_seconds_count", service, operation);
            assert_eq!(metrics.value(&ok), metrics.value(&took), "{ok}");
            (format!("{service}:{operation}"), metrics.value(&ok).unwrap() as usize)
        })
        .collect();
    let counted: Vec<(&str, usize)> = counted.iter().map(|(operation, count)| (operation.as_str(), *count)).collect();
    assert_eq!(scene.aws.calls(), Calls::of(&counted));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    for series in ["last_refresh_timestamp_seconds", "last_successful_refresh_timestamp_seconds"] {
        let ago = now - metrics.value(series).unwrap();
        assert!((0.0..300.0).contains(&ago), "{series}: {ago} s ago");
    }
    scene.stop();
}

#[test]
fn every_attempt_of_a_retried_call_is_counted() {
    let scene = small();
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Throttle).times(2));
    let (mut scene, metrics) = once(scene);
    scene.wait_for_targets(&[ONE]);
    assert_eq!(metrics.value(&requests("ListTasks", "ThrottlingException")), Some(2.0));
    assert_eq!(metrics.value(&requests("ListTasks", "ok")), Some(1.0));
    assert_eq!(metrics.value(&of_operation("aws_throttles_total", "ecs", "ListTasks")), Some(2.0));
    assert_eq!(metrics.value(&of_operation("aws_throttles_total", "ecs", "DescribeTasks")), Some(0.0));
    assert_eq!(metrics.value(&of_operation("aws_request_duration_seconds_count", "ecs", "ListTasks")), Some(3.0));
    assert_eq!(metrics.value(&failures(SCOPE, "list_tasks")), Some(0.0));
    scene.stop();
}

/// The listing fails while tasks of its first page are described, which ends that call: AWS may have counted it.
#[test]
fn call_that_is_no_longer_needed_is_counted() {
    let scene = Scene::of(fargate(150)).flag("-config.cluster=prod");
    scene.aws.add_fault(Fault::always("ecs:DescribeTasks", FaultKind::Hang));
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).skip(1));
    let (mut scene, metrics) = once(scene);
    assert_eq!(metrics.value(&requests("ListTasks", "AccessDeniedException")), Some(1.0));
    assert_eq!(metrics.value(&requests("DescribeTasks", "Cancelled")), Some(1.0), "{}", metrics.0);
    scene.stop();
}

#[test]
fn failures_are_counted_by_stage_and_code() {
    let cases = [
        ("ecs:ListTasks", FaultKind::Denied, "list_tasks", requests("ListTasks", "AccessDeniedException")),
        ("ecs:DescribeTasks", FaultKind::Html, "describe_tasks", requests("DescribeTasks", "InvalidResponse")),
        ("ecs:ListTasks", FaultKind::Reset, "list_tasks", requests("ListTasks", "ConnectionFailed")),
        (
            "ecs:ListTasks",
            FaultKind::Error { status: 400, code: "Not a <code>\"".into(), message: "x".into() },
            "list_tasks",
            requests("ListTasks", "other"),
        ),
    ];
    run_concurrently(&cases, |(operation, kind, stage, request)| {
        let scene = small();
        scene.aws.add_fault(Fault::always(operation, kind.clone()));
        let (mut scene, metrics) = once(scene);
        assert_eq!(metrics.value(&failures(SCOPE, stage)), Some(1.0), "{stage}");
        assert!(metrics.value(request).is_some_and(|count| count >= 1.0), "{request}: {}", metrics.0);
        assert_eq!(metrics.value("last_successful_refresh_timestamp_seconds"), Some(0.0));
        assert!(metrics.value("last_refresh_timestamp_seconds").is_some_and(|time| time > 1.0e9));
        scene.stop();
    });
}

#[test]
fn denied_role_is_a_failure_of_stage_assume_role() {
    let scene = small().flag("-config.role-arn=arn:aws:iam::123456789012:role/reader");
    scene.aws.add_fault(Fault::always("sts:AssumeRole", FaultKind::Denied));
    let (mut scene, metrics) = once(scene);
    let of_role = |series: &str| series.replace("account_id=\"\"", "account_id=\"123456789012\"");
    assert_eq!(metrics.value(&failures(&of_role(SCOPE), "assume_role")), Some(1.0));
    assert_eq!(metrics.value(&failures(&of_role(SCOPE), "list_tasks")), Some(0.0));
    assert_eq!(metrics.value(&of_role(&requests("ListTasks", "DispatchFailure"))), Some(1.0), "the call was not sent");
    assert_eq!(
        (metrics.value(&of_role(&requests("ListTasks", "InvalidResponse"))), scene.aws.calls().get("ecs:ListTasks")),
        (None, 0)
    );
    scene.stop();
}

#[test]
fn failed_write_is_counted_and_targets_stay_known() {
    let (mut scene, metrics) = once(small().write_to("nowhere/ecs.yml"));
    assert_eq!(metrics.value("file_writes_total{result=\"failed\"}"), Some(1.0));
    assert_eq!(metrics.value(&failures(NO_SCOPE, "write")), Some(1.0));
    assert_eq!(metrics.value(&targets("prod")), Some(1.0));
    scene.stop();
}

#[test]
fn kept_foreign_file_is_counted_and_no_target_is_published() {
    let scene = small();
    scene.write_file("not ours");
    scene.aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", FaultKind::Denied));
    let (mut scene, metrics) = once(scene);
    assert_eq!(metrics.value("file_writes_total{result=\"not_overwritten\"}"), Some(1.0));
    assert_eq!(metrics.value(&targets("prod")), Some(0.0));
    scene.stop();
}

#[test]
fn staleness_of_a_cluster_grows_resets_and_disappears() {
    let mut scene = Scene::of(two_clusters());
    let server = scene.serve();
    scene.wait_for_targets(&TWO_CLUSTERS);
    scene.aws.add_fault(Fault::always("ecs:DescribeTasks", FaultKind::Denied).cluster("prod"));
    let metrics = wait_for_value(server, &stale("prod"), |seconds| seconds > 0.0);
    let first = metrics.value(&stale("prod")).unwrap();
    let metrics = wait_for_value(server, &stale("prod"), |seconds| seconds > first + 0.5);
    assert_eq!(metrics.value(&stale("other")), Some(0.0));
    assert_eq!(metrics.value(&targets("prod")), Some(2.0), "the last known ones");
    scene.aws.clear_faults();
    wait_for_value(server, &stale("prod"), |seconds| seconds == 0.0);
    scene.aws.add_fault(Fault::always("ecs:ListClusters", FaultKind::Denied));
    let metrics = wait_for_value(server, &stale("other"), |seconds| seconds > 0.0);
    assert!(metrics.value(&stale("prod")).is_some_and(|seconds| seconds > 0.0));
    scene.aws.change(|world| world.clusters.retain(|cluster| cluster.name != "prod"));
    scene.aws.clear_faults();
    wait_until("no series of the removed cluster", || !server.metrics().0.contains("\"prod\""));
    assert_eq!(server.metrics().value(&targets("other")), Some(2.0));
    scene.stop();
}

#[test]
fn denied_definition_makes_its_cluster_stale() {
    let mut scene = both_clusters();
    scene.aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", FaultKind::Denied).matching("/shop:1"));
    let server = scene.serve();
    let metrics = wait_for_value(server, &stale("other"), |seconds| seconds > 0.0);
    assert_eq!(metrics.value(&stale("prod")), Some(0.0));
    scene.stop();
}

#[test]
fn text_and_openmetrics_formats() {
    let mut scene = small();
    let server = scene.serve();
    // Afterwards the two responses have the same series.
    scene.wait_for_refreshes(2);
    let text = server.get("/metrics");
    assert_eq!(text.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(!text.body.contains("# EOF") && !text.body.contains("# UNIT"), "{}", text.body);
    // The header that Prometheus 3 sends.
    let accept = "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                  application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2\r\n";
    let openmetrics = server.request("GET", "/metrics", accept);
    assert_eq!(openmetrics.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(openmetrics.body.ends_with("\n# EOF\n"));
    assert_eq!(types(&openmetrics.body).get("ecs_discovery_refreshes"), Some(&"counter"));
    let names = |body: &str| -> BTreeSet<String> {
        let samples = body.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    assert_eq!(names(&text.body), names(&openmetrics.body));
    assert_eq!(
        server.request("GET", "/metrics", "Accept: text/plain\r\n").header("content-type"),
        text.header("content-type")
    );
    scene.stop();
}
