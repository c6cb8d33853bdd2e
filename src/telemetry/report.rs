//! Logs a publication: a line when the targets change, a line for each failure, and the reason if there are no targets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use tracing::{Level, debug, enabled, error, info, warn};

use crate::inventory::{Failure, FailureId};
use crate::publish::{Outcome, Publication};
use crate::refresh::Refresh;
use crate::targets::{SkipReason, Skipped};
use crate::writer::Written;

/// The largest number of misconfigured containers that one refresh logs.
const MOST_MISCONFIGURED: usize = 10;

/// Kinds of misconfiguration: the container's name, and the reason in words.
pub(super) type Misconfigurations = BTreeSet<(String, String)>;

/// Logs a publication and its new refreshes. `logged` holds the misconfigurations that have been logged already.
pub(super) fn report(publication: &Publication, logged: &mut Misconfigurations) {
    let scopes = publication.refreshes.len() + publication.outstanding;
    for refresh in &publication.new {
        // With one scope, every line is about it.
        let scope = (scopes > 1).then(|| refresh.scope.to_string());
        for (id, failure) in refresh.snapshot.failures.iter() {
            report_failure(refresh, scope.as_deref(), id, failure);
        }
        report_kept(refresh);
    }
    let skipped: Vec<_> = publication.refreshes.iter().flat_map(|refresh| &refresh.derived.skipped).collect();
    report_output(publication, &skipped);
    report_misconfigurations(&skipped, logged);
    // If a failure hid all containers, the failure is the reason, and is logged already.
    if publication.targets.is_empty() && (publication.complete() || !skipped.is_empty()) {
        report_no_targets(&skipped);
    }
}

fn report_failure(refresh: &Refresh, scope: Option<&str>, id: FailureId, failure: &Failure) {
    let kept = refresh.kept.get(&id).copied().unwrap_or(0);
    let targets = failure.operation.makes_targets();
    let mut now = if targets { format!("keeping {kept} targets") } else { "keeping last known labels".to_owned() };
    if let Some(cluster) = &failure.cluster {
        let _ = write!(now, " of cluster {}", cluster.name());
    }
    let Failure { operation, code, message, calls, .. } = failure;
    warn!(
        %operation,
        scope,
        cluster = failure.cluster.as_ref().map(|cluster| cluster.as_str()),
        code,
        error = message,
        request_id = failure.request_id,
        calls,
        "{operation} failed: {now}"
    );
    if let Some(removed) = refresh.expired.get(&id) {
        let why = if failure.cluster_is_missing() {
            "the cluster has not existed for an hour"
        } else {
            "older than -config.max-stale"
        };
        warn!(
            scope,
            cluster = failure.cluster.as_ref().map(|cluster| cluster.as_str()),
            removed,
            "last known targets removed: {why}"
        );
    }
}

/// Logs each last known target that was kept.
fn report_kept(refresh: &Refresh) {
    if refresh.kept.is_empty() || !enabled!(Level::DEBUG) {
        return;
    }
    // Both lists are sorted.
    for group in refresh.targets.iter().filter(|group| refresh.derived.groups.binary_search(group).is_err()) {
        let target = group.targets.join(" ");
        debug!(target, task = group.labels.get("task_arn"), "kept last known target");
    }
}

fn report_output(publication: &Publication, skipped: &[&Skipped]) {
    let targets = publication.targets.len();
    let took = publication.new.iter().map(|refresh| refresh.took).max().unwrap_or_default().as_secs_f64();
    let (added, removed) = (publication.added, publication.removed);
    let skipped = || by_reason(skipped);
    match &publication.output {
        // Without a file, the targets are only served.
        Outcome::Written(Written::Unchanged) if added + removed > 0 => {
            info!(targets, added, removed, skipped = skipped(), seconds = took, "targets changed");
        }
        Outcome::Written(Written::Unchanged) => debug!(targets, seconds = took, "targets unchanged"),
        Outcome::Written(Written::Replaced(_) | Written::InPlace(_)) => {
            info!(targets, added, removed, skipped = skipped(), seconds = took, "targets written");
        }
        Outcome::Failed(error) => {
            error!(targets, error = %error, "cannot write targets: retrying at the next refresh")
        }
        Outcome::NotOverwritten(reason) => {
            warn!(targets, reason, "existing file not overwritten: it is unreadable, and the refresh was incomplete");
        }
        Outcome::NothingKnown => warn!("no file written: refresh failed and no previous targets exist"),
    }
}

/// Logs misconfigured containers: a line for each kind when it first occurs.
fn report_misconfigurations(skipped: &[&Skipped], logged: &mut Misconfigurations) {
    let mut kinds: BTreeMap<(String, String), Vec<&Skipped>> = BTreeMap::new();
    for skipped in skipped.iter().copied().filter(|skipped| skipped.reason.is_misconfiguration()) {
        let container = skipped.container.as_deref().unwrap_or_default().to_owned();
        kinds.entry((container, skipped.reason.to_string())).or_default().push(skipped);
    }
    let new: Vec<_> = kinds.iter().filter(|(kind, _)| !logged.contains(*kind)).collect();
    for ((container, reason), containers) in new.iter().take(MOST_MISCONFIGURED) {
        let first = containers.first();
        let (task, tasks) = (first.map(|skipped| skipped.task.as_str()), containers.len());
        let remedy = first.map(|skipped| skipped.reason.remedy());
        warn!(container, task, tasks, reason, remedy, "container misconfigured");
    }
    let more = new.len().saturating_sub(MOST_MISCONFIGURED);
    if more > 0 {
        warn!(more, "more containers are misconfigured: -explain lists all");
    }
    *logged = kinds.into_keys().collect();
}

/// Logs why there are no targets, with a remedy for the most frequent reason.
fn report_no_targets(skipped: &[&Skipped]) {
    let containers = skipped.iter().filter(|skipped| skipped.container.is_some()).count();
    let mut counts: BTreeMap<&SkipReason, usize> = BTreeMap::new();
    for skipped in skipped {
        *counts.entry(&skipped.reason).or_default() += 1;
    }
    let most_frequent = counts.iter().max_by_key(|(_, count)| **count).map(|(reason, _)| *reason);
    match most_frequent {
        Some(reason) => warn!(
            containers,
            skipped = by_reason(skipped),
            most_frequent = %reason,
            remedy = reason.remedy(),
            "no targets"
        ),
        None => {
            warn!(containers, remedy = "check -config.cluster and -config.region: no running tasks found", "no targets")
        }
    }
}

/// Formats counts as `no_port_label=12 invalid_port=1`; `None` if nothing was skipped.
fn by_reason(skipped: &[&Skipped]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for skipped in skipped {
        *counts.entry(skipped.reason.code()).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(code, count)| format!("{code}={count}")).collect();
    (!counts.is_empty()).then(|| counts.join(" "))
}
