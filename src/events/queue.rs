//! Where messages come from, and what becomes of them.

use std::convert::Infallible;
use std::future::Future;

use crate::inventory::{Operation, Scope};

/// A message of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its text.
    pub body: String,
    /// What deletes it.
    pub receipt: String,
}

/// A queue of events.
pub trait EventQueue {
    /// Returns the queue's URL.
    fn url(&self) -> &str;

    /// Returns the account and the region of the queue, as far as they are known.
    fn scope(&self) -> &Scope;

    /// Waits for messages, for a limited time. Returns none if there were none.
    fn receive(&mut self) -> impl Future<Output = Result<Vec<Message>, QueueFailure>>;

    /// Deletes up to as many messages as one call receives. Those that cannot be deleted are received again.
    fn delete(&mut self, receipts: Vec<String>) -> impl Future<Output = Result<(), QueueFailure>>;
}

/// No queue.
impl EventQueue for Infallible {
    fn url(&self) -> &str {
        match *self {}
    }

    fn scope(&self) -> &Scope {
        match *self {}
    }

    async fn receive(&mut self) -> Result<Vec<Message>, QueueFailure> {
        match *self {}
    }

    async fn delete(&mut self, _: Vec<String>) -> Result<(), QueueFailure> {
        match *self {}
    }
}

/// A call to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum QueueCall {
    Receive,
    Delete,
}

impl QueueCall {
    /// Returns the operation that makes the call.
    pub fn operation(self) -> Operation {
        match self {
            Self::Receive => Operation::ReceiveMessage,
            Self::Delete => Operation::DeleteMessageBatch,
        }
    }
}

/// Whether a queue works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueState {
    /// Its messages are received and deleted.
    Up,
    /// AWS refuses the calls.
    Denied,
    /// It does not exist.
    Gone,
    /// It does not respond, or not as it should.
    Unreachable,
}

/// A call to a queue that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFailure {
    /// What that says about the queue.
    pub state: QueueState,
    /// AWS's error code, or this program's code for a call without a response.
    pub code: String,
    /// The chain of causes on one line.
    pub message: String,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventResult {
    /// Its task is described.
    Accepted,
    /// It says nothing new that could make or remove a target.
    NothingNew,
    /// It is about a cluster that is not scanned.
    OtherCluster,
    /// It was dropped, because too many were waiting. A refresh finds what it told of.
    Dropped,
    /// It is another event than a change of a task.
    OtherEvent,
    /// It is damaged.
    Invalid,
}

impl EventResult {
    /// Every result.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::NothingNew, Self::OtherCluster, Self::Dropped, Self::OtherEvent, Self::Invalid];

    /// Returns its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NothingNew => "nothing_new",
            Self::OtherCluster => "other_cluster",
            Self::Dropped => "dropped",
            Self::OtherEvent => "other_event",
            Self::Invalid => "invalid",
        }
    }
}
