//! What is known now, shared between the loop that learns it and the web endpoints that show it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use crate::file_sd::TargetGroup;
use crate::inventory::ClusterRef;
use crate::publish::{Outcome, Publication};

/// The largest number of clusters that were seen and are not evicted: an account may create one per test run.
const MOST_SEEN: usize = 10_000;

/// What is known now.
#[derive(Clone)]
pub struct Status {
    /// When the loop last made progress: a refresh started, or a call to AWS ended.
    pub last_progress: Instant,
    /// When the last refresh started.
    pub last_refresh: Option<SystemTime>,
    /// When every scope was last refreshed without failures.
    pub last_success: Option<SystemTime>,
    /// The targets in force, as in the file; `None` before any are known.
    pub targets: Option<Arc<Vec<TargetGroup>>>,
    /// Increases whenever the targets in force change.
    pub targets_version: u64,
    /// The ARNs of the clusters that have targets in force.
    pub target_clusters: Arc<BTreeSet<ClusterRef>>,
    /// The clusters that this process scanned, or had targets of.
    pub seen: Arc<SeenClusters>,
    /// Whether a complete set of targets has been known: restored, or learned.
    pub ready: bool,
    /// The last publication.
    pub publication: Option<Arc<Publication>>,
    /// The number of publications.
    pub publication_version: u64,
    /// The number of panics since the last refresh that ended.
    pub panics: u32,
}

/// Clusters by name or ARN, each with the number of the publication that saw it last.
#[derive(Clone, Debug, Default)]
pub struct SeenClusters(BTreeMap<ClusterRef, u64>);

impl SeenClusters {
    /// Returns whether a cluster was seen, as given or, if it is given by name, under an ARN.
    pub fn contains(&self, asked: &ClusterRef) -> bool {
        self.0.contains_key(asked) || (!asked.is_arn() && self.0.keys().any(|seen| seen.name() == asked.as_str()))
    }

    fn add(&mut self, clusters: impl IntoIterator<Item = ClusterRef>, version: u64) {
        self.0.extend(clusters.into_iter().map(|cluster| (cluster, version)));
        while self.0.len() > MOST_SEEN {
            let oldest = self.0.iter().min_by_key(|(_, version)| **version).map(|(cluster, _)| cluster.clone());
            oldest.map(|cluster| self.0.remove(&cluster));
        }
    }
}

impl Status {
    /// Puts targets in force.
    fn put_in_force(&mut self, targets: &Arc<Vec<TargetGroup>>) {
        if self.targets.as_ref().is_some_and(|known| Arc::ptr_eq(known, targets)) {
            return;
        }
        let mut clusters = BTreeSet::new();
        for arn in targets.iter().filter_map(|group| group.labels.get("cluster_arn")) {
            // Most groups have the cluster of the one before, which need not be copied.
            if !clusters.contains(arn) {
                clusters.insert(arn.into());
            }
        }
        self.targets = Some(targets.clone());
        self.target_clusters = Arc::new(clusters);
        self.targets_version += 1;
    }

    /// Records the clusters that are known now.
    fn see_clusters(&mut self) {
        let refreshes = self.publication.iter().flat_map(|publication| &publication.refreshes);
        let scanned = refreshes.flat_map(|refresh| &refresh.clusters).map(|state| state.cluster.clone());
        let with_targets = self.target_clusters.iter().cloned();
        Arc::make_mut(&mut self.seen).add(scanned.chain(with_targets), self.publication_version);
    }
}

/// The status, for several owners.
pub struct SharedStatus(Mutex<Status>);

impl Default for SharedStatus {
    fn default() -> Self {
        Self(Mutex::new(Status {
            last_progress: Instant::now(),
            last_refresh: None,
            last_success: None,
            targets: None,
            targets_version: 0,
            target_clusters: Arc::default(),
            seen: Arc::default(),
            ready: false,
            publication: None,
            publication_version: 0,
            panics: 0,
        }))
    }
}

impl SharedStatus {
    /// Returns a copy of the status.
    pub fn get(&self) -> Status {
        self.lock().clone()
    }

    /// Records the targets of an earlier run.
    pub fn restored(&self, targets: &Arc<Vec<TargetGroup>>) {
        let mut status = self.lock();
        status.put_in_force(targets);
        status.ready = true;
        status.see_clusters();
    }

    /// Records that the loop is alive.
    pub fn progressed(&self) {
        self.lock().last_progress = Instant::now();
    }

    /// Records that a refresh started.
    pub fn refresh_started(&self) {
        let mut status = self.lock();
        (status.last_progress, status.last_refresh) = (Instant::now(), Some(SystemTime::now()));
    }

    /// Records a publication.
    pub fn published(&self, publication: Arc<Publication>) {
        let mut status = self.lock();
        if publication.in_force() {
            status.put_in_force(&publication.targets);
        }
        if !publication.failed() {
            status.last_success = Some(SystemTime::now());
        }
        status.ready |= publication.complete() && !matches!(publication.output, Outcome::Failed(_));
        status.panics = 0;
        status.publication = Some(publication);
        status.publication_version += 1;
        status.see_clusters();
    }

    /// Records that a refresh panicked.
    pub fn panicked(&self) {
        let mut status = self.lock();
        (status.last_progress, status.panics) = (Instant::now(), status.panics.saturating_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        // The status stays valid when a holder panics: each field is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_clusters_are_found_by_name_and_arn_and_bounded() {
        let arn = |n: usize| format!("arn:aws:ecs:r:1:cluster/run-{n}");
        let mut seen = SeenClusters::default();
        for n in 0..MOST_SEEN + 5 {
            seen.add([ClusterRef::from(arn(n).as_str())], n as u64);
        }
        for (asked, expected) in [
            (arn(MOST_SEEN).as_str(), true),
            ("run-10000", true),
            ("run", false),
            ("arn:aws:ecs:r:2:cluster/run-10000", false),
            ("run-0", false),
        ] {
            assert_eq!(seen.contains(&asked.into()), expected, "{asked}");
        }
        assert_eq!(seen.0.len(), MOST_SEEN);
    }
}
