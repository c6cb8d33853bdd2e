//! The places that were seen, to tell an empty place from a mistyped one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::file_sd::TargetGroup;
use crate::inventory::Place;
use crate::publish::Publication;

/// The largest number of places that were seen and are not evicted: an account may create a cluster per test run.
const MOST_SEEN: usize = 50_000;

/// Places, each with the number of the publication that was the first to see it, or in which it last changed.
#[derive(Clone, Debug, Default)]
pub struct SeenPlaces(BTreeMap<Place, u64>);

impl SeenPlaces {
    /// Returns whether a place like this was seen.
    pub fn any(&self, like_this: impl Fn(&Place) -> bool) -> bool {
        self.0.keys().any(like_this)
    }

    pub(super) fn add(&mut self, places: impl IntoIterator<Item = Place>, version: u64) {
        self.0.extend(places.into_iter().map(|place| (place, version)));
        let too_many = self.0.len().saturating_sub(MOST_SEEN);
        if too_many > 0 {
            let mut ages: Vec<(u64, Place)> = self.0.iter().map(|(place, version)| (*version, place.clone())).collect();
            ages.sort_unstable();
            for (_, place) in ages.iter().take(too_many) {
                self.0.remove(place);
            }
        }
    }
}

/// Returns where targets of an earlier run are, each place once.
pub(super) fn of_targets(targets: &[TargetGroup]) -> Vec<Place> {
    let labels = targets.iter().map(|group| {
        let label = |name| group.labels.get(name);
        (label("cluster_arn").unwrap_or_default(), label("task_group"), label("task_name").unwrap_or_default())
    });
    let places: HashSet<_> = labels.collect();
    places.into_iter().map(|(cluster, group, family)| Place::tasks(cluster, group, family)).collect()
}

/// Returns the places of the snapshots in a publication that an earlier one did not have.
pub(super) fn new_in(publication: &Publication, before: Option<&Publication>) -> Vec<Place> {
    let mut places = Vec::new();
    for refresh in &publication.refreshes {
        let mut known = before.iter().flat_map(|before| &before.refreshes);
        if known.any(|known| known.scope == refresh.scope && Arc::ptr_eq(&known.snapshot, &refresh.snapshot)) {
            continue;
        }
        places.push(Place::scope(&refresh.scope));
        places.extend(refresh.clusters.iter().map(|state| Place::cluster(&refresh.scope, &state.cluster)));
        for tasks in &refresh.snapshot.clusters {
            places.extend(Place::of_tasks(&refresh.scope, tasks));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_places_are_evicted() {
        let place = |n: usize| Place::tasks("arn:aws:ecs:r:1:cluster/runs", None, &format!("run-{n}"));
        let mut seen = SeenPlaces::default();
        for version in 0..10 {
            seen.add((0..10_000).map(|n| place(version * 10_000 + n)), version as u64);
        }
        assert_eq!(seen.0.len(), MOST_SEEN);
        let contains = |n: usize| seen.any(|seen| *seen == place(n));
        assert_eq!([0, 49_999, 50_000, 99_999].map(contains), [false, false, true, true]);
    }
}
