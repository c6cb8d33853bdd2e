//! A refresh of one scope: take a snapshot, derive its targets, merge the last known good ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time;

use crate::config::Rules;
use crate::file_sd::TargetGroup;
use crate::inventory::{ClusterRef, Failure, FailureId, Fetched, Scope, Snapshot, Source, Task, TaskArn};
use crate::last_good::{Merged, merge};
use crate::retention::Retention;
use crate::staleness::{ClusterState, Staleness};
use crate::targets::{Derived, derive};

/// Refreshes a scope, and keeps what one refresh needs from the one before.
pub struct Refresher<S> {
    source: S,
    rules: Rules,
    /// The targets as of the last refresh, which replace what a refresh cannot learn.
    last_good: Arc<Vec<TargetGroup>>,
    /// The last refresh that learned all targets.
    last_complete: Option<Learned>,
    staleness: Staleness,
    retention: Retention,
    /// The last snapshot.
    last: Option<Arc<Snapshot>>,
    /// The account, once it is known.
    scope: Scope,
}

/// The result of a refresh.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The refreshed scope, with its account once a task has been seen.
    pub scope: Scope,
    /// The scope as calls are made in it: without the account if only the credentials were known at the start.
    pub asked: Scope,
    /// Why it was made.
    pub cause: Cause,
    /// What was learned.
    pub snapshot: Arc<Snapshot>,
    /// The targets of the snapshot alone.
    pub derived: Arc<Derived>,
    /// The targets of the scope after the refresh, including last known ones, sorted.
    pub targets: Arc<Vec<TargetGroup>>,
    /// The number of last known targets that were kept, by failure.
    pub kept: BTreeMap<FailureId, usize>,
    /// The number of last known targets that are no longer kept, by failure.
    pub expired: BTreeMap<FailureId, usize>,
    /// When the oldest of the kept targets were last learned.
    pub oldest_kept: Option<Instant>,
    /// The scanned clusters.
    pub clusters: Vec<ClusterState>,
    /// How long the refresh took.
    pub took: Duration,
}

/// Why something was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The interval between refreshes had passed: everything was asked for.
    Interval,
    /// Some targets are known in the middle of the first refresh.
    Start,
    /// Tasks were pending: they were described again.
    Watch,
    /// Events told of changed tasks: they were described again.
    Event,
}

impl Refresh {
    /// Returns whether anything could not be learned.
    pub fn failed(&self) -> bool {
        !self.snapshot.failures.is_empty()
    }

    /// Returns whether calls failed, other than because a cluster does not exist.
    pub fn calls_failed(&self) -> bool {
        self.snapshot.failures.iter().any(|(_, failure)| !failure.cluster_is_missing())
    }

    /// Returns whether all targets were learned, even if labels of some were not.
    pub fn complete(&self) -> bool {
        self.snapshot.is_complete()
    }
}

/// Takes what is known in the middle of a refresh, or leaves it, which costs less.
pub type First<'a> = dyn FnMut(Box<dyn FnOnce() -> Refresh + '_>) + 'a;

/// What follows from a snapshot.
#[derive(Clone)]
struct Learned {
    snapshot: Arc<Snapshot>,
    derived: Arc<Derived>,
    targets: Arc<Vec<TargetGroup>>,
    kept: BTreeMap<FailureId, usize>,
    expired: BTreeMap<FailureId, usize>,
}

impl<S: Source> Refresher<S> {
    /// Starts with the scope's targets of an earlier run, so that a restart during an outage loses none. `max_stale`
    /// limits how long last known targets are kept.
    pub fn new(source: S, rules: Rules, earlier: Arc<Vec<TargetGroup>>, max_stale: Option<Duration>) -> Self {
        let (staleness, retention) = (Staleness::default(), Retention::new(max_stale, now()));
        let scope = source.scope().clone();
        Self { source, rules, last_good: earlier, last_complete: None, staleness, retention, last: None, scope }
    }

    /// Makes one refresh. Never fails as a whole; failures are in the result. If no targets of the scope are known, offers
    /// those that are learned in the middle of it to `first`.
    pub async fn refresh(&mut self, first: Option<&mut First<'_>>) -> Refresh {
        let start = now();
        let first = first.filter(|_| self.last.is_none() && self.last_good.is_empty());
        let snapshot = match first {
            None => self.source.snapshot(None).await,
            Some(first) => {
                let (rules, scope, last_good) = (&self.rules, &self.scope, &mut self.last_good);
                let mut report = |snapshot: Snapshot| {
                    first(Box::new(|| {
                        let refresh = in_the_middle(snapshot, rules, scope, start, last_good);
                        // What is published once is kept, should the rest of the refresh fail.
                        *last_good = refresh.targets.clone();
                        refresh
                    }));
                };
                self.source.snapshot(Some(&mut report)).await
            }
        };
        self.learned(snapshot, Cause::Interval, start)
    }

