//! A refresh: take a snapshot, derive its targets, merge the last known good ones, publish.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time;

use crate::config::Rules;
use crate::file_sd::TargetGroup;
use crate::inventory::{FailureId, Snapshot, Source};
use crate::last_good::{Merged, merge};
use crate::output::{Earlier, Output};
use crate::retention::Retention;
use crate::staleness::{ClusterState, Staleness};
use crate::targets::{Derived, derive};
use crate::writer::{IfUnchanged, WriteError, Written};

/// Makes refreshes, and keeps what one needs from the one before.
pub struct Refresher<S> {
    source: S,
    rules: Rules,
    output: Output,
    last_good: LastGood,
    /// The targets that were last written.
    written: Arc<Vec<TargetGroup>>,
    /// The last refresh without failures.
    last_complete: Option<Learned>,
    staleness: Staleness,
    retention: Retention,
}

/// The targets as of the last refresh.
enum LastGood {
    /// Targets that replace what a refresh cannot learn.
    Targets(Arc<Vec<TargetGroup>>),
    /// The output has unreadable contents: only a complete refresh may replace them. Holds the reason.
    Unreadable(String),
}

/// The result of a refresh.
#[derive(Debug)]
pub struct Refresh {
    /// What was learned.
    pub snapshot: Arc<Snapshot>,
    /// The targets of the snapshot alone.
    pub derived: Arc<Derived>,
    /// The targets after the refresh, including last known ones.
    pub targets: Arc<Vec<TargetGroup>>,
    /// The number of targets that are new in the output.
    pub added: usize,
    /// The number of targets that are no longer in the output.
    pub removed: usize,
    /// The number of last known targets that were kept, by failure.
    pub kept: BTreeMap<FailureId, usize>,
    /// The number of last known targets that are no longer kept, by failure.
    pub expired: BTreeMap<FailureId, usize>,
    /// When the oldest of the kept targets were last learned.
    pub oldest_kept: Option<Instant>,
    /// The scanned clusters.
    pub clusters: Vec<ClusterState>,
    /// The result of writing the output.
    pub output: Outcome,
    /// How long the refresh took.
    pub took: Duration,
}

/// The result of writing the output.
#[derive(Debug)]
pub enum Outcome {
    /// The output was written, or had not changed.
    Written(Written),
    /// The output could not be written.
    Failed(WriteError),
    /// The existing file was kept, because it is unreadable and the refresh was incomplete. Holds the reason.
    NotOverwritten(String),
    /// Nothing was learned, and no previous targets exist.
    NothingKnown,
}

impl Refresh {
    /// Returns whether anything failed, even though what was learned is written.
    pub fn failed(&self) -> bool {
        !self.snapshot.failures.is_empty() || matches!(self.output, Outcome::Failed(_))
    }

    /// Returns whether the targets are valid for readers.
    pub fn in_force(&self) -> bool {
        !matches!(self.output, Outcome::NotOverwritten(_) | Outcome::NothingKnown)
    }
}

/// What a refresh knows before it writes.
#[derive(Clone)]
struct Learned {
    snapshot: Arc<Snapshot>,
    derived: Arc<Derived>,
    targets: Arc<Vec<TargetGroup>>,
    kept: BTreeMap<FailureId, usize>,
    expired: BTreeMap<FailureId, usize>,
}

impl<S: Source> Refresher<S> {
    /// Starts with what an earlier run left in the output, so that a restart during an outage loses no targets.
    /// `max_stale` limits how long last known targets are kept.
    pub fn new(source: S, rules: Rules, output: Output, earlier: Earlier, max_stale: Option<Duration>) -> Self {
        let last_good = match earlier {
            Earlier::Nothing => LastGood::Targets(Arc::default()),
            Earlier::Groups(groups) => LastGood::Targets(groups),
            Earlier::Unreadable(reason) => LastGood::Unreadable(reason),
        };
        let written = match &last_good {
            LastGood::Targets(groups) => groups.clone(),
            LastGood::Unreadable(_) => Arc::default(),
        };
        let (staleness, retention) = (Staleness::default(), Retention::new(max_stale, now()));
        Self { source, rules, output, last_good, written, last_complete: None, staleness, retention }
    }

