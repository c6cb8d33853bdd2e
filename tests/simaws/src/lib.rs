//! A simulated AWS for tests: ECS, EC2 and STS on one loopback port, written from the wire formats.
//!
//! It knows nothing of the AWS SDK on purpose: what both got wrong would look right.
//!
//! | module | its one job |
//! |---|---|
//! | `world` | what exists: clusters, tasks, task definitions, instances |
//! | `faults` | which calls go wrong, and how |
//! | `options` | page size, latency, quotas |
//! | `calls` | what was asked, and when |
//! | `request`, `answer` | HTTP's two directions, without I/O |
//! | `ecs`, `ec2`, `sts`, `metadata` | the operations |
//! | `paging`, `quota` | tokens and token buckets |
//! | `control` | the same as [`SimAws`]'s methods, over HTTP |
//! | `state`, `connection`, `server` | the parts put together; the sockets |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test tool: a panic that says what the test got wrong is the best answer"
)]

mod answer;
mod calls;
mod connection;
mod control;
mod ec2;
mod ecs;
mod faults;
mod metadata;
mod options;
mod paging;
mod quota;
mod request;
mod server;
mod service;
mod state;
mod sts;
mod time;
mod world;
mod xml;

pub use calls::{Calls, Span};
pub use faults::{Fault, FaultKind};
pub use options::Options;
pub use server::SimAws;
pub use world::{
    Cluster, Container, ContainerDefinition, ContainerInstance, Describe, Instance, Task, TaskDefinition, World,
};
