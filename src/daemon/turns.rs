//! Limits how many scopes are refreshed concurrently.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// The number of scopes that are refreshed concurrently, which limits memory; as many more may be failing ones.
const CONCURRENT_SCOPES: usize = 8;

/// After this time, a refresh makes room for others: it waits for AWS, or for the quotas of its scope, more than it works.
const LONGEST_TURN: Duration = Duration::from_secs(5);

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
    pub(super) async fn take(&self, failed: bool) -> Turn<'_> {
        let semaphore = if failed { &self.failing } else { &self.succeeding };
        // It is never closed.
        Turn(semaphore.acquire().await.ok())
    }
}

/// The turn of one scope.
pub(super) struct Turn<'a>(Option<SemaphorePermit<'a>>);

impl Turn<'_> {
    /// Waits for a refresh. The turn ends with it, or earlier if it takes long.
    pub(super) async fn wait<T>(self, refresh: impl Future<Output = T>) -> T {
        let mut refresh = pin!(refresh);
        match timeout(LONGEST_TURN, refresh.as_mut()).await {
            Ok(refreshed) => refreshed,
            Err(_) => {
                drop(self.0);
                refresh.await
            }
        }
    }
}
