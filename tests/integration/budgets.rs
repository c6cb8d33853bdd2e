//! The exact API calls of the first refresh and of every later one.

use std::time::Duration;

use serde_json::Value;
use simaws::{
    Calls, Cluster, Container, ContainerInstance, Fault, FaultKind, Instance, Options, Task, TaskDefinition, World,
};

use crate::fixtures::{PORT_LABEL, address, exporter, fargate, on_bridge, on_fargate, two_clusters};
use crate::harness::{Exited, Scene, TcpState, tcp_sockets, wait_until};

/// The calls of a later refresh of one small cluster.
const STEADY: &[(&str, usize)] = &[("ecs:ListTasks", 1), ("ecs:DescribeTasks", 1)];

/// The calls of a first refresh that needs the address of a container instance.
const WITH_HOSTS: &[(&str, usize)] = &[
    ("ecs:ListTasks", 1),
    ("ecs:DescribeTasks", 1),
    ("ecs:DescribeTaskDefinition", 1),
    ("ecs:DescribeContainerInstances", 1),
    ("ec2:DescribeInstances", 1),
];

/// The calls of a first refresh that needs no container instance.
const WITHOUT_HOSTS: &[(&str, usize)] =
    &[("ecs:ListTasks", 1), ("ecs:DescribeTasks", 1), ("ecs:DescribeTaskDefinition", 1)];

/// Runs the program for one refresh and then for three, each time without a cache file, and checks that it makes
/// exactly these calls. Returns the scene with the calls of the second run.
fn assert_calls(
    world: World,
    flags: &[&str],
    first: &[(&str, usize)],
    later: &[(&str, usize)],
    targets: usize,
) -> Scene {
    let mut scene = Scene::of(world).flag("-config.cluster=prod").flag("-config.cache=off");
    for flag in flags {
        scene = scene.flag(flag);
    }
    for refreshes in [1, 3] {
        scene = scene.flag(&format!("-config.scrape-times={refreshes}"));
        scene.aws.take_calls();
        let exited: Exited = scene.run();
        assert_eq!((exited.code, scene.groups().len()), (Some(0), targets), "{}", exited.stderr);
        let expected: Vec<_> = first.iter().chain((1..refreshes).flat_map(|_| later)).copied().collect();
        assert_eq!(scene.aws.calls(), Calls::of(&expected), "{refreshes} refreshes");
        assert_eq!(scene.aws.calls().throttled(), 0);
    }
    scene
}

/// Returns a world with the cluster `prod` and these tasks on one instance.
fn on_an_instance(definition: TaskDefinition, tasks: impl IntoIterator<Item = Task>) -> World {
    let mut prod = Cluster::new("prod").with_container_instance(ContainerInstance::new("ci-1", "i-1"));
    prod.tasks.extend(tasks);
    World::default().with_cluster(prod).with_task_definition(definition).with_instance(Instance::new("i-1", "10.1.0.1"))
}

#[test]
fn fargate_makes_no_host_calls() {
    assert_calls(fargate(3), &[], WITHOUT_HOSTS, STEADY, 3);
}

#[test]
fn cluster_without_tasks_is_only_listed() {
    let nothing = World::default().with_cluster(Cluster::new("prod"));
    assert_calls(nothing, &[], &[("ecs:ListTasks", 1)], &[("ecs:ListTasks", 1)], 0);
}

#[test]
fn bridge_mode_describes_a_host_once() {
    let tasks = (0..3).map(|n| on_bridge(&format!("t-{n}"), "api:1", "ci-1", 32768 + n));
    assert_calls(on_an_instance(exporter("api", 1, "bridge"), tasks), &[], WITH_HOSTS, STEADY, 3);
}

#[test]
fn host_mode_describes_a_host_once() {
    let task = Task::ec2("t-1", "node:1", "ci-1").with_container(Container::new("app"));
    assert_calls(on_an_instance(exporter("node", 1, "host"), [task]), &[], WITH_HOSTS, STEADY, 1);
}

#[test]
fn awsvpc_on_an_instance_makes_no_host_calls() {
    let task = Task::ec2("t-1", "web:1", "ci-1").container("app", "10.0.0.1");
    assert_calls(on_an_instance(exporter("web", 1, "awsvpc"), [task]), &[], WITHOUT_HOSTS, STEADY, 1);
}

#[test]
fn server_name_makes_no_host_calls() {
    let labels = [(PORT_LABEL, "9102"), ("PROMETHEUS_EXPORTER_SERVER_NAME", "api.example.com")];
    let definition = TaskDefinition::new("api", 1, "bridge").container("app", &labels);
    assert_calls(on_an_instance(definition, [on_bridge("t-1", "api:1", "ci-1", 32768)]), &[], WITHOUT_HOSTS, STEADY, 1);
}

