//! The real program over HTTP against the simulated AWS: faults, restarts, the file, signals, call budgets.
//!
//! | module | what it is about |
//! |---|---|
//! | [`faults`] | whatever AWS does, no target is lost and the others follow |
//! | [`refusals`] | the answers that ask for more care than a fault of every call |
//! | [`restart`] | the file that is there already is the last good state, or is not |
//! | [`output`] | the file: whole, its mode, its time, its place; and what cannot be written |
//! | [`lifecycle`] | start, end, exit codes, signals, where region and credentials come from |
//! | [`budgets`] | which calls are made, and how many |
//! | [`histories`] | tasks that are looked at in rotation, in worlds that change |
//! | [`cache`] | what outlives a restart beside the file |
//! | [`web`] | metrics, health, HTTP service discovery, the page; clients that behave badly |
//! | [`healthcheck`] | what a container without a shell asks with |
//! | [`panics`] | a defect of ours costs a refresh, and no more |
//! | [`explain`] | why each container is or is not a target |
//! | [`environment`] | the flags as environment variables, and the external id of a role |
//! | [`harness`], [`fixtures`] | the parts put together; the worlds |
//!
//! No test sleeps or counts on a time that something takes: each waits for a condition, with a deadline.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod budgets;
mod cache;
#[path = "../golden/diff.rs"]
mod diff;
mod environment;
mod explain;
mod faults;
mod fixtures;
mod harness;
mod healthcheck;
mod histories;
mod lifecycle;
mod output;
mod panics;
mod refusals;
mod restart;
mod web;
