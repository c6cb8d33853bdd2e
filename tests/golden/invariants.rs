//! What holds for every expected file, whatever its world: slips of the hand that wrote it.

use ecs_discovery::config::Rules;
use ecs_discovery::file_sd::{Format, TargetGroup, parse};
use ecs_discovery::inventory::Shared;
use ecs_discovery::targets::derive;

use super::{snapshot, world};

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

/// What Prometheus drops after relabelling.
const META: &str = "__meta_ecs_";

/// What is never left out: a group without the first two could not be kept through an outage.
const ALWAYS: [&str; 5] = ["task_arn", "cluster_arn", "task_name", "task_revision", "container_name"];

#[test]
fn expected_files_are_as_prometheus_reads_them() {
    for world in world::all() {
        let groups = parse(world.expected.as_bytes(), Format::Yaml);
        let groups = groups.unwrap_or_else(|error| panic!("{}: {error}", world.name));
        assert!(groups.is_sorted(), "{}: not sorted", world.name);
        for group in groups {
            let group = without_meta_labels(&world.name, group, world.config().rules.meta_labels);
            check(&world.name, &group);
        }
        assert!(world.skipped.lines().is_sorted(), "{}: skipped is not sorted", world.name);
    }
}

/// Meta labels come last, in the order of their names, only where they are asked for, and Prometheus takes
/// their names.
fn without_meta_labels(world: &str, group: TargetGroup, asked: bool) -> TargetGroup {
    let is_meta = |name: &str| name.starts_with(META);
    let names: Vec<&str> = group.labels.iter().map(|(name, _)| name).collect();
    let (ours, meta) = names.split_at(names.iter().position(|name| is_meta(name)).unwrap_or(names.len()));
    assert!(meta.iter().all(|name| is_meta(name)) && meta.is_sorted(), "{world}: {names:?}");
    assert!(meta.iter().all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')), "{world}: {meta:?}");
    assert_eq!((asked, ours.len() < names.len()), (!meta.is_empty(), asked), "{world}");
    stripped(&group)
}

/// A group without its meta labels.
fn stripped(group: &TargetGroup) -> TargetGroup {
    let labels = group.labels.iter().filter(|(name, _)| !name.starts_with(META));
    TargetGroup {
        targets: group.targets.clone(),
        labels: labels.map(|(name, value)| (name, Shared::from(value))).collect(),
    }
}

#[test]
fn meta_labels_only_add_to_what_there_is() {
    for world in world::all() {
        let config = world.config();
        let snapshot = snapshot::of(&world.aws, &config.aws.clusters);
        let rules = |meta_labels| Rules { meta_labels, ..config.rules.clone() };
        let (plain, meta) = (derive(&snapshot, &rules(false)), derive(&snapshot, &rules(true)));
        assert_eq!(meta.groups.iter().map(stripped).collect::<Vec<_>>(), plain.groups, "{}", world.name);
        assert_eq!((meta.skipped, meta.unknown), (plain.skipped, plain.unknown), "{}", world.name);
        for group in &meta.groups {
            check(&world.name, &without_meta_labels(&world.name, group.clone(), true));
        }
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
