//! `-config.meta-labels=all`: its calls, and what their failures cost, which is no target and little time.

use std::time::{Duration, Instant};

use serde_json::Value;
use simaws::{Calls, Cluster, Fault, FaultKind, NetworkInterface, Options, Service, Task, World};

use crate::fixtures::{PORT_LABEL, address, exporter, on_fargate};
use crate::harness::{Scene, run_concurrently, text, wait_until};

/// The operations that only these labels need.
const OPERATIONS: [&str; 3] = ["ecs:DescribeServices", "ecs:DescribeClusters", "ec2:DescribeNetworkInterfaces"];

/// How long a refresh may wait for them, on a busy machine.
const BOUND: Duration = Duration::from_secs(8);

/// Returns the nth task of a service, with a network interface and a public address.
fn task(service: &str, n: usize) -> Task {
    let ip = address(n);
    on_fargate(&format!("t-{n}"), "web:1", &ip)
        .eni_with_id(&format!("eni-{n}"), &ip)
        .group(&format!("service:{service}"))
}

fn interface(n: usize) -> NetworkInterface {
    NetworkInterface::new(&format!("eni-{n}"), Some(&format!("203.0.{}.{}", n / 250, n % 250 + 1)))
}

/// Returns these clusters, each with this many services that have one task each.
fn world(clusters: usize, services: usize) -> World {
    let mut world = World::default().with_task_definition(exporter("web", 1, "awsvpc"));
    for c in 0..clusters {
        let mut cluster = Cluster::new(&format!("c-{c}")).tag("env", &format!("env-{c}"));
        for s in 0..services {
            let n = c * services + s;
            cluster = cluster.with_service(Service::new(&format!("s-{s}")).tag("team", &format!("team-{n}")));
            cluster.add_task(task(&format!("s-{s}"), n));
            world.network_interfaces.push(interface(n));
        }
        world.add_cluster(cluster);
    }
    world
}

fn all(world: World) -> Scene {
    Scene::of(world).flag("-config.meta-labels=all").flag("-config.cache=off")
}

/// Returns the values of a label, sorted, of those targets that have it.
fn values(scene: &Scene, label: &str) -> Vec<String> {
    let mut values: Vec<_> =
        scene.groups().iter().filter_map(|group| Some(group.labels.get(label)?.to_owned())).collect();
    values.sort_unstable();
    values
}

/// Ten clusters with a hundred services each, in one refresh and in three: then nothing is described again for a minute.
#[test]
fn thousand_services_are_described_once() {
    for refreshes in [1, 3] {
        let mut scene = all(world(10, 100)).flag(&format!("-config.scrape-times={refreshes}"));
        scene.aws.set_options(Options { quotas: true, ..Options::default() });
        let exited = scene.run();
        assert_eq!((exited.code, scene.groups().len()), (Some(0), 1000), "{}", exited.stderr);
        let expected = [
            ("ecs:ListClusters", refreshes),
            ("ecs:ListTasks", 10 * refreshes),
            ("ecs:DescribeTasks", 10 * refreshes),
            ("ecs:DescribeTaskDefinition", 1),
            ("ecs:DescribeServices", 100),
            ("ecs:DescribeClusters", 1),
            ("ec2:DescribeNetworkInterfaces", 5),
        ];
        assert_eq!((scene.aws.calls(), scene.aws.calls().throttled()), (Calls::of(&expected), 0), "{refreshes}");
        for (label, distinct) in
            [("service_status", 1), ("tag_service_team", 1000), ("tag_cluster_env", 10), ("public_ip", 1000)]
        {
            let mut values = values(&scene, &format!("__meta_ecs_{label}"));
            assert_eq!(values.len(), 1000, "{label}");
            values.dedup();
            assert_eq!(values.len(), distinct, "{label}");
        }
    }
}

/// A container without the port label is no target, and its service and interface cost no call.
#[test]
fn only_services_with_targets_are_described() {
    let mut world = world(1, 2);
    world.task_definition_mut("web", 1).container_definitions[0].docker_labels.remove(PORT_LABEL);
    let mut scene = all(world).flag("-config.scrape-times=2");
    assert_eq!(scene.run().code, Some(0));
    assert!(OPERATIONS.iter().all(|operation| scene.aws.calls().get(operation) == 0), "{}", scene.aws.calls());
}

