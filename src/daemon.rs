//! When to refresh, and what to do when a refresh fails. What a refresh is made of stands elsewhere.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{RefreshConfig, Rules};
use crate::file_sd::TargetGroup;
use crate::inventory::{Failure, FailureId, Failures, Snapshot};
use crate::last_good::stand_in;
use crate::output::{Earlier, Output};
use crate::targets::{Derived, Skipped, derive};
use crate::telemetry;
use crate::writer::{WriteError, Written};

/// Where snapshots come from.
pub trait Source {
    /// Learns all there is to know now. Never fails as a whole: what could not be learned is in the snapshot.
    fn snapshot(&mut self) -> impl Future<Output = Snapshot>;
}

/// The loop and what it knows.
pub struct Daemon<S> {
    source: S,
    rules: Rules,
    output: Output,
    last_good: LastGood,
}

/// The targets as of the last refresh.
enum LastGood {
    /// These, which stand in for what a refresh cannot learn.
    Known(Vec<TargetGroup>),
    /// There is a file, and it does not say: only a refresh that learned everything may replace it.
    Unreadable(String),
}

/// How a refresh went.
#[derive(Debug)]
pub struct Refresh {
    /// The targets after it.
    pub targets: Vec<TargetGroup>,
    /// How many of them are new.
    pub added: usize,
    /// How many earlier ones are no more.
    pub removed: usize,
    /// The containers that are no targets.
    pub skipped: Vec<Skipped>,
    /// What failed.
    pub failures: Failures,
    /// How many earlier groups stand in, by failure.
    pub kept: BTreeMap<FailureId, usize>,
    /// What became of the file.
    pub output: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What became of the file.
#[derive(Debug)]
pub enum Outcome {
    /// It was written, or had not changed.
    Written(Written),
    /// It could not be written.
    Failed(WriteError),
    /// It was left alone, because it is not known what would be lost. Holds why it cannot be read.
    LeftAlone(String),
    /// There is nothing to say yet: nothing was learned, and nothing was known before.
    NothingKnown,
}

impl Refresh {
    /// Whether anything failed, though what was learned is written.
    pub fn failed(&self) -> bool {
        !self.failures.is_empty() || matches!(self.output, Outcome::Failed(_))
    }
}

/// The last refresh of a limited run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the last refresh failed")]
pub struct LastRefreshFailed;

impl<S: Source> Daemon<S> {
    /// Starts from what the output holds already, so that a restart during an outage loses nothing.
    pub fn new(source: S, rules: Rules, output: Output) -> Self {
        let last_good = match output.earlier() {
            Earlier::Groups(groups) => LastGood::Known(groups),
            Earlier::Unreadable(why) => {
                tracing::warn!(
                    why,
                    "the existing file is not one of ours: only a refresh without failures will replace it"
                );
                LastGood::Unreadable(why)
            }
        };
        Self { source, rules, output, last_good }
    }

    /// Refreshes at once and then at each interval. A refresh that takes longer makes the ticks that it
    /// missed be skipped.
    pub async fn run(&mut self, refresh: RefreshConfig) -> Result<(), LastRefreshFailed> {
        let mut ticks = interval(refresh.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut left = refresh.limit.map(|limit| limit.get());
        loop {
            ticks.tick().await;
            let refresh = self.refresh_once().await;
            telemetry::report(&refresh);
            left = left.map(|left| left - 1);
            if left == Some(0) {
                return if refresh.failed() { Err(LastRefreshFailed) } else { Ok(()) };
            }
        }
    }

    /// One refresh: learn, derive, stand in, write.
    pub async fn refresh_once(&mut self) -> Refresh {
        let start = Instant::now();
        let learned = async {
            let snapshot = self.source.snapshot().await;
            let derived = derive(&snapshot, &self.rules);
            (snapshot, derived)
        };
        let (snapshot, derived) = match AssertUnwindSafe(learned).catch_unwind().await {
            Ok(learned) => learned,
            // The panic itself has been logged by the panic hook.
            Err(_) => (Snapshot::failed(panicked()), Derived::default()),
        };
        let known = stand_in(self.last_good.groups(), &snapshot, &derived);
        let (added, removed) = difference(self.last_good.groups(), &known.groups);
        let output = self.put_out(&known.groups, snapshot.failures.is_empty()).await;
        let refresh = Refresh {
            targets: known.groups,
            added,
            removed,
            skipped: derived.skipped,
            failures: snapshot.failures,
            kept: known.kept,
            output,
            took: start.elapsed(),
        };
        if !matches!(refresh.output, Outcome::LeftAlone(_)) {
            self.last_good = LastGood::Known(refresh.targets.clone());
        }
        refresh
    }

    async fn put_out(&mut self, groups: &[TargetGroup], complete: bool) -> Outcome {
        match &self.last_good {
            LastGood::Unreadable(why) if !complete => return Outcome::LeftAlone(why.clone()),
            // An empty list is for an empty success: whoever watches for the file goes on waiting.
            LastGood::Known(known) if !complete && known.is_empty() && groups.is_empty() => {
                return Outcome::NothingKnown;
            }
            _ => {}
        }
        match self.output.put(groups, complete).await {
            Ok(written) => Outcome::Written(written),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl LastGood {
    fn groups(&self) -> &[TargetGroup] {
        match self {
            Self::Known(groups) => groups,
            Self::Unreadable(_) => &[],
        }
    }
}

fn panicked() -> Failure {
    Failure {
        operation: "refresh",
        cluster: None,
        code: "Panic".into(),
        message: "a defect in this program, please report it".into(),
        request_id: None,
        calls: 1,
        transient: false,
    }
}

/// How many groups of the second, sorted list are new, and how many of the first are no more.
fn difference(old: &[TargetGroup], new: &[TargetGroup]) -> (usize, usize) {
    let missing_in = |others: &[TargetGroup], groups: &[TargetGroup]| {
        groups.iter().filter(|group| others.binary_search(group).is_err()).count()
    };
    (missing_in(old, new), missing_in(new, old))
}

#[cfg(test)]
mod tests;
