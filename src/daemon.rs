//! When to refresh, and what to do when a refresh fails. What a refresh is made of stands elsewhere.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time;

use crate::config::{RefreshConfig, Rules};
use crate::file_sd::TargetGroup;
use crate::inventory::{ClusterTasks, FailureId, ListedTask, Snapshot};
use crate::last_good::{Known, merge};
use crate::output::{Earlier, Output};
use crate::targets::{Derived, derive};
use crate::telemetry::Telemetry;
use crate::writer::{IfUnchanged, WriteError, Written};

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
    /// The targets that were last put out.
    in_output: Arc<Vec<TargetGroup>>,
    /// The last refresh without failures.
    last_whole: Option<Whole>,
    telemetry: Arc<Telemetry>,
}

/// A snapshot in which nothing failed, and what followed from it.
#[derive(Clone)]
struct Whole {
    snapshot: Arc<Snapshot>,
    derived: Arc<Derived>,
    targets: Arc<Vec<TargetGroup>>,
}

/// The targets as of the last refresh.
enum LastGood {
    /// These, which stand in for what a refresh cannot learn.
    Known(Arc<Vec<TargetGroup>>),
    /// There is a file, and it does not say: only a refresh that learned everything may replace it.
    Unreadable(String),
}

/// How a refresh went.
#[derive(Debug)]
pub struct Refresh {
    /// What was learned.
    pub snapshot: Arc<Snapshot>,
    /// What follows from that alone.
    pub derived: Arc<Derived>,
    /// The targets after it, earlier ones that stand in included.
    pub targets: Arc<Vec<TargetGroup>>,
    /// How many of them are new in the output.
    pub added: usize,
    /// How many that were there are no more.
    pub removed: usize,
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
        !self.snapshot.failures.is_empty() || matches!(self.output, Outcome::Failed(_))
    }

    /// Whether everything in this cluster could be learned.
    pub fn knows_all_of(&self, cluster: &ClusterTasks) -> bool {
        // They are sorted.
        let unknown =
            |task: &ListedTask| self.derived.unknown.binary_search_by(|unknown| unknown.task.cmp(&task.arn)).is_ok();
        cluster.tasks.as_ref().is_ok_and(|tasks| !tasks.iter().any(unknown))
    }

    /// Whether the targets are in force: whoever reads them may rely on them.
    pub fn in_force(&self) -> bool {
        !matches!(self.output, Outcome::LeftAlone(_) | Outcome::NothingKnown)
    }
}

/// What a refresh knows before it writes.
struct Learned {
    snapshot: Arc<Snapshot>,
    derived: Arc<Derived>,
    targets: Arc<Vec<TargetGroup>>,
    kept: BTreeMap<FailureId, usize>,
}

/// The last refresh of a limited run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the last refresh failed")]
pub struct LastRefreshFailed;

impl<S: Source> Daemon<S> {
    /// Starts from what the output holds already, so that a restart during an outage loses nothing.
    pub fn new(source: S, rules: Rules, output: Output, telemetry: Arc<Telemetry>) -> Self {
        let last_good = match output.earlier() {
            Earlier::Nothing => LastGood::Known(Arc::default()),
            Earlier::Groups(groups) => {
                let groups = Arc::new(groups);
                telemetry.restored(&groups);
                LastGood::Known(groups)
            }
            Earlier::Unreadable(why) => {
                tracing::warn!(
                    why,
                    "the existing file is not one of ours: only a refresh without failures will replace it"
                );
                LastGood::Unreadable(why)
            }
        };
        let in_output = match &last_good {
            LastGood::Known(groups) => groups.clone(),
            LastGood::Unreadable(_) => Arc::default(),
        };
        Self { source, rules, output, last_good, in_output, last_whole: None, telemetry }
    }

    /// Refreshes at once and then at each interval. After a refresh that takes longer, the next one waits
    /// for the next tick: refreshes back to back would leave AWS no rest. (Tokio's intervals make one up.)
    pub async fn run(&mut self, when: RefreshConfig) -> Result<(), LastRefreshFailed> {
        let start = time::Instant::now();
        let mut left = when.limit.map(|limit| limit.get());
        loop {
            self.telemetry.refresh_begins();
            let refresh = self.refresh_once().await;
            let failed = refresh.failed();
            self.telemetry.refreshed(refresh);
            left = left.map(|left| left - 1);
            if left == Some(0) {
                return if failed { Err(LastRefreshFailed) } else { Ok(()) };
            }
            time::sleep(until_next_tick(start.elapsed(), when.interval)).await;
        }
    }

    /// One refresh: learn, derive, stand in, write.
    pub async fn refresh_once(&mut self) -> Refresh {
        let start = Instant::now();
        let snapshot = self.source.snapshot().await;
        let Learned { snapshot, derived, targets, kept } = self.follow(snapshot);
        let (added, removed) = difference(&self.in_output, &targets);
        // A list that is there already is not held twice.
        let targets = if added + removed == 0 { self.in_output.clone() } else { targets };
        let output = self.put_out(&targets, snapshot.failures.is_empty()).await;
        let took = start.elapsed();
        if !matches!(output, Outcome::LeftAlone(_)) {
            self.last_good = LastGood::Known(targets.clone());
        }
        if matches!(output, Outcome::Written(_)) {
            self.in_output = targets.clone();
        }
        let whole = Whole { snapshot: snapshot.clone(), derived: derived.clone(), targets: targets.clone() };
        self.last_whole = snapshot.failures.is_empty().then_some(whole);
        Refresh { snapshot, derived, targets, added, removed, kept, output, took }
    }

    /// What follows from a snapshot. From the same one as the last time the same follows.
    fn follow(&self, snapshot: Snapshot) -> Learned {
        match &self.last_whole {
            Some(Whole { snapshot: same, derived, targets }) if **same == snapshot => Learned {
                snapshot: same.clone(),
                derived: derived.clone(),
                targets: targets.clone(),
                kept: BTreeMap::new(),
            },
            _ => {
                let derived = derive(&snapshot, &self.rules);
                let Known { groups, kept } = merge(self.last_good.groups(), &snapshot, &derived);
                Learned { snapshot: Arc::new(snapshot), derived: Arc::new(derived), targets: Arc::new(groups), kept }
            }
        }
    }

    async fn put_out(&mut self, groups: &Arc<Vec<TargetGroup>>, complete: bool) -> Outcome {
        match &self.last_good {
            LastGood::Unreadable(why) if !complete => return Outcome::LeftAlone(why.clone()),
            // An empty list is for an empty success: whoever watches for the file goes on waiting.
            LastGood::Known(known) if !complete && known.is_empty() && groups.is_empty() => {
                return Outcome::NothingKnown;
            }
            _ => {}
        }
        let if_unchanged = if complete { IfUnchanged::Touch } else { IfUnchanged::Leave };
        match self.output.put(groups, if_unchanged).await {
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

/// How long it is to the next multiple of the interval.
fn until_next_tick(elapsed: Duration, interval: Duration) -> Duration {
    let into = elapsed.as_nanos() % interval.as_nanos().max(1);
    interval.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(0)))
}

/// How many groups of the second, sorted list are new, and how many of the first are no more.
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
mod tests;