    /// Looks at some tasks of a cluster. Returns nothing if nothing has changed since the last refresh or look.
    pub async fn look(
        &mut self,
        cluster: &ClusterRef,
        tasks: &[TaskArn],
        cause: Cause,
    ) -> Result<Option<Refresh>, Failure> {
        let Some(base) = self.last.clone() else { return Ok(None) };
        let start = now();
        let snapshot = self.source.look(&base, cluster, tasks).await?;
        Ok((*base != snapshot).then(|| self.learned(snapshot, cause, start)))
    }

    /// Returns whether a cluster would be scanned if it existed.
    pub fn covers(&self, cluster_arn: &str) -> bool {
        self.scope.contains(cluster_arn) && self.source.covers(cluster_arn)
    }

    /// Returns what is known of a task of the cluster that this condition selects, if it is listed.
    pub fn task(&self, is_cluster: impl Fn(&ClusterRef) -> bool, task: &TaskArn) -> Option<&Fetched<Arc<Task>>> {
        self.last.as_ref()?.task(is_cluster, task)
    }

    /// Returns the last snapshot.
    pub fn last(&self) -> Option<&Arc<Snapshot>> {
        self.last.as_ref()
    }

    /// Returns the scope as calls are made in it.
    pub fn asked(&self) -> &Scope {
        self.source.scope()
    }

    /// Returns how many calls have counted against each bucket so far.
    pub fn calls(&self) -> Vec<u32> {
        self.source.calls()
    }

    /// What follows from a snapshot is the same whatever caused it.
    fn learned(&mut self, snapshot: Snapshot, cause: Cause, start: Instant) -> Refresh {
        let learned_at = now();
        if self.scope.account.is_none() {
            self.scope.account = snapshot.account().map(Into::into);
        }
        let learned = self.learn(snapshot, learned_at);
        let Learned { snapshot, derived, targets, kept, expired } = learned.clone();
        let clusters = self.staleness.update(&snapshot, &derived, learned_at);
        let oldest_kept = self.retention.oldest();
        self.last_good = targets.clone();
        self.last_complete = snapshot.is_complete().then_some(learned);
        self.last = Some(snapshot.clone());
        let (scope, asked) = (self.scope.clone(), self.source.scope().clone());
        let took = now().saturating_duration_since(start);
        Refresh { scope, asked, cause, snapshot, derived, targets, kept, expired, oldest_kept, clusters, took }
    }

    /// Derives and merges. A snapshot equal to the last complete one has the same result.
    fn learn(&mut self, snapshot: Snapshot, now: Instant) -> Learned {
        self.retention.start(&snapshot, now);
        if let Some(same) = self.last_complete.as_ref().filter(|last| *last.snapshot == snapshot) {
            return same.clone();
        }
        let mut derived = derive(&snapshot, &self.rules);
        share_equal(&mut derived.groups, &self.last_good);
        let keeps = |group: &_, cluster: Option<&_>| self.retention.keeps(group, cluster);
        let Merged { groups, kept, expired } = merge(&self.last_good, &snapshot, &derived, keeps);
        // Shares an equal list instead of holding it twice.
        let targets = if self.last_good == groups { self.last_good.clone() } else { groups };
        Learned { snapshot: Arc::new(snapshot), derived: Arc::new(derived), targets, kept, expired }
    }
}

/// Replaces groups with equal ones of another list, or the whole list if it is equal, so that a change of a few targets
/// does not hold the others twice. Both lists are sorted.
fn share_equal(groups: &mut Arc<Vec<TargetGroup>>, all_known: &Arc<Vec<TargetGroup>>) {
    if groups == all_known {
        *groups = all_known.clone();
        return;
    }
    let mut known = all_known.iter().peekable();
    for group in Arc::make_mut(groups) {
        while known.next_if(|known| *known < group).is_some() {}
        if let Some(equal) = known.next_if(|known| *known == group) {
            *group = equal.clone();
        }
    }
}

/// Returns what follows from what is known in the middle of a refresh: no cluster is complete.
fn in_the_middle(
    snapshot: Snapshot,
    rules: &Rules,
    scope: &Scope,
    start: Instant,
    known: &Arc<Vec<TargetGroup>>,
) -> Refresh {
    let mut derived = derive(&snapshot, rules);
    share_equal(&mut derived.groups, known);
    let now = now();
    let states = snapshot.clusters.iter().map(|cluster| ClusterState {
        cluster: cluster.cluster.clone(),
        complete: false,
        last_complete: now,
    });
    Refresh {
        scope: scope.clone(),
        asked: scope.clone(),
        cause: Cause::Start,
        clusters: states.collect(),
        targets: derived.groups.clone(),
        derived: Arc::new(derived),
        snapshot: Arc::new(snapshot),
        kept: BTreeMap::new(),
        expired: BTreeMap::new(),
        oldest_kept: None,
        took: now.saturating_duration_since(start),
    }
}

/// Returns the time of the runtime's clock, which tests can set forward.
fn now() -> Instant {
    time::Instant::now().into_std()
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
