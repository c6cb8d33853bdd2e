//! What is cached from one snapshot to the next, and the calls that fill the caches.

pub(super) mod cache_file;
pub(super) mod clocks;
pub(super) mod definitions;
pub(super) mod details;
pub(super) mod hosts;
pub(super) mod isolate;
pub(super) mod scan;
pub(super) mod shared_file;
pub(super) mod tasks;

mod cache;
mod unverified;