#[test]
fn plain_meta_labels_make_no_such_calls() {
    let mut scene = all(world(2, 3)).flag("-config.meta-labels").flag("-config.scrape-times=2");
    assert_eq!(scene.run().code, Some(0));
    assert!(OPERATIONS.iter().all(|operation| scene.aws.calls().get(operation) == 0), "{}", scene.aws.calls());
    assert_eq!(values(&scene, "__meta_ecs_public_ip"), Vec::<String>::new());
}

#[test]
fn new_service_has_its_labels_in_the_refresh_that_first_sees_it() {
    let mut scene = all(world(1, 2));
    scene.start_and_wait_for(&["10.0.0.1:9102", "10.0.0.2:9102"]);
    wait_until("both services have labels", || values(&scene, "__meta_ecs_tag_service_team").len() == 2);
    scene.aws.take_calls();
    scene.aws.change(|world| {
        world.network_interfaces.push(interface(7));
        let cluster = world.cluster_mut("c-0");
        cluster.services.push(Service::new("new").tag("team", "team-7"));
        cluster.add_task(task("new", 7));
    });
    wait_until("the new target is in the file", || scene.groups().len() == 3);
    assert_eq!(values(&scene, "__meta_ecs_tag_service_team"), ["team-0", "team-1", "team-7"]);
    assert_eq!(values(&scene, "__meta_ecs_public_ip").len(), 3);
    let calls = scene.aws.calls();
    let requests = calls.requests("ecs:DescribeServices");
    assert_eq!(requests.len(), 1, "{calls}");
    assert_eq!(requests[0]["services"], serde_json::json!(["new", "s-0", "s-1"]), "the call is filled up");
    assert_eq!((calls.get("ec2:DescribeNetworkInterfaces"), calls.get("ecs:DescribeClusters")), (1, 0));
    scene.stop();
}

/// The target of a task that comes up between refreshes has its labels, too, and in one call for each kind.
#[test]
fn task_that_comes_up_between_refreshes_has_its_labels() {
    let mut world = world(1, 2);
    world.cluster_mut("c-0").task_mut("t-1").last_status = Some("PENDING".to_owned());
    let mut scene = all(world).flag("-config.scrape-interval=1h");
    scene.start_and_wait_for(&["10.0.0.1:9102"]);
    scene.aws.take_calls();
    scene.aws.change(|world| world.cluster_mut("c-0").task_mut("t-1").last_status = Some("RUNNING".to_owned()));
    scene.wait_for_targets(&["10.0.0.1:9102", "10.0.0.2:9102"]);
    assert_eq!(values(&scene, "__meta_ecs_tag_service_team"), ["team-0", "team-1"]);
    assert_eq!(values(&scene, "__meta_ecs_public_ip").len(), 2);
    assert_eq!(values(&scene, "__meta_ecs_tag_cluster_env").len(), 2);
    let calls = scene.aws.calls();
    assert_eq!(OPERATIONS.map(|operation| calls.get(operation)), [1, 0, 1], "{calls}");
    scene.stop();
}

