//! Explains why each container of the scanned clusters is or is not a target. Pure: from a refresh to rows, and
//! from rows to text or JSON.

mod json;
mod rows;
mod text;

use std::collections::BTreeMap;

pub use self::json::json;
pub use self::rows::{Row, Target, Verdict};
pub use self::text::{Colour, text};
use crate::inventory::{Failure, Operation};
use crate::refresh::Refresh;

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
    let failures = &refresh.snapshot.failures;
    let cluster = |state: &crate::staleness::ClusterState| Cluster {
        name: state.cluster.name().to_owned(),
        complete: state.complete,
    };
    Explanation {
        rows: rows::rows(refresh),
        targets: refresh.targets.len(),
        skipped: refresh.derived.skipped_by_reason(),
        clusters: refresh.clusters.iter().map(cluster).collect(),
        complete: failures.is_empty(),
        failures: failures.iter().map(|(_, failure)| describe(failure)).collect(),
    }
}

/// Describes a failure on one line, with a remedy.
fn describe(failure: &Failure) -> String {
    let Failure { operation, code, message, .. } = failure;
    let place = failure.cluster.as_ref().map(|cluster| format!(" of cluster {}", cluster.name())).unwrap_or_default();
    let request = failure.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
    format!("{operation}{place}: {code}: {message}{request}: {}", remedy(failure))
}

/// Returns what to do about a failure.
fn remedy(failure: &Failure) -> String {
    let denied = ["AccessDenied", "Unauthorized"].iter().any(|word| failure.code.starts_with(word));
    match (failure.operation, failure.code.as_str()) {
        (Operation::AssumeRole, _) if denied => {
            "allow sts:AssumeRole in this role's policy, and this role in the trust policy of the other".into()
        }
        (operation, _) if denied => format!("allow {}", operation.iam_action()),
        (_, "ClusterNotFoundException") => "check -config.cluster and -config.region".into(),
        _ if failure.transient => "wait: every refresh retries".into(),
        _ => "see the message".into(),
    }
}