#[test]
fn containers_without_port_label_make_no_host_calls() {
    let definition = TaskDefinition::new("api", 1, "bridge").container("app", &[("team", "x")]);
    assert_calls(on_an_instance(definition, [on_bridge("t-1", "api:1", "ci-1", 32768)]), &[], WITHOUT_HOSTS, STEADY, 0);
}

/// EC2 rejects the ids of ECS Anywhere machines.
#[test]
fn ecs_anywhere_machines_are_not_described_by_ec2() {
    let mut world = on_an_instance(
        exporter("api", 1, "bridge"),
        [on_bridge("t-1", "api:1", "ci-1", 32768).launch_type("EXTERNAL")],
    );
    world.cluster_mut("prod").container_instance_mut("ci-1").ec2_instance_id = Some("mi-0123456789abcdef0".to_owned());
    assert_calls(world, &[], &WITH_HOSTS[..4], STEADY, 0);
}

#[test]
fn later_refreshes_describe_one_batch_of_250_tasks() {
    let first = &[("ecs:ListTasks", 3), ("ecs:DescribeTasks", 3), ("ecs:DescribeTaskDefinition", 1)];
    assert_calls(fargate(250), &[], first, &[("ecs:ListTasks", 3), ("ecs:DescribeTasks", 1)], 250);
    assert_calls(fargate(250), &["-config.describe-all"], first, &first[..2], 250);
    // Some of the meta labels change while a task runs.
    assert_calls(fargate(250), &["-config.meta-labels"], first, &first[..2], 250);
}

/// Tasks in host mode never get bindings: they do not defeat the rotation.
#[test]
fn tasks_without_bindings_are_described_three_more_times() {
    let tasks = (0..250).map(|n| Task::ec2(&format!("t-{n}"), "node:1", "ci-1").with_container(Container::new("app")));
    let world = on_an_instance(exporter("node", 1, "host"), tasks);
    let mut scene = Scene::of(world).flag("-config.cluster=prod").flag("-config.scrape-times=8");
    assert_eq!(scene.run().code, Some(0));
    let requests = scene.aws.calls().requests("ecs:DescribeTasks");
    let described: Vec<usize> = requests.iter().map(|request| request["tasks"].as_array().unwrap().len()).collect();
    assert_eq!((described[..12].iter().sum::<usize>(), &described[12..]), (1000, &[100; 4][..]), "{described:?}");
}

#[test]
fn ec2_describes_450_instances_in_three_calls() {
    let mut world = World::default().with_task_definition(exporter("api", 1, "bridge"));
    let mut prod = Cluster::new("prod");
    for n in 0..450 {
        let (instance, container_instance) = (format!("i-{n:017x}"), format!("ci-{n}"));
        prod.add_task(on_bridge(&format!("t-{n}"), "api:1", &container_instance, 32768));
        prod.add_container_instance(ContainerInstance::new(&container_instance, &instance));
        world.add_instance(Instance::new(&instance, &address(n)));
    }
    world.add_cluster(prod);
    let first = &[
        ("ecs:ListTasks", 5),
        ("ecs:DescribeTasks", 5),
        ("ecs:DescribeTaskDefinition", 1),
        ("ecs:DescribeContainerInstances", 5),
        ("ec2:DescribeInstances", 3),
    ];
    assert_calls(world, &[], first, &[("ecs:ListTasks", 5), ("ecs:DescribeTasks", 1)], 450);
}

/// Without the parameter EC2 omits managed instances. Elsewhere it is not sent, since an EC2 endpoint may not support
/// it.
#[test]
fn managed_resources_are_requested_only_for_managed_instances() {
    let included = |scene: &Scene| -> Vec<Value> {
        let requests = scene.aws.calls().requests("ec2:DescribeInstances");
        requests.into_iter().map(|request| request["IncludeManagedResources"].clone()).collect()
    };
    let task = || on_bridge("t-1", "api:1", "ci-1", 32768);
    let scene = assert_calls(on_an_instance(exporter("api", 1, "bridge"), [task()]), &[], WITH_HOSTS, STEADY, 1);
    assert_eq!(included(&scene), [Value::Null]);
    let mut world = on_an_instance(exporter("api", 1, "bridge"), [task().launch_type("MANAGED_INSTANCES")]);
    world.instance_mut("i-1").managed = true;
    let scene = assert_calls(world, &[], WITH_HOSTS, STEADY, 1);
    assert_eq!(included(&scene), ["true"]);
}

#[test]
fn all_clusters_need_one_more_listing() {
    let first = [
        ("ecs:ListClusters", 1),
        ("ecs:ListTasks", 2),
        ("ecs:DescribeTasks", 2),
        ("ecs:DescribeTaskDefinition", 4),
        ("ecs:DescribeContainerInstances", 2),
        ("ec2:DescribeInstances", 1),
    ];
    assert_calls(two_clusters(), &["-config.cluster="], &first, &first[..3], 4);
}

