//! A simulated AWS for tests: ECS, EC2, SQS and STS on one loopback port, written from the wire formats.
//!
//! It does not use the AWS SDK on purpose: a mistake that both make would stay unnoticed.
//!
//! | module | purpose |
//! |---|---|
//! | `world` | what exists: clusters, tasks, task definitions, instances |
//! | `life`, `lives` | which tasks change by themselves, and when |
//! | `faults` | which calls fail, and how |
//! | `options` | page size, latency, quotas |
//! | `calls` | which calls were made, and when |
//! | `request`, `response` | HTTP requests and responses, without I/O |
//! | `ecs`, `ec2`, `sqs`, `sts`, `metadata` | the operations |
//! | `paging`, `quota` | tokens and token buckets |
//! | `scope`, `session` | the account and the region of a call; whether its session has expired |
//! | `control` | the methods of [`SimAws`] over HTTP |
//! | `state`, `connection`, `server` | the shared state; the sockets |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test tool: a panic with a clear message is how a test fails"
)]

mod calls;
mod connection;
mod control;
mod ec2;
mod ecs;
mod faults;
mod life;
mod lives;
mod metadata;
mod options;
mod paging;
mod quota;
mod request;
mod response;
mod scope;
mod server;
mod service;
mod session;
mod sqs;
mod state;
mod sts;
mod time;
mod world;
mod xml;

pub use calls::{Calls, Span};
pub use faults::{Fault, FaultKind};
pub use life::{Life, Status, Step};
pub use options::Options;
pub use server::SimAws;
pub use world::{
    Cluster, Container, ContainerDefinition, ContainerInstance, Describe, Instance, NetworkInterface, Service, Task,
    TaskDefinition, World,
};
