//! When to call AWS between refreshes, and how far apart refreshes are.
//!
//! Pure: no I/O, no clock, no logs. The caller says what time it is.
//!
//! * [`watch`]: which pending tasks are described when.
//! * [`hints`]: which tasks are described because of an event.
//! * [`flow`]: whether events say what changes.
//! * [`interval`]: the time between refreshes if nobody sets it.
//! * [`budget`]: limits calls that lead to nothing.

mod budget;
mod flow;
mod hints;
mod interval;
mod watch;

pub use self::flow::Flow;
pub use self::hints::{Added, Hint, Hints, Known};
pub use self::interval::{AutoInterval, Calls, Events, Fleet};
pub use self::watch::{Pace, Watch};

use crate::inventory::{ClusterRef, TaskArn};

/// The number of tasks that one DescribeTasks call takes (Amazon ECS API Reference, "DescribeTasks").
const BATCH: usize = 100;

/// The tasks of one DescribeTasks call: at least one and at most 100, all of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The cluster to ask.
    pub cluster: ClusterRef,
    /// The tasks to describe, most urgent first.
    pub tasks: Vec<TaskArn>,
}
