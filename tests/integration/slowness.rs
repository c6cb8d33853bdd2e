//! Calls that hang, are throttled or fail late delay a refresh for a limited time, however many of them there are.

use std::time::{Duration, Instant};

use simaws::{Cluster, ContainerInstance, Fault, FaultKind, Instance, World};

use crate::fixtures::{address, exporter, on_bridge, on_fargate};
use crate::harness::{Scene, run_concurrently};

/// The number of clusters, of which the program scans eight at a time.
const CLUSTERS: usize = 60;

/// Three times the limits of a call and of the pause before it. Five attempts with the backoff between them take up to
/// 7.5 s, so that a refresh which retried for each of the clusters would take a minute and more.
const BOUND: Duration = Duration::from_secs(45);

/// Returns a world of clusters with a task, a definition and an instance each.
fn many_clusters() -> World {
    let mut world = World::default();
    for n in 0..CLUSTERS {
        let (instance, family) = (format!("i-{n:017x}"), format!("api-{n}"));
        world.add_task_definition(exporter(&family, 1, "bridge")).add_instance(Instance::new(&instance, &address(n)));
        world.add_cluster(
            Cluster::new(&format!("c-{n}"))
                .with_task(on_bridge("t", &format!("{family}:1"), "ci", 32768))
                .with_container_instance(ContainerInstance::new("ci", &instance)),
        );
    }
    world
}

/// Slow: each case takes as long as one or two failing calls.
#[test]
fn failing_calls_delay_a_refresh_for_a_limited_time() {
    let cases = [
        ("ecs:ListTasks", FaultKind::Throttle),
        ("ecs:ListTasks", FaultKind::Hang),
        ("ecs:ListTasks", FaultKind::Unavailable),
        ("ecs:DescribeTasks", FaultKind::Throttle),
        ("ecs:DescribeTasks", FaultKind::Hang),
        ("ecs:DescribeTaskDefinition", FaultKind::Hang),
        ("ecs:DescribeContainerInstances", FaultKind::Throttle),
        ("ecs:DescribeContainerInstances", FaultKind::Hang),
        ("ec2:DescribeInstances", FaultKind::Throttle),
    ];
    run_concurrently(&cases, |(operation, kind)| {
        let mut scene = Scene::of(many_clusters()).flag("-config.scrape-times=1");
        scene.aws.add_fault(Fault::always(operation, kind.clone()));
        let start = Instant::now();
        let exited = scene.run();
        let took = start.elapsed();
        assert_eq!(exited.code, Some(1), "{operation} {kind:?}: {}", exited.stderr);
        assert!(took < BOUND, "{operation} {kind:?}: {took:?}");
        // EC2 is asked for all instances at once.
        assert!(*operation == "ec2:DescribeInstances" || exited.stderr.contains("Skipped"), "{operation} {kind:?}");
    });
}

/// Clusters whose calls failed are scanned last, so that they cannot keep the others from being scanned.
#[test]
fn failing_clusters_do_not_starve_the_others() {
    let mut scene = Scene::of(many_clusters()).flag("-config.scrape-interval=1s");
    let failing = 20;
    for n in 0..failing {
        scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Unavailable).cluster(&format!("c-{n}")));
    }
    let targets: Vec<String> = (failing..CLUSTERS).map(|n| format!("{}:32768", address(n))).collect();
    scene.start_and_wait_for(&targets.iter().map(String::as_str).collect::<Vec<_>>());
    scene.stop();
}

/// Definitions that could not be described are described last: more of them than are described before the others are
/// skipped do not keep a definition that is listed after them from being described.
#[test]
fn failing_definitions_do_not_starve_the_others() {
    let mut world = World::default().with_task_definition(exporter("web", 1, "awsvpc"));
    let mut prod = Cluster::new("prod");
    for n in 0..30 {
        world.add_task_definition(exporter(&format!("bad-{n}"), 1, "awsvpc"));
        prod.add_task(on_fargate(&format!("bad-{n}"), &format!("bad-{n}:1"), &address(n)));
    }
    prod.add_task(on_fargate("web-1", "web:1", "10.9.0.1"));
    let mut scene = Scene::of(world.with_cluster(prod)).flag("-config.cluster=prod");
    scene.aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", FaultKind::Unavailable).matching("/bad-"));
    scene.start_and_wait_for(&["10.9.0.1:9102"]);
    scene.stop();
}
