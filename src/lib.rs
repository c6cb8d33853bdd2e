//! Finds the containers on Amazon ECS that export metrics, and keeps a Prometheus `file_sd` file of them.
//!
//! ```text
//! argv ──cli──▶ Config                                             pure
//! AWS  ──aws──▶ Snapshot                                           I/O
//! Snapshot ──targets──▶ target groups + skipped containers         pure
//! target groups + last good ──last_good──▶ target groups           pure
//! target groups ──file_sd──▶ bytes ──output, writer──▶ file        pure, then I/O
//! ```
//!
//! The first lines are a [`refresh`] of a scope, one account in one region; the last one is a [`publish`]cation of all
//! scopes. The [`daemon`] decides when to make them.
//!
//! * [`cli`]: the command line, in Go's flag grammar, as a typed [`config`].
//! * `aws`: asks AWS; the only module that names its SDK.
//! * [`inventory`]: what AWS reports, in lean types of our own.
//! * [`targets`]: which container, which address, which labels; otherwise why not.
//! * [`last_good`]: which earlier targets are kept for what could not be learned; [`retention`]: for how long.
//! * [`staleness`]: for how long each cluster has been incomplete.
//! * [`file_sd`]: target groups as YAML or JSON, and back.
//! * [`output`] and [`writer`]: where target groups go, and the atomic replacement of a file.
//! * [`events`]: the messages of a queue, which tell that tasks changed.
//! * [`schedule`]: when to call AWS between refreshes, and how far apart refreshes are.
//! * [`status`]: what is known now, for [`telemetry`] (logs and metrics) and [`web`] (HTTP endpoints).
//! * [`filter`]: which targets a client of the endpoints asks for.
//! * [`printable`]: makes untrusted text safe to print.
//! * [`explain`]: why each container is or is not a target.
//! * `run`: builds these parts from a [`config::Config`], starts them, and restarts them after a panic.

#[cfg(feature = "aws")]
pub mod aws;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod events;
pub mod explain;
pub mod file_sd;
pub mod filter;
pub mod http;
pub mod inventory;
pub mod last_good;
pub mod output;
pub mod printable;
pub mod publish;
pub mod refresh;
pub mod retention;
#[cfg(feature = "aws")]
pub mod run;
pub mod schedule;
pub mod staleness;
pub mod status;
pub mod targets;
pub mod telemetry;
pub mod web;
pub mod writer;

#[cfg(feature = "aws")]
pub use run::{Error, explain_once, init_logs, run};