#[test]
fn role_is_assumed_once() {
    let role = "-config.role-arn=arn:aws:iam::123456789012:role/reader";
    let first = [&[("sts:AssumeRole", 1)], WITH_HOSTS].concat();
    let world = on_an_instance(exporter("api", 1, "bridge"), [on_bridge("t-1", "api:1", "ci-1", 32768)]);
    let scene = assert_calls(world, &[role], &first, STEADY, 1);
    let signed_by = scene.aws.calls().access_keys("ecs:ListTasks");
    assert!(signed_by.iter().all(|key| key.starts_with("ASIA-reader-")), "{signed_by:?}");
}

#[test]
fn missing_definition_is_cached() {
    let mut world = fargate(1);
    world.cluster_mut("prod").add_task(on_fargate("lost", "lost:7", "10.9.9.9"));
    let first = [STEADY, &[("ecs:DescribeTaskDefinition", 2)]].concat();
    assert_calls(world, &[], &first, STEADY, 1);
}

#[test]
fn definitions_of_stopping_tasks_are_not_described() {
    let mut world = fargate(1);
    let gone = on_fargate("gone", "gone:1", "10.9.9.9").last_status("STOPPING").desired_status("STOPPED");
    world.cluster_mut("prod").add_task(gone);
    assert_calls(world, &[], WITHOUT_HOSTS, STEADY, 1);
}

/// Returns a world in which each of 120 tasks has a task definition of its own.
fn many_definitions() -> World {
    let mut world = World::default();
    let mut prod = Cluster::new("prod");
    for n in 0..120 {
        let definition = exporter(&format!("web-{n}"), 1, "awsvpc");
        prod.add_task(on_fargate(&format!("t-{n}"), &definition.name(), &address(n)));
        world.add_task_definition(definition);
    }
    world.with_cluster(prod)
}

/// AWS allows a burst of 50 DescribeTaskDefinition calls and then 20 a second.
#[test]
fn cold_start_with_many_definitions_is_not_throttled() {
    let mut scene = Scene::of(many_definitions()).flag("-config.cluster=prod").flag("-config.scrape-times=1");
    scene.aws.set_options(Options { quotas: true, ..Options::default() });
    assert_eq!(scene.run().code, Some(0));
    assert_eq!((scene.groups().len(), scene.aws.calls().throttled()), (120, 0));
    assert_eq!(scene.aws.calls().get("ecs:DescribeTaskDefinition"), 120);
}

/// Each connection holds on to a buffer.
#[test]
fn connections_of_a_burst_are_closed() {
    let mut scene = Scene::of(many_definitions()).flag("-config.cluster=prod").flag("-config.scrape-interval=1h");
    scene.aws.set_options(Options { latency: Duration::from_millis(50), ..Options::default() });
    scene.start();
    let process = scene.program().id();
    wait_until("more than eight calls are in progress", || tcp_sockets(process, TcpState::Established) > 8);
    scene.wait_for_refreshes(1);
    wait_until("eight connections are left", || (1..=8).contains(&tcp_sockets(process, TcpState::Established)));
}

#[test]
fn circuit_breaker_limits_attempts_of_a_throttled_operation() {
    const CONCURRENT: usize = 16;
    const ATTEMPTS: usize = 5;
    let mut world = World::default();
    let mut prod = Cluster::new("prod");
    for n in 0..100 {
        let definition = exporter(&format!("web-{n}"), 1, "awsvpc");
        prod.add_task(on_fargate(&format!("t-{n}"), &definition.name(), &address(n)));
        world.add_task_definition(definition);
    }
    let mut scene = Scene::of(world.with_cluster(prod)).flag("-config.cluster=prod").flag("-config.scrape-times=1");
    scene.aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", FaultKind::Throttle));
    let exited = scene.run();
    assert_eq!(exited.code, Some(1), "{}", exited.stderr);
    assert!(exited.stderr.contains("Skipped"), "{}", exited.stderr);
    let attempts = scene.aws.calls().get("ecs:DescribeTaskDefinition");
    assert!((CONCURRENT..=2 * CONCURRENT * ATTEMPTS).contains(&attempts), "{attempts}");
}

/// During a failed listing, tasks may have changed in any way.
#[test]
fn all_tasks_are_described_after_a_failed_listing() {
    let mut scene = Scene::of(fargate(250)).flag("-config.cluster=prod");
    scene.start();
    scene.wait_for_refreshes(2);
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied));
    scene.wait_for_failure("ListTasks", "AccessDeniedException");
    scene.wait_for_refreshes(1);
    scene.aws.take_calls();
    scene.aws.clear_faults();
    scene.wait_for_refreshes(3);
    let requests = scene.aws.calls().requests("ecs:DescribeTasks");
    let described: Vec<usize> = requests.iter().map(|request| request["tasks"].as_array().unwrap().len()).collect();
    assert_eq!((described[..3].iter().sum::<usize>(), described[3]), (250, 100), "{described:?}");
    scene.stop();
}
