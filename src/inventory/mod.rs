//! What one refresh learned of ECS and EC2, in our own lean types.
//!
//! Only what decides a target is kept, and strings that many tasks share are shared. Not here: how it
//! was learned ([`crate::aws`]) and what follows from it ([`crate::targets`]).

mod definition;
mod failure;
mod instance;
mod names;
mod strings;
mod task;

use std::collections::HashMap;
use std::sync::Arc;

pub use self::definition::*;
pub use self::failure::*;
pub use self::instance::*;
pub use self::names::*;
pub use self::strings::*;
pub use self::task::*;

/// What is known of one thing after a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched<T, G = ()> {
    /// AWS described it.
    Known(T),
    /// AWS answered that there is no such thing, now or for good.
    Gone(G),
    /// It could not be learned this time; the failure is in [`Snapshot::failures`].
    Unknown(FailureId),
}

/// What one refresh learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The clusters that were to be scanned, or why they are not known.
    pub clusters: Result<Vec<ClusterTasks>, FailureId>,
    /// The task definitions that the tasks name.
    pub definitions: HashMap<TaskDefinitionArn, Fetched<Arc<TaskDefinition>>>,
    /// The machines behind the container instances that were asked for.
    pub hosts: HashMap<ContainerInstanceArn, Fetched<Instance, NoHost>>,
    /// All that failed on the way. A refresh with any failure is a failed refresh.
    pub failures: Failures,
}

impl Snapshot {
    /// A snapshot in which nothing could be learned.
    pub fn failed(failure: Failure) -> Self {
        let mut failures = Failures::default();
        let clusters = Err(failures.record(failure));
        Self { clusters, definitions: HashMap::new(), hosts: HashMap::new(), failures }
    }
}

/// The tasks of one cluster, or why they could not be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterTasks {
    /// The cluster as it was asked for.
    pub cluster: ClusterRef,
    /// Every listed task.
    pub tasks: Result<Vec<ListedTask>, FailureId>,
}

/// A task that was listed, and what describing it gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTask {
    /// The ARN from the listing.
    pub arn: TaskArn,
    /// Its description; gone is the normal race of a task that stopped in between.
    pub task: Fetched<Arc<Task>>,
}
