//! A snapshot: what one refresh learned.

use std::collections::HashMap;
use std::sync::Arc;

use super::definition::TaskDefinition;
use super::details::ClusterDetails;
use super::failure::{Failure, FailureId, Failures};
use super::instance::{HostAddress, NoHost};
use super::names::{ClusterRef, ContainerInstanceArn, TaskArn, TaskDefinitionArn};
use super::task::Task;

/// What is known of one thing after a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched<T, G = ()> {
    /// AWS described it.
    Known(T),
    /// AWS responded that it does not exist, now or permanently.
    Gone(G),
    /// It could not be learned this time; the failure is in [`Snapshot::failures`].
    Unknown(FailureId),
}

/// What one refresh learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The clusters that were to be scanned, as far as they are known.
    pub clusters: Vec<ClusterTasks>,
    /// Why there may be more clusters to scan: they could not be listed.
    pub unlisted: Option<FailureId>,
    /// The task definitions that the tasks name.
    pub definitions: HashMap<TaskDefinitionArn, Fetched<Arc<TaskDefinition>>>,
    /// The addresses of the container instances that were asked for.
    pub hosts: HashMap<ContainerInstanceArn, Fetched<HostAddress, NoHost>>,
    /// All failures of the refresh. A refresh with any failure is a failed refresh.
    pub failures: Failures,
}

impl Snapshot {
    /// Returns whether everything that targets depend on was learned.
    pub fn is_complete(&self) -> bool {
        self.failures.iter().all(|(_, failure)| !failure.operation.makes_targets())
    }

    /// Returns a snapshot in which nothing could be learned.
    pub fn failed(failure: Failure) -> Self {
        let mut failures = Failures::default();
        let unlisted = Some(failures.record(failure));
        Self { clusters: Vec::new(), unlisted, definitions: HashMap::new(), hosts: HashMap::new(), failures }
    }

    /// Returns what is known of a task of the cluster that this condition selects, if it is listed.
    pub fn task(&self, is_cluster: impl Fn(&ClusterRef) -> bool, task: &TaskArn) -> Option<&Fetched<Arc<Task>>> {
        let mut clusters = self.clusters.iter().filter(|cluster| is_cluster(&cluster.cluster));
        clusters.find_map(|cluster| {
            let tasks = cluster.tasks.as_ref().ok()?;
            let at = tasks.binary_search_by(|listed| listed.arn.cmp(task)).ok()?;
            tasks.get(at).map(|listed| &listed.task)
        })
    }

    /// Returns the account of the tasks, if there are any.
    pub fn account(&self) -> Option<&str> {
        self.clusters.iter().flat_map(|cluster| cluster.tasks.iter().flatten()).find_map(|task| task.arn.account())
    }
}

/// The tasks of one cluster, or why they could not be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterTasks {
    /// The cluster as it was asked for.
    pub cluster: ClusterRef,
    /// Every listed task, sorted by ARN.
    pub tasks: Result<Vec<ListedTask>, FailureId>,
    /// What only meta labels need and takes further calls, if they are enabled.
    pub details: Option<Box<ClusterDetails>>,
}

impl ClusterTasks {
    /// Replaces what is known of a task by a later description. Of tasks that are not listed, only those that run or come
    /// up are added.
    pub fn describe(&mut self, arn: &TaskArn, task: Fetched<Arc<Task>>) {
        let Ok(listed) = &mut self.tasks else { return };
        match listed.binary_search_by(|listed| listed.arn.cmp(arn)) {
            Ok(at) => listed[at].task = task,
            Err(at) => {
                let goes = |task: &Arc<Task>| task.stop_requested || task.last_status.is_stopping();
                if matches!(&task, Fetched::Known(task) if !goes(task)) {
                    listed.insert(at, ListedTask { arn: arn.clone(), task });
                }
            }
        }
    }
}

/// A task that was listed, and what describing it returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTask {
    /// The ARN from the listing.
    pub arn: TaskArn,
    /// Its description. Gone is the normal race of a task that stopped between the two calls.
    pub task: Fetched<Arc<Task>>,
}
