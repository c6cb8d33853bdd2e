//! An explained publication.

use std::collections::BTreeMap;

use super::failures;
use super::rows::{self, Row};
use crate::inventory::Clusters;
use crate::publish::Publication;
use crate::refresh::Refresh;
use crate::staleness::ClusterState;

/// An explained publication.
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

/// Explains a publication.
pub fn explain(publication: &Publication) -> Explanation {
    let mut explanation =
        Explanation { targets: publication.targets.len(), complete: !publication.failed(), ..Explanation::default() };
    for refresh in &publication.refreshes {
        add(&mut explanation, refresh);
    }
    explanation.rows.sort_unstable();
    explanation
}

fn add(explanation: &mut Explanation, refresh: &Refresh) {
    let names = Clusters::new(refresh.clusters.iter().map(|state| &state.cluster));
    let cluster =
        |state: &ClusterState| Cluster { name: names.display(&state.cluster).to_owned(), complete: state.complete };
    explanation.rows.extend(rows::rows(refresh, &names));
    for (code, count) in refresh.derived.skipped_by_reason() {
        *explanation.skipped.entry(code).or_default() += count;
    }
    explanation.clusters.extend(refresh.clusters.iter().map(cluster));
    let failures = refresh.snapshot.failures.iter();
    explanation.failures.extend(failures.map(|(_, failure)| failures::describe(failure, &names)));
}
