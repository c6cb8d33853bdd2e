//! One refresh in the logs: a line when the targets change, a line for each failure, and why there are
//! no targets where there are none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use tracing::level_filters::LevelFilter;
use tracing::{error, info, warn};

use crate::daemon::{Outcome, Refresh};
use crate::inventory::{Failure, FailureId};
use crate::targets::{SkipReason, Skipped};
use crate::writer::Written;

/// How many containers with something to mend are named in one refresh.
const MOST_MISTAKES: usize = 10;

/// Kinds of mistakes: the container's name, and the reason in words.
pub(super) type Mistakes = BTreeSet<(String, String)>;

/// Logs what a refresh did. `mistakes` are those that have been named already.
pub(super) fn report(refresh: &Refresh, mistakes: &mut Mistakes) {
    for (id, failure) in refresh.snapshot.failures.iter() {
        report_failure(refresh, id, failure);
    }
    report_output(refresh);
    report_mistakes(&refresh.derived.skipped, mistakes);
    // Where no container was seen because of a failure, it is the failure that says why.
    let skipped = &refresh.derived.skipped;
    if refresh.targets.is_empty() && (refresh.snapshot.failures.is_empty() || !skipped.is_empty()) {
        report_no_targets(skipped);
    }
}

fn report_failure(refresh: &Refresh, id: FailureId, failure: &Failure) {
    let kept = refresh.kept.get(&id).copied().unwrap_or(0);
    let mut now = format!("keeping {kept} targets");
    if let Some(cluster) = &failure.cluster {
        let _ = write!(now, " of cluster {}", cluster.name());
    }
    let Failure { operation, code, message, calls, .. } = failure;
    warn!(
        operation,
        cluster = failure.cluster.as_ref().map(|cluster| cluster.as_str()),
        code,
        error = message,
        request_id = failure.request_id,
        calls,
        "{operation} failed: {now}"
    );
}

fn report_output(refresh: &Refresh) {
    let targets = refresh.targets.len();
    let took = refresh.took.as_secs_f64();
    let (added, removed) = (refresh.added, refresh.removed);
    let skipped = || by_reason(&refresh.derived.skipped);
    match &refresh.output {
        // Only served, and written to no file.
        Outcome::Written(Written::Unchanged) if added + removed > 0 => {
            info!(targets, added, removed, skipped = skipped(), seconds = took, "targets changed");
        }
        // The release build has no events below `info`: they would be the libraries', which nobody is shown.
        Outcome::Written(Written::Unchanged) if LevelFilter::current() >= LevelFilter::DEBUG => {
            info!(targets, seconds = took, "targets unchanged");
        }
        Outcome::Written(Written::Unchanged) => {}
        Outcome::Written(Written::Replaced) => {
            info!(targets, added, removed, skipped = skipped(), seconds = took, "targets written");
        }
        Outcome::Failed(error) => {
            error!(targets, error = %error, "targets not written: trying again at the next refresh")
        }
        Outcome::LeftAlone(why) => {
            warn!(targets, why, "existing file left alone: it is not one of ours, and not everything could be learned");
        }
        Outcome::NothingKnown => warn!("nothing written: nothing could be learned, and nothing was known before"),
    }
}

/// Names the containers that somebody meant to be scraped and that are no targets: a line for each kind,
/// when it appears.
fn report_mistakes(skipped: &[Skipped], known: &mut Mistakes) {
    let mut kinds: BTreeMap<(String, String), Vec<&Skipped>> = BTreeMap::new();
    for skipped in skipped.iter().filter(|skipped| skipped.reason.is_misconfiguration()) {
        let container = skipped.container.as_deref().unwrap_or_default().to_owned();
        kinds.entry((container, skipped.reason.to_string())).or_default().push(skipped);
    }
    let new: Vec<_> = kinds.iter().filter(|(kind, _)| !known.contains(*kind)).collect();
    for ((container, reason), alike) in new.iter().take(MOST_MISTAKES) {
        let first = alike.first();
        let (task, tasks) = (first.map(|skipped| skipped.task.as_str()), alike.len());
        let remedy = first.map(|skipped| skipped.reason.remedy());
        warn!(container, task, tasks, reason, remedy, "container skipped");
    }
    let more = new.len().saturating_sub(MOST_MISTAKES);
    if more > 0 {
        warn!(more, "more containers skipped: -explain names them all");
    }
    *known = kinds.into_keys().collect();
}

/// Says why there is nothing, with what to do about the commonest reason.
fn report_no_targets(skipped: &[Skipped]) {
    let containers = skipped.iter().filter(|skipped| skipped.container.is_some()).count();
    let mut counts: BTreeMap<&SkipReason, usize> = BTreeMap::new();
    for skipped in skipped {
        *counts.entry(&skipped.reason).or_default() += 1;
    }
    let commonest = counts.iter().max_by_key(|(_, count)| **count).map(|(reason, _)| *reason);
    match commonest {
        Some(reason) => warn!(
            containers,
            skipped = by_reason(skipped),
            commonest = %reason,
            remedy = reason.remedy(),
            "no targets"
        ),
        None => warn!(
            containers,
            remedy = "check -config.cluster and -config.region: no running task was seen",
            "no targets"
        ),
    }
}

/// `no_port_label=12 invalid_port=1`; none where nothing was skipped.
fn by_reason(skipped: &[Skipped]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for skipped in skipped {
        *counts.entry(skipped.reason.code()).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(code, count)| format!("{code}={count}")).collect();
    (!counts.is_empty()).then(|| counts.join(" "))
}
