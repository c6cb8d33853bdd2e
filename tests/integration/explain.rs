//! `-explain`: why each container is or is not a target, as text and as JSON.
//!
//! `explain/fleet.txt` and `explain/fleet.json` are the reports of [`fleet`]. `UPDATE_GOLDEN=1` rewrites them; review
//! every change by hand.

use std::fs;
use std::path::Path;

use serde_json::Value;
use simaws::{Cluster, Container, ContainerInstance, Describe, Fault, FaultKind, Instance, TaskDefinition, World};

use crate::diff::diff;
use crate::fixtures::{PORT_LABEL, TWO_CLUSTERS, exporter, fargate, on_bridge, on_fargate, two_clusters};
use crate::harness::{Exited, Scene};

/// Returns three clusters with every kind of verdict.
fn fleet() -> World {
    let web = [
        (PORT_LABEL, "9102,9103/slow"),
        ("PROMETHEUS_EXPORTER_JOB_NAME", "shop"),
        ("PROMETHEUS_EXPORTER_SCHEME", "https"),
        ("PROMETHEUS_EXPORTER_PATH", "/internal/metrics"),
    ];
    let named = [(PORT_LABEL, "9102"), ("PROMETHEUS_EXPORTER_SERVER_NAME", "https://web.example.com")];
    let prod = Cluster::new("prod")
        .with_task(on_fargate("web-1", "web:3", "10.0.1.1").group("service:web").container("envoy", "10.0.1.1"))
        .with_task(on_fargate("web-2", "web:3", "10.0.1.2").group("service:web").last_status("PENDING"))
        .with_task(on_fargate("web-3", "web:3", "10.0.1.3").group("service:web").describe(Describe::Missing))
        .with_task(
            on_bridge("api-1", "api:7", "ci-1", 32768).group("service:api").with_container(Container::new("worker")),
        )
        .with_task(on_bridge("node-1", "node:1", "ci-9", 32769).group("service:node").launch_type("EXTERNAL"))
        .with_container_instance(ContainerInstance::new("ci-1", "i-1"))
        .with_container_instance(ContainerInstance::new("ci-9", "mi-0123456789abcdef0"));
    let batch = Cluster::new("batch")
        .with_task(on_fargate("run-1", "report:12", "10.0.2.1").group("family:report"))
        .with_task(on_fargate("run-2", "named:1", "10.0.2.2"))
        .with_task(on_fargate("run-3", "gone:4", "10.0.2.3").group("family:gone"));
    World::default()
        .with_cluster(prod)
        .with_cluster(batch)
        .with_cluster(Cluster::new("legacy").with_task(on_fargate("old-1", "web:3", "10.0.3.1")))
        .with_task_definition(TaskDefinition::new("web", 3, "awsvpc").container("app", &web).container("envoy", &[]))
        .with_task_definition(exporter("api", 7, "bridge").container("worker", &[(PORT_LABEL, "9102")]))
        .with_task_definition(exporter("node", 1, "bridge"))
        .with_task_definition(
            TaskDefinition::new("report", 12, "awsvpc").container("app", &[(PORT_LABEL, "http,9102")]),
        )
        .with_task_definition(TaskDefinition::new("named", 1, "awsvpc").container("app", &named))
        .with_instance(Instance::new("i-1", "10.1.0.1"))
}

fn explain(world: World, flag: &str) -> Scene {
    Scene::of(world).flag(flag).flag("-log.level=error")
}

/// Runs the program, which must not write a file.
fn run(scene: &mut Scene) -> Exited {
    let exited = scene.run();
    assert_eq!(scene.bytes(), None, "no file is written");
    assert!(!exited.stderr.contains("panic"), "{}", exited.stderr);
    exited
}

