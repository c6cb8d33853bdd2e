//! Runs futures in time that passes at once while everything waits.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

thread_local! {
    // One for all inputs: clients of the SDK keep credentials from one to the next.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(work))
}