/// Every kind of fault, from the start and later. Targets come and go as if nothing had happened, and the file keeps the
/// labels that are known.
#[test]
fn failing_calls_cost_no_target() {
    let kinds = [
        FaultKind::Denied,
        FaultKind::Throttle,
        FaultKind::Unavailable,
        FaultKind::CutBody,
        FaultKind::Malformed,
        FaultKind::Hang,
    ];
    let cases: Vec<_> =
        OPERATIONS.iter().flat_map(|operation| kinds.iter().map(move |kind| (*operation, kind.clone()))).collect();
    run_concurrently(&cases, |(operation, kind)| {
        let mut scene = all(world(1, 2)).flag("-config.cluster=c-0");
        scene.aws.add_fault(Fault::always(operation, kind.clone()));
        let start = Instant::now();
        let server = scene.serve();
        scene.wait_for_targets(&["10.0.0.1:9102", "10.0.0.2:9102"]);
        assert!(start.elapsed() < BOUND, "{operation} {kind:?}: {:?}", start.elapsed());
        let name = operation.split_once(':').unwrap().1;
        let line = scene.wait_for_log("the failure", |line: &Value| {
            text(line, "level") == "WARN" && text(line, "operation") == name
        });
        let expected = format!("{name} failed: keeping last known labels");
        assert!(text(&line, "message").starts_with(&expected), "{line}");
        assert_eq!(server.get("/-/ready").status, 200, "targets are complete");
        let (label, others) = match name {
            "DescribeServices" => ("tag_service_team", ["tag_cluster_env", "public_ip"]),
            "DescribeClusters" => ("tag_cluster_env", ["tag_service_team", "public_ip"]),
            _ => ("public_ip", ["tag_service_team", "tag_cluster_env"]),
        };
        assert_eq!(values(&scene, &format!("__meta_ecs_{label}")).len(), 0);
        assert!(others.iter().all(|other| values(&scene, &format!("__meta_ecs_{other}")).len() == 2), "{operation}");
        scene.aws.change(|world| world.cluster_mut("c-0").remove_task("t-0"));
        scene.wait_for_targets(&["10.0.0.2:9102"]);
        scene.aws.clear_faults();
        wait_until("the label is there", || values(&scene, &format!("__meta_ecs_{label}")).len() == 1);
        // Known labels outlive failures.
        scene.aws.add_fault(Fault::always(operation, kind.clone()));
        scene.add_task("c-0", task("s-0", 0));
        scene.wait_for_targets(&["10.0.0.1:9102", "10.0.0.2:9102"]);
        assert!(!values(&scene, &format!("__meta_ecs_{label}")).is_empty(), "{operation} {kind:?}");
        scene.stop();
    });
}

#[test]
fn explain_names_the_permission_and_metrics_the_stage() {
    let mut scene = all(world(1, 2)).flag("-config.cluster=c-0");
    scene.aws.add_fault(Fault::always("ecs:DescribeServices", FaultKind::Denied));
    let server = scene.serve();
    scene.wait_for_refreshes(1);
    let failures = "refresh_failures_total{account_id=\"\",region=\"us-east-1\",stage=\"describe_services\"}";
    assert!(server.metrics().value(failures).unwrap() >= 1.0);
    scene.stop();
    let mut scene = scene.flag("-explain").flag("-web.listen-address=");
    let exited = scene.run();
    assert_eq!(exited.code, Some(1));
    let report = exited.stdout;
    let failure = report.lines().find(|line| line.contains("DescribeServices of cluster c-0: AccessDeniedException"));
    assert!(failure.unwrap().ends_with("allow ecs:DescribeServices"), "{report}");
    assert!(report.contains("10.0.0.1:9102") && report.contains("10.0.0.2:9102"), "{report}");
}

/// Denied calls of twenty clusters: a few in the first refreshes, then one in each.
#[test]
fn denied_calls_do_not_become_a_storm() {
    let mut scene = all(world(20, 30));
    scene.aws.add_fault(Fault::always("ecs:DescribeServices", FaultKind::Denied));
    scene.start();
    scene.wait_for_refreshes(12);
    scene.aws.take_calls();
    scene.wait_for_refreshes(5);
    let calls = scene.aws.calls();
    let refreshes = calls.get("ecs:ListClusters");
    assert!(calls.get("ecs:DescribeServices") <= refreshes + 1, "{calls}");
    assert_eq!(scene.groups().len(), 600);
    scene.stop();
}

/// Refusals by the program for what is neither a boolean nor `all`.
#[test]
fn other_values_are_invalid() {
    let mut scene = all(world(1, 1)).flag("-config.meta-labels=services");
    let exited = scene.run();
    assert_eq!(exited.code, Some(2));
    let expected = "invalid value \"services\" for -config.meta-labels: expected true or false or all";
    assert!(exited.stderr.contains(expected), "{}", exited.stderr);
}
