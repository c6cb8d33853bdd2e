//! An explained publication.

use std::collections::BTreeMap;

use super::failures;
use super::rows::{self, Row, Verdict};
use crate::filter::TargetFilter;
use crate::inventory::{ClusterRef, Clusters, Scope};
use crate::publish::Publication;
use crate::refresh::Refresh;

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
    /// The scope, if there are several.
    pub scope: Option<Scope>,
    /// The cluster's name.
    pub name: String,
    /// Whether everything in the cluster could be learned.
    pub complete: bool,
}

/// Explains a publication.
pub fn explain(publication: &Publication) -> Explanation {
    explain_selected(publication, &TargetFilter::default())
}

/// Explains what a filter selects of a publication.
pub fn explain_selected(publication: &Publication, filter: &TargetFilter) -> Explanation {
    let mut explanation = Explanation { complete: !publication.failed(), ..Explanation::default() };
    let several = publication.refreshes.len() + publication.outstanding > 1;
    for refresh in &publication.refreshes {
        add(&mut explanation, refresh, several.then_some(&refresh.scope), filter);
    }
    explanation.rows.sort_unstable();
    for row in &explanation.rows {
        match &row.verdict {
            Verdict::Target(_) => explanation.targets += 1,
            Verdict::Misconfigured(reason) | Verdict::Skipped(reason) => {
                *explanation.skipped.entry(reason.code()).or_default() += 1;
            }
            Verdict::Unknown { .. } => {}
        }
    }
    explanation
}

fn add(explanation: &mut Explanation, refresh: &Refresh, scope: Option<&Scope>, filter: &TargetFilter) {
    let names = Clusters::new(refresh.clusters.iter().map(|state| &state.cluster));
    explanation.rows.extend(rows::rows(refresh, &names, scope, filter));
    let can_select = |cluster: Option<&ClusterRef>| filter.can_select(&refresh.scope, cluster);
    let clusters = refresh.clusters.iter().filter(|state| can_select(Some(&state.cluster)));
    explanation.clusters.extend(clusters.map(|state| Cluster {
        scope: scope.cloned(),
        name: names.display(&state.cluster).to_owned(),
        complete: state.complete,
    }));
    let failures = refresh.snapshot.failures.iter().map(|(_, failure)| failure);
    let failures = failures.filter(|failure| can_select(failure.cluster.as_ref()));
    explanation.failures.extend(failures.map(|failure| failures::describe(failure, &names, scope)));
}