    /// Makes one refresh. Never fails as a whole; failures are in the result.
    pub async fn refresh(&mut self) -> Refresh {
        let start = now();
        let snapshot = self.source.snapshot().await;
        let learned_at = now();
        let Learned { snapshot, derived, targets, kept, expired } = self.learn(snapshot, learned_at);
        let clusters = self.staleness.update(&snapshot, &derived, learned_at);
        let oldest_kept = self.retention.oldest();
        let (added, removed) = difference(&self.written, &targets);
        // Shares an equal list instead of holding it twice.
        let targets = if added + removed == 0 { self.written.clone() } else { targets };
        let output = self.write(&targets, snapshot.failures.is_empty()).await;
        let took = now().saturating_duration_since(start);
        if !matches!(output, Outcome::NotOverwritten(_)) {
            self.last_good = LastGood::Targets(targets.clone());
        }
        if matches!(output, Outcome::Written(_)) {
            self.written = targets.clone();
        }
        let learned = Learned {
            snapshot: snapshot.clone(),
            derived: derived.clone(),
            targets: targets.clone(),
            kept: kept.clone(),
            expired: expired.clone(),
        };
        self.last_complete = snapshot.failures.is_empty().then_some(learned);
        Refresh { snapshot, derived, targets, added, removed, kept, expired, oldest_kept, clusters, output, took }
    }

    /// Derives and merges. A snapshot equal to the last complete one has the same result.
    fn learn(&mut self, snapshot: Snapshot, now: Instant) -> Learned {
        self.retention.start(&snapshot, now);
        if let Some(same) = self.last_complete.as_ref().filter(|last| *last.snapshot == snapshot) {
            return same.clone();
        }
        let derived = derive(&snapshot, &self.rules);
        let keeps = |group: &_, cluster: Option<&_>| self.retention.keeps(group, cluster);
        let Merged { groups, kept, expired } = merge(self.last_good.targets(), &snapshot, &derived, keeps);
        Learned { snapshot: Arc::new(snapshot), derived: Arc::new(derived), targets: Arc::new(groups), kept, expired }
    }

    async fn write(&mut self, groups: &Arc<Vec<TargetGroup>>, complete: bool) -> Outcome {
        match &self.last_good {
            LastGood::Unreadable(reason) if !complete => return Outcome::NotOverwritten(reason.clone()),
            // An empty list is for an empty success; whoever waits for the file goes on waiting.
            LastGood::Targets(known) if !complete && known.is_empty() && groups.is_empty() => {
                return Outcome::NothingKnown;
            }
            _ => {}
        }
        // The modification time tells readers when the file was last known to be complete.
        let if_unchanged = if complete { IfUnchanged::Touch } else { IfUnchanged::Leave };
        match self.output.put(groups, if_unchanged).await {
            Ok(written) => Outcome::Written(written),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl LastGood {
    fn targets(&self) -> &[TargetGroup] {
        match self {
            Self::Targets(groups) => groups,
            Self::Unreadable(_) => &[],
        }
    }
}

/// Returns the time of the runtime's clock, which tests can set forward.
fn now() -> Instant {
    time::Instant::now().into_std()
}

/// Returns how many groups of the second, sorted list are new, and how many of the first are gone.
fn difference(old: &Arc<Vec<TargetGroup>>, new: &Arc<Vec<TargetGroup>>) -> (usize, usize) {
    if Arc::ptr_eq(old, new) {
        return (0, 0);
    }
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let (mut added, mut removed) = (0, 0);
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return (added, removed),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.cmp(new),
        };
        removed += usize::from(order.is_lt() && old.next().is_some());
        added += usize::from(order.is_gt() && new.next().is_some());
        if order.is_eq() {
            old.next();
            new.next();
        }
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
