//! Where snapshots come from, and who observes the calls that make them.

use std::future::Future;
use std::time::Duration;

use super::failure::Failure;
use super::names::{ClusterRef, TaskArn};
use super::operation::Operation;
use super::scope::Scope;
use super::snapshot::Snapshot;

/// A source of snapshots of one scope.
pub trait Source {
    /// Returns the account, if it is known, and the region that the snapshots are of.
    fn scope(&self) -> &Scope;

    /// Returns whether this source would scan a cluster if it existed.
    fn covers(&self, cluster_arn: &str) -> bool;

    /// Learns the current state, and meanwhile passes what is known so far to `report`: only tasks of which everything is.
    /// Never fails as a whole: what could not be learned is in
    /// [`Snapshot::failures`].
    fn snapshot(&mut self, report: Option<&mut dyn FnMut(Snapshot)>) -> impl Future<Output = Snapshot>;

    /// Describes up to 100 tasks of a scanned cluster between two snapshots, and returns `base`, the last one, with what
    /// is known of them now. Fails if the call fails.
    fn look(
        &mut self,
        base: &Snapshot,
        cluster: &ClusterRef,
        tasks: &[TaskArn],
    ) -> impl Future<Output = Result<Snapshot, Failure>>;

    /// Returns how many attempts of calls have been made so far, for each of the buckets that limit them.
    fn calls(&self) -> Vec<u32>;
}

/// One attempt of an AWS call; a retried call has several.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt<'a> {
    /// The scope in which the call is made.
    pub scope: &'a Scope,
    /// The operation.
    pub operation: Operation,
    /// AWS's error code, `ok`, or this program's code for an attempt without a response.
    pub code: &'a str,
    /// Whether AWS throttled the attempt.
    pub throttled: bool,
    /// How long the attempt took.
    pub took: Duration,
}

/// Observes a source. Calls wait for it, so it must return at once.
pub trait Observer: Send + Sync {
    /// Records that an attempt ended.
    fn attempt(&self, attempt: &Attempt<'_>);
    /// Records how many entries a cache of a scope holds.
    fn cached(&self, scope: &Scope, cache: Cached, entries: usize);
}

/// What a source caches between snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Cached {
    Tasks,
    TaskDefinitions,
    ContainerInstances,
    Instances,
}

impl Cached {
    /// Every cache.
    pub const ALL: [Self; 4] = [Self::Tasks, Self::TaskDefinitions, Self::ContainerInstances, Self::Instances];

    /// Returns the cache's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::TaskDefinitions => "task_definitions",
            Self::ContainerInstances => "container_instances",
            Self::Instances => "instances",
        }
    }
}
