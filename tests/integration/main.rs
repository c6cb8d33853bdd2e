//! The real program over HTTP against the simulated AWS. `README.md` shows how to write a test.
//!
//! | module | subject |
//! |---|---|
//! | [`faults`] | no fault loses a target or delays the others |
//! | [`partial_failures`] | some calls fail, or a response lacks something |
//! | [`restart`] | the existing file: last known targets, or a foreign file |
//! | [`slowness`] | slow and failing calls delay a refresh for a limited time |
//! | [`output`] | the output file: complete, mode, time, path, errors |
//! | [`hostile_files`] | an existing file of any content costs little to read |
//! | [`attacks`] | what SECURITY.md claims to be impossible |
//! | [`in_place`] | files that rename cannot replace, and who may read a file |
//! | [`lifecycle`] | start and shutdown, exit codes, signals, region, credentials |
//! | [`configuration`] | AWS settings: empty, invalid; proxies, certificates |
//! | [`credentials`] | credentials that are slow, hang, fail or are missing |
//! | [`budgets`] | the exact API calls of a refresh |
//! | [`scopes`] | accounts, regions, patterns of clusters |
//! | [`events`] | events of a queue: latency, damaged messages, faults of the queue |
//! | [`watch`] | tasks that come up or stop between refreshes |
//! | [`rotation`] | describing tasks in rotation, while the world changes |
//! | [`cache`] | the cache file |
//! | [`upgrade`] | files and flags of earlier states, and of this one for earlier programs |
//! | [`web`] | metrics, health, HTTP service discovery, the page, hostile clients |
//! | [`healthcheck`] | `-healthcheck` |
//! | [`logs`] | what each log level shows, and how it is escaped |
//! | [`panics`] | a panic costs one refresh and no target |
//! | [`explain`] | `-explain` |
//! | [`environment`] | flags as environment variables, the external id of a role |
//! | [`environment_labels`] | environment variables in place of docker labels |
//! | [`harness`], [`fixtures`] | the test harness; the worlds |
//!
//! No test sleeps: each waits for a condition, with a deadline.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod attacks;
mod budgets;
mod cache;
mod configuration;
mod credentials;
#[path = "../golden/diff.rs"]
mod diff;
mod environment;
mod environment_labels;
mod events;
mod explain;
mod faults;
mod first_file;
mod fixtures;
mod harness;
mod healthcheck;
mod hostile_files;
mod in_place;
mod lifecycle;
mod logs;
mod meta_labels;
mod output;
mod panics;
mod partial_failures;
mod restart;
mod rotation;
mod scopes;
mod slowness;
mod upgrade;
mod watch;
mod web;