/// Compares a report with the file of this name, which has `ID` in place of every request id.
fn assert_golden(name: &str, printed: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/explain").join(name);
    let mut parts = printed.split("(request ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("(request ID");
        text.push_str(part.find(')').map_or(part, |end| &part[end..]));
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert!(
        text == expected,
        "{name} differs (- expected, + printed):\n{}\nIf the new text is right: UPDATE_GOLDEN=1 cargo test --workspace \
         --test integration explain",
        diff(&expected, &text),
    );
}

#[test]
fn text_report() {
    let mut scene = explain(fleet(), "-explain");
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).cluster("legacy"));
    let exited = run(&mut scene);
    assert_eq!(exited.code, Some(1), "a cluster could not be listed");
    assert_golden("fleet.txt", &exited.stdout);
}

#[test]
fn json_report() {
    let mut scene = explain(fleet(), "-explain=json");
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).cluster("legacy"));
    let exited = run(&mut scene);
    assert_eq!(exited.code, Some(1), "a cluster could not be listed");
    serde_json::from_str::<Value>(&exited.stdout).unwrap();
    assert_golden("fleet.json", &exited.stdout);
}

#[test]
fn misconfigured_containers_do_not_fail_the_exit_code() {
    for flag in ["-explain", "-explain=json"] {
        assert_eq!(run(&mut explain(fleet(), flag)).code, Some(0), "{flag}");
        assert_eq!(run(&mut explain(World::default(), flag)).code, Some(0), "{flag}");
    }
    let exited = run(&mut explain(World::default(), "-explain"));
    assert_eq!(exited.stdout, "0 targets in 0 clusters, 0 skipped\n");
}

/// Only the addresses of the hosts are unknown; the cluster itself is complete.
#[test]
fn denied_ec2_is_reported_with_the_action_to_allow() {
    let mut scene = explain(two_clusters(), "-explain").flag("-config.cluster=prod");
    scene.aws.add_fault(Fault::always("ec2:DescribeInstances", FaultKind::Denied));
    let exited = run(&mut scene);
    assert_eq!(exited.code, Some(1));
    let line = exited.stdout.lines().find(|line| line.contains("api-1")).unwrap();
    let expected = "DescribeInstances: UnauthorizedOperation: allow ec2:DescribeInstances";
    assert!(line.contains("unknown") && line.ends_with(expected), "{}", exited.stdout);
    assert!(exited.stdout.contains("1 target in 1 cluster, 0 skipped\n"), "{}", exited.stdout);
}

#[test]
fn anything_unknown_fails_the_exit_code() {
    for (operation, kind, matching) in [
        ("ecs:DescribeTasks", FaultKind::Throttle, "cluster/prod"),
        ("ecs:DescribeTasks", FaultKind::Denied, "cluster/other"),
        ("ecs:DescribeTaskDefinition", FaultKind::Denied, "/web:1"),
        ("ecs:DescribeTaskDefinition", FaultKind::Malformed, "/bus:1"),
        ("ecs:DescribeContainerInstances", FaultKind::Denied, "cluster/prod"),
        ("ec2:DescribeInstances", FaultKind::Denied, "i-1"),
    ] {
        for flag in ["-explain", "-explain=json"] {
            let mut scene = explain(two_clusters(), flag);
            scene.aws.add_fault(Fault::always(operation, kind.clone()).matching(matching));
            let exited = run(&mut scene);
            assert_eq!(exited.code, Some(1), "{operation}: {}", exited.stdout);
            assert!(exited.stdout.contains("unknown"), "{operation}: {}", exited.stdout);
        }
    }
    let mut scene = explain(two_clusters(), "-explain");
    scene.aws.change(|world| world.cluster_mut("prod").task_mut("web-1").describe = Describe::Omitted);
    assert_eq!(run(&mut scene).code, Some(1), "a task that the response omits");
}

