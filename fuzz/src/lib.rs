//! Fuzz targets: what takes bytes from elsewhere, and what must be true whatever these are.
//!
//! Each module has a function `run`, which panics if its invariant does not hold. `fuzz_targets/` runs them in libFuzzer;
//! `tests/replay.rs` runs them on stable, with the corpora and with mutations of them. Inputs are text where possible, so that a
//! corpus can be read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a target fails by panicking")]

pub mod cache_file;
pub mod command_line;
pub mod labels;
pub mod messages;
pub mod output_file;
pub mod patterns;
pub mod requests;
pub mod responses;

mod input;
mod memory;
mod offline;
mod runtime;
mod snapshots;

/// A target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, which is also that of its corpus.
    pub name: &'static str,
    /// Runs it with an input.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Every target.
pub const TARGETS: [Target; 8] = [
    target("cache_file", cache_file::run),
    target("command_line", command_line::run),
    target("labels", labels::run),
    target("messages", messages::run),
    target("output_file", output_file::run),
    target("patterns", patterns::run),
    target("requests", requests::run),
    target("responses", responses::run),
];
