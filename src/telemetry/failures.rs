//! Logs failures when they begin and when they end, and not at every refresh in between.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use tracing::{debug, info, warn};

use crate::inventory::{ClusterRef, Failure, FailureId, Operation, Scope};
use crate::refresh::Refresh;

/// The codes with which calls failed, by operation and cluster.
type Codes = BTreeMap<(Operation, Option<ClusterRef>), BTreeSet<String>>;

/// The failures of the last refresh of each scope.
#[derive(Default)]
pub(super) struct LoggedFailures(BTreeMap<Scope, Codes>);

impl LoggedFailures {
    /// Logs the failures of a refresh: new ones as warnings, and those that the last refresh of the scope had too for
    /// debugging.
    pub(super) fn log(&mut self, refresh: &Refresh, scope: Option<&str>) {
        let before = self.0.remove(&refresh.asked).unwrap_or_default();
        let mut now = Codes::new();
        for failed in Failed::all(refresh) {
            let Failure { operation, cluster, code, .. } = &failed.failure;
            let kind = (*operation, cluster.clone());
            failed.log(scope, before.get(&kind).is_some_and(|codes| is_known(codes, code)));
            now.entry(kind).or_default().insert(code.clone());
        }
        if now.is_empty() && !before.is_empty() {
            info!(scope, "recovered: the last refresh had no failures");
        }
        self.0.insert(refresh.asked.clone(), now);
    }
}

/// Returns whether a code is among those of the last refresh. Which of many failing calls a circuit breaker skips differs
/// from one refresh to the next.
fn is_known(codes: &BTreeSet<String>, code: &str) -> bool {
    codes.contains(code) || codes.contains(Failure::SKIPPED) || code == Failure::SKIPPED
}

/// A failure, and what follows from it.
struct Failed {
    failure: Failure,
    /// The number of last known targets that are kept because of it.
    kept: usize,
    /// The number of last known targets that are no longer kept.
    expired: usize,
}

impl Failed {
    /// Returns the failures of a refresh. Those of a scope's credentials are one for all its clusters.
    fn all(refresh: &Refresh) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let mut of_credentials: BTreeMap<(Operation, &str), usize> = BTreeMap::new();
        for (id, failure) in refresh.snapshot.failures.iter() {
            let failed = Self::new(refresh, id, failure);
            if failure.is_of_credentials() {
                let at = *of_credentials.entry((failure.operation, &failure.code)).or_insert(all.len());
                if let Some(known) = all.get_mut(at) {
                    known.add(failed);
                    continue;
                }
            }
            all.push(failed);
        }
        all
    }

    fn new(refresh: &Refresh, id: FailureId, failure: &Failure) -> Self {
        let count = |counts: &BTreeMap<FailureId, usize>| counts.get(&id).copied().unwrap_or(0);
        Self { failure: failure.clone(), kept: count(&refresh.kept), expired: count(&refresh.expired) }
    }

    /// Adds the same failure of another cluster.
    fn add(&mut self, other: Self) {
        self.failure.cluster = None;
        self.failure.calls += other.failure.calls;
        self.kept += other.kept;
        self.expired += other.expired;
    }

    fn log(&self, scope: Option<&str>, known: bool) {
        let Failure { operation, cluster, code, message, request_id, calls, .. } = &self.failure;
        let mut now = match operation.makes_targets() {
            true => format!("keeping {} targets", self.kept),
            false => "keeping last known labels".to_owned(),
        };
        if let Some(cluster) = cluster {
            // Writing to memory cannot fail.
            let _ = write!(now, " of cluster {}", cluster.name());
        }
        let cluster = cluster.as_ref().map(|cluster| cluster.as_str());
        macro_rules! log {
            ($level:ident) => {
                $level!(
                    %operation,
                    scope,
                    cluster,
                    code,
                    error = message,
                    request_id,
                    calls,
                    "{operation} failed: {now}"
                )
            };
        }
        if known {
            log!(debug)
        } else {
            log!(warn)
        }
        if self.expired > 0 {
            let why = if self.failure.cluster_is_missing() {
                "the cluster has not existed for an hour"
            } else {
                "older than -config.max-stale"
            };
            warn!(scope, cluster, removed = self.expired, "last known targets removed: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_calls_are_no_new_failures() {
        let codes = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
        for (before, code, expected) in [
            (&["Timeout"][..], "Timeout", true),
            (&["Timeout"], "AccessDeniedException", false),
            (&["Timeout"], "Skipped", true),
            (&["Skipped"], "Timeout", true),
        ] {
            assert_eq!(is_known(&codes(before), code), expected, "{before:?} {code}");
        }
    }
}