#[test]
fn failed_cluster_is_reported_with_a_remedy() {
    let role = "-config.role-arn=arn:aws:iam::123456789012:role/reader";
    for (operation, kind, flag, remedy) in [
        ("ecs:ListClusters", FaultKind::Denied, "-config.cluster=", "allow ecs:ListClusters"),
        ("ecs:ListTasks", FaultKind::Denied, "-config.cluster=prod", "allow ecs:ListTasks"),
        ("ecs:DescribeTasks", FaultKind::Denied, "-config.cluster=prod", "allow ecs:DescribeTasks"),
        ("sts:AssumeRole", FaultKind::Denied, role, "allow sts:AssumeRole in this role's policy"),
        (
            "ecs:DescribeInstances",
            FaultKind::Denied,
            "-config.cluster=pord",
            "check -config.cluster and -config.region",
        ),
        ("ecs:ListTasks", FaultKind::Unavailable, "-config.cluster=prod", "wait: every refresh retries"),
    ] {
        let mut scene = explain(fargate(1), "-explain").flag(flag);
        scene.aws.add_fault(Fault::always(operation, kind));
        let exited = run(&mut scene);
        assert!(exited.stdout.contains(remedy), "{operation}: {}", exited.stdout);
        assert_eq!(exited.code, Some(1), "{operation}: {}", exited.stdout);
    }
}

#[test]
fn explain_neither_reads_nor_writes_the_file() {
    let mut scene = explain(two_clusters(), "-explain").flag("-web.listen-address=127.0.0.1:0");
    scene.write_file("foreign");
    let exited = scene.run();
    assert_eq!((exited.code, scene.bytes().as_deref()), (Some(0), Some(&b"foreign"[..])));
    assert_eq!(TWO_CLUSTERS.iter().filter(|target| exited.stdout.contains(*target)).count(), 4);
    assert!(!exited.stderr.contains("listening"));
}

#[test]
fn closed_pipe_is_a_success_and_full_disk_is_an_error() {
    let mut scene = explain(fargate(2000), "-explain");
    scene.shell("(\"$0\" \"$@\"; echo \"code $?\" >&2) | true; exit 0");
    assert_eq!(run(&mut scene).stderr, "code 0\n");
    for flag in ["-explain", "-help"] {
        let mut scene = explain(fargate(1), flag);
        scene.shell("exec \"$0\" \"$@\" >/dev/full");
        assert_eq!(run(&mut scene).code, Some(1), "{flag}");
    }
}

/// Runs the program on a pseudo-terminal.
const ON_A_TERMINAL: &str = "exec python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' \"$0\" \"$@\"";

#[test]
fn only_terminals_get_colour() {
    let printed = |terminal: bool, no_color: &str| {
        let mut scene = explain(fleet(), "-explain").env("NO_COLOR", no_color);
        scene.shell(if terminal { ON_A_TERMINAL } else { "" });
        run(&mut scene).stdout
    };
    let coloured = printed(true, "");
    assert!(coloured.contains("\x1b[32mtarget "), "{coloured}");
    let plain = printed(false, "");
    assert_eq!(plain.matches('\x1b').count(), 0);
    assert_eq!(printed(true, "1").replace('\r', ""), plain);
    let without = ["\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[0m", "\r"];
    assert_eq!(without.iter().fold(coloured, |text, escape| text.replace(escape, "")), plain);
}

/// Docker labels are untrusted text, and terminals interpret control characters.
#[test]
fn control_characters_of_docker_labels_are_escaped() {
    let evil = "\u{1b}]0;x\u{7}\u{1b}[2J\u{9b}31m";
    let labels =
        [(PORT_LABEL, "9102,\u{1b}[2J"), ("PROMETHEUS_EXPORTER_JOB_NAME", evil), ("PROMETHEUS_EXPORTER_PATH", evil)];
    let world = World::default()
        .with_cluster(Cluster::new("prod").with_task(on_fargate("web-1", "web:1", "10.0.0.1")))
        .with_task_definition(TaskDefinition::new("web", 1, "awsvpc").container("app", &labels));
    let exited = run(&mut explain(world, "-explain"));
    assert!(exited.stdout.contains("10.0.0.1:9102"), "{}", exited.stdout);
    assert_eq!(exited.stdout.chars().find(|c| c.is_control() && *c != '\n'), None, "{:?}", exited.stdout);
}
