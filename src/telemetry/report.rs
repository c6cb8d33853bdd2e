//! Logs a publication: a line when the targets change, a line for each new failure, and the reason if there are no targets.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{Discriminant, discriminant};

use tracing::{Level, debug, enabled, error, info, warn};

use super::failures::LoggedFailures;
use crate::publish::{Outcome, Publication};
use crate::refresh::Refresh;
use crate::targets::{SkipReason, Skipped};
use crate::writer::Written;

/// The largest number of misconfigured containers that one refresh logs.
const MOST_MISCONFIGURED: usize = 10;

/// Kinds of misconfiguration: the container's name, and the reason in words.
type Misconfigurations = BTreeSet<(String, String)>;

/// What has been logged already.
#[derive(Default)]
pub(super) struct Logged {
    failures: LoggedFailures,
    misconfigurations: Misconfigurations,
    /// The result of the last publication.
    output: Option<Discriminant<Outcome>>,
}

/// Logs a publication and its new refreshes.
pub(super) fn report(publication: &Publication, logged: &mut Logged) {
    let scopes = publication.refreshes.len() + publication.outstanding;
    for refresh in &publication.new {
        // With one scope, every line is about it.
        let scope = (scopes > 1).then(|| refresh.scope.to_string());
        logged.failures.log(refresh, scope.as_deref());
        report_kept(refresh);
    }
    let skipped: Vec<_> = publication.refreshes.iter().flat_map(|refresh| &refresh.derived.skipped).collect();
    report_output(publication, &skipped, logged);
    report_misconfigurations(&skipped, &mut logged.misconfigurations);
    // If a failure hid all containers, the failure is the reason, and is logged already.
    if publication.targets.is_empty() && (publication.complete() || !skipped.is_empty()) {
        report_no_targets(&skipped);
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

fn report_output(publication: &Publication, skipped: &[&Skipped], logged: &mut Logged) {
    let output = Some(discriminant(&publication.output));
    let as_before = logged.output == output;
    logged.output = output;
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
        Outcome::NotOverwritten(reason) if as_before => debug!(reason, "existing file not overwritten"),
        Outcome::NotOverwritten(reason) => {
            warn!(targets, reason, "existing file not overwritten: it is unreadable, and the refresh was incomplete");
        }
        Outcome::NothingKnown if as_before => debug!("no file written"),
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
