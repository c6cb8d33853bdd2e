//! Properties of the pure core over generated snapshots.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod snapshots;

use std::collections::HashSet;
use std::sync::Arc;

use ecs_discovery::config::{MetaLabels, Rules};
use ecs_discovery::file_sd::TargetGroup;
use ecs_discovery::inventory::{Fetched, ListedTask, Snapshot};
use ecs_discovery::targets::{Derived, derive};
use proptest::prelude::*;

use snapshots::{rules, snapshot};

proptest! {
    #[test]
    fn derive_ignores_input_order(snapshot in snapshot(), rules in rules(), seed: u64) {
        let derived = derive(&snapshot, &rules);
        let shuffled = derive(&Shuffle(seed).snapshot(snapshot), &rules);
        prop_assert_eq!(sorted(derived), sorted(shuffled));
    }

    #[test]
    fn every_container_is_a_target_skipped_or_unknown(snapshot in snapshot(), rules in rules()) {
        let derived = derive(&snapshot, &rules);
        let accounted = accounted(&derived);
        for listed in snapshot.clusters.iter().flat_map(|cluster| cluster.tasks.iter().flatten()) {
            let id = listed.arn.as_str().to_owned();
            let whole_task = accounted.contains(&(id.clone(), None));
            let Fetched::Known(task) = &listed.task else {
                prop_assert!(whole_task, "task {} is not accounted for", id);
                continue;
            };
            for container in &task.containers {
                let accounted = whole_task || accounted.contains(&(id.clone(), Some(container.name.to_string())));
                prop_assert!(accounted, "container {} of {} is not accounted for", container.name, id);
            }
        }
    }

    /// Labels for relabelling only add labels, and those that take further calls only add to the others; all of them have
    /// names that every Prometheus accepts.
    #[test]
    fn more_meta_labels_only_add_labels(snapshot in snapshot(), rules in rules()) {
        let with = |meta_labels| derive(&snapshot, &Rules { meta_labels, ..rules.clone() });
        let (off, free, all) = (with(MetaLabels::Off), with(MetaLabels::Free), with(MetaLabels::All));
        for (fewer, more) in [(&off, &free), (&free, &all)] {
            prop_assert_eq!((&fewer.skipped, &fewer.unknown), (&more.skipped, &more.unknown));
            for group in more.groups.iter() {
                let is_fewer = |known: &&TargetGroup| known.labels.iter().all(|(name, value)| group.labels.get(name) == Some(value));
                prop_assert!(fewer.groups.iter().filter(|known| known.targets == group.targets).any(|known| is_fewer(&known)));
                for (name, _) in group.labels.iter().filter(|(name, _)| fewer.groups.iter().all(|known| known.labels.get(name).is_none())) {
                    prop_assert!(name.starts_with("__meta_ecs_"), "{}", name);
                    prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{}", name);
                }
            }
            for group in fewer.groups.iter() {
                prop_assert!(more.groups.iter().any(|known| known.targets == group.targets), "{:?}", group);
            }
        }
    }

    #[test]
    fn every_target_is_a_host_and_port(snapshot in snapshot(), rules in rules()) {
        for group in derive(&snapshot, &rules).groups.iter() {
            let (host, port) = group.targets[0].rsplit_once(':').unwrap();
            prop_assert!(port.parse::<u16>().is_ok_and(|port| port > 0), "{:?}", group);
            prop_assert!(!host.is_empty() && host.contains(':') == host.starts_with('['), "{:?}", group);
        }
    }
}

/// Sorts the unknown containers, whose order has no meaning: the list is only searched, never shown.
fn sorted(mut derived: Derived) -> Derived {
    derived.unknown.sort_by_key(|unknown| (unknown.task.clone(), unknown.container.clone(), unknown.failure));
    derived
}

/// Returns the tasks and containers that are accounted for; `None` for a whole task.
fn accounted(derived: &Derived) -> HashSet<(String, Option<String>)> {
    let label = |group: &TargetGroup, name| group.labels.get(name).map(String::from);
    let targets =
        derived.groups.iter().map(|group| (label(group, "task_arn").unwrap(), label(group, "container_name")));
    let text = |name: &Option<Arc<str>>| name.as_deref().map(String::from);
    let skipped = derived.skipped.iter().map(|one| (one.task.to_string(), text(&one.container)));
    let unknown = derived.unknown.iter().map(|one| (one.task.to_string(), text(&one.container)));
    targets.chain(skipped).chain(unknown).collect()
}

/// Shuffles every list of a snapshot.
struct Shuffle(u64);

impl Shuffle {
    fn snapshot(mut self, mut snapshot: Snapshot) -> Snapshot {
        for definition in snapshot.definitions.values_mut() {
            if let Fetched::Known(definition) = definition {
                self.list(&mut Arc::make_mut(definition).containers);
            }
        }
        self.list(&mut snapshot.clusters);
        for task in snapshot.clusters.iter_mut().filter_map(|cluster| cluster.tasks.as_mut().ok()) {
            self.tasks(task);
        }
        snapshot
    }

    fn tasks(&mut self, tasks: &mut Vec<ListedTask>) {
        self.list(tasks);
        for listed in tasks {
            let Fetched::Known(task) = &mut listed.task else { continue };
            let task = Arc::make_mut(task);
            self.list(&mut task.containers);
            for container in &mut task.containers {
                self.list(&mut container.bindings);
            }
        }
    }

    /// Fisher–Yates shuffle with the linear congruential generator of Knuth's MMIX.
    fn list<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(self.0 >> 33).unwrap() % (last + 1);
            list.swap(last, at);
        }
    }
}
