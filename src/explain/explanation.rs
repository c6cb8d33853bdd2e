//! An explained refresh.

use std::collections::BTreeMap;

use super::failures;
use super::rows::{self, Row};
use crate::inventory::Clusters;
use crate::refresh::Refresh;
use crate::staleness::ClusterState;

/// An explained refresh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// Every container, sorted.
    pub rows: Vec<Row>,
    /// The number of targets.
    pub targets: usize,
    /// The number of skipped containers, by the reason's code.
    pub skipped: BTreeMap<&'static str, usize>,
    /// The scanned clusters.
    pub clusters: Vec<Cluster>,
    /// Whether everything could be learned.
    pub complete: bool,
    /// The failures, on one line each.
    pub failures: Vec<String>,
}

/// A scanned cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's name.
    pub name: String,
    /// Whether everything in the cluster could be learned.
    pub complete: bool,
}

/// Explains a refresh.
pub fn explain(refresh: &Refresh) -> Explanation {
    let all = &refresh.snapshot.failures;
    let names = Clusters::new(refresh.clusters.iter().map(|state| &state.cluster));
    let cluster =
        |state: &ClusterState| Cluster { name: names.display(&state.cluster).to_owned(), complete: state.complete };
    Explanation {
        rows: rows::rows(refresh, &names),
        targets: refresh.targets.len(),
        skipped: refresh.derived.skipped_by_reason(),
        clusters: refresh.clusters.iter().map(cluster).collect(),
        complete: all.is_empty(),
        failures: all.iter().map(|(_, failure)| failures::describe(failure, &names)).collect(),
    }
}
