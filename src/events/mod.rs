//! Events of queues, which tell that tasks changed. They are hints about what to describe, never data.
//!
//! * [`message`]: from a message to a hint.
//! * [`queue`]: where messages come from.
//! * [`health`]: whether a queue works, and when to try again.

mod health;
mod message;
mod queue;

pub use self::health::Health;
pub use self::message::{Parsed, parse};
pub use self::queue::{EventQueue, EventResult, Message, QueueCall, QueueFailure, QueueState};
