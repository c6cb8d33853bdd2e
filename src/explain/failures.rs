//! Failures in words, with remedies.

use crate::inventory::{Clusters, Failure, Operation, Scope};

/// Describes a failure on one line, with a remedy. The scope is given if there are several.
pub(super) fn describe(failure: &Failure, names: &Clusters<'_>, scope: Option<&Scope>) -> String {
    let Failure { operation, code, message, .. } = failure;
    let place =
        failure.cluster.as_ref().map(|cluster| format!(" of cluster {}", names.display(cluster))).unwrap_or_default();
    let scope = scope.map(|scope| format!(" in {scope}")).unwrap_or_default();
    let request = failure.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
    format!("{operation}{place}{scope}: {code}: {message}{request}: {}", remedy(failure))
}

/// Returns what to do about a failure.
pub(super) fn remedy(failure: &Failure) -> String {
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
