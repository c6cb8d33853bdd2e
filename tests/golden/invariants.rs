//! What holds for the expected files of every world: catches slips of the hand that wrote or accepted one.

use ecs_discovery::config::{MetaLabels, Rules};
use ecs_discovery::file_sd::{Format, TargetGroup, parse};
use ecs_discovery::inventory::{Shared, Snapshot};
use ecs_discovery::targets::derive;

/// The labels of a target in their fixed order.
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

/// The prefix of the meta labels, which Prometheus drops after relabelling.
const META: &str = "__meta_ecs_";

/// The labels that every target has. Without the first two, a group could not be kept as last known good.
const REQUIRED: [&str; 5] = ["task_arn", "cluster_arn", "task_name", "task_revision", "container_name"];

/// Checks that Prometheus can read the file, and that groups and labels are complete and in order.
pub(crate) fn of_file(file: &str, meta_labels: bool) -> Result<(), String> {
    let groups = parse(file.as_bytes(), Format::Yaml).map_err(|error| format!("expected.yml: {error}"))?;
    ensure(groups.is_sorted(), || "expected.yml: groups are not sorted".to_owned())?;
    groups.iter().try_for_each(|group| of_group(group, meta_labels))
}

/// Checks that the skipped containers are sorted.
pub(crate) fn of_skipped(skipped: &str) -> Result<(), String> {
    ensure(skipped.lines().is_sorted(), || "skipped: lines are not sorted".to_owned())
}

/// Checks that meta labels only add labels, and those that take further calls only add to the others: targets, other
/// labels and skipped containers stay the same.
pub(crate) fn of_meta_labels(snapshot: &Snapshot, rules: &Rules) -> Result<(), String> {
    let with = |meta_labels| derive(snapshot, &Rules { meta_labels, ..rules.clone() });
    let (plain, free, all) = (with(MetaLabels::Off), with(MetaLabels::Free), with(MetaLabels::All));
    for meta in [&free, &all] {
        let without_meta: Vec<_> = meta.groups.iter().map(without_meta_labels).collect();
        ensure(without_meta == *plain.groups, || {
            format!("meta labels change the targets:\n{without_meta:#?}\n{:#?}", plain.groups)
        })?;
        ensure((&meta.skipped, &meta.unknown) == (&plain.skipped, &plain.unknown), || {
            format!("meta labels change what is skipped:\n{:#?}\n{:#?}", meta.skipped, plain.skipped)
        })?;
        meta.groups.iter().try_for_each(|group| of_group(group, true))?;
    }
    free.groups.iter().zip(all.groups.iter()).try_for_each(|(free, all)| {
        let lost: Vec<_> = free.labels.iter().filter(|(name, value)| all.labels.get(name) != Some(value)).collect();
        ensure(lost.is_empty(), || format!("labels that take further calls replace others: {lost:?} of {all:#?}"))
    })
}

fn of_group(group: &TargetGroup, meta_labels: bool) -> Result<(), String> {
    of_names(&names(group), meta_labels)?;
    let [target] = &group.targets[..] else { return Err(format!("not exactly one target: {:?}", group.targets)) };
    of_target(target)
}

/// The fixed labels come first, in their order; then the meta labels, if enabled, sorted by name.
fn of_names(names: &[&str], meta_labels: bool) -> Result<(), String> {
    let first_meta = names.iter().position(|name| name.starts_with(META)).unwrap_or(names.len());
    let (fixed, meta) = names.split_at(first_meta);
    let in_order: Vec<&str> = LABELS.into_iter().filter(|label| fixed.contains(label)).collect();
    ensure(fixed == in_order, || format!("unknown labels, or labels out of order: {names:?}"))?;
    ensure(REQUIRED.iter().all(|name| fixed.contains(name)), || format!("a required label is missing: {names:?}"))?;
    ensure(meta.is_empty() != meta_labels, || format!("meta labels enabled: {meta_labels}, but labels {names:?}"))?;
    ensure(meta.is_sorted() && meta.iter().all(|name| is_meta_label(name)), || format!("invalid meta labels: {meta:?}"))
}

/// Whether Prometheus accepts the name of the meta label.
fn is_meta_label(name: &str) -> bool {
    name.starts_with(META) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn of_target(target: &str) -> Result<(), String> {
    let invalid = || format!("invalid target {target:?}");
    let (host, port) = target.rsplit_once(':').ok_or_else(invalid)?;
    ensure(port.parse::<u16>().is_ok_and(|port| port != 0), invalid)?;
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    ensure(!host.is_empty() && host.contains(':') == is_bracketed, invalid)
}

fn names(group: &TargetGroup) -> Vec<&str> {
    group.labels.iter().map(|(name, _)| name).collect()
}

fn without_meta_labels(group: &TargetGroup) -> TargetGroup {
    let labels = group.labels.iter().filter(|(name, _)| !name.starts_with(META));
    TargetGroup {
        targets: group.targets.clone(),
        labels: labels.map(|(name, value)| (name, Shared::from(value))).collect(),
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
