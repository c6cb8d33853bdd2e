//! What holds for every expected file, whatever its world: slips of the hand that wrote it.

use ecs_discovery::file_sd::{Format, TargetGroup, parse};

use super::world;

/// The labels of a target in the order of the contract.
const LABELS: [&str; 11] = [
    "task_arn",
    "task_name",
    "job",
    "task_revision",
    "task_group",
    "cluster_arn",
    "container_name",
    "container_arn",
    "docker_image",
    "__metrics_path__",
    "__scheme__",
];

/// What is never left out: a group without the first two could not be kept through an outage.
const ALWAYS: [&str; 5] = ["task_arn", "cluster_arn", "task_name", "task_revision", "container_name"];

#[test]
fn expected_files_are_as_prometheus_reads_them() {
    for world in world::all() {
        let groups = parse(world.expected.as_bytes(), Format::Yaml);
        let groups = groups.unwrap_or_else(|error| panic!("{}: {error}", world.name));
        assert!(groups.is_sorted(), "{}: not sorted", world.name);
        for group in groups {
            check(&world.name, &group);
        }
        assert!(world.skipped.lines().is_sorted(), "{}: skipped is not sorted", world.name);
    }
}

fn check(world: &str, group: &TargetGroup) {
    let names: Vec<&str> = group.labels.iter().map(|(name, _)| name).collect();
    let in_order: Vec<&str> = LABELS.into_iter().filter(|label| names.contains(label)).collect();
    assert_eq!(names, in_order, "{world}: labels are not the contract's, or not in its order");
    assert!(ALWAYS.iter().all(|name| names.contains(name)), "{world}: a label is missing among {names:?}");
    let [target] = &group.targets[..] else { panic!("{world}: not one target: {:?}", group.targets) };
    let (host, port) = target.rsplit_once(':').unwrap_or_else(|| panic!("{world}: {target} has no port"));
    assert_ne!(port.parse::<u16>().ok().filter(|port| *port != 0), None, "{world}: {target} has no port");
    let bracketed = host.starts_with('[') && host.ends_with(']');
    assert!(!host.is_empty() && host.contains(':') == bracketed, "{world}: {target} has no host");
}
