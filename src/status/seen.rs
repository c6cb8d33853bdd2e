//! The places that were seen, to tell an empty place from a mistyped one.

use std::collections::{BTreeMap, HashSet};

use crate::file_sd::TargetGroup;
use crate::inventory::Place;
use crate::publish::Publication;

/// The largest number of places that were seen and are not evicted: an account may create a cluster per test run.
const MOST_SEEN: usize = 50_000;

/// Places, each with the number of the publication that saw it last.
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

/// Returns the places that the new refreshes of a publication have seen.
pub(super) fn new_in(publication: &Publication) -> Vec<Place> {
    let places = publication.new.iter().flat_map(|refresh| {
        let scope = &refresh.scope;
        let clusters = refresh.clusters.iter().map(move |state| Place::cluster(scope, &state.cluster));
        let tasks = refresh.snapshot.clusters.iter().flat_map(move |tasks| Place::of_tasks(scope, tasks));
        clusters.chain(tasks).chain([Place::scope(scope)])
    });
    places.collect()
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
