//! Limits how many scopes are refreshed concurrently.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The number of scopes that are refreshed concurrently, which limits memory; as many more may be failing ones.
const CONCURRENT_SCOPES: usize = 8;

/// Limits the number of concurrent refreshes. Scopes whose last refresh failed wait only for each other, because they may
/// take until every time limit has passed.
pub(super) struct Turns {
    succeeding: Semaphore,
    failing: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self { succeeding: Semaphore::new(CONCURRENT_SCOPES), failing: Semaphore::new(CONCURRENT_SCOPES) }
    }
}

impl Turns {
    pub(super) async fn take(&self, failed: bool) -> Option<SemaphorePermit<'_>> {
        let semaphore = if failed { &self.failing } else { &self.succeeding };
        // It is never closed.
        semaphore.acquire().await.ok()
    }
}
