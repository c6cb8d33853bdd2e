//! How fast calls are made, and when to stop making them.
//!
//! AWS limits requests by token buckets that the whole account shares (Amazon ECS API Reference,
//! "Request throttling for the Amazon ECS API"; Amazon EC2 Developer Guide, "Request throttling"). Each
//! bucket here is a little smaller than AWS's, since calls do not arrive in the rhythm in which they are sent.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use leaky_bucket::RateLimiter;

use crate::inventory::Failure;

/// All of AWS's buckets refill at 20 requests a second.
const REFILL_EVERY: Duration = Duration::from_millis(50);

/// After so many calls in a row that timed out or were throttled, the rest of a refresh's calls of that
/// bucket are not made: a hanging service would otherwise hold up what is known for many minutes.
const FAILURES_IN_A_ROW: u32 = 16;

/// The buckets, by the operations that share one.
pub(super) struct Buckets {
    /// ListClusters.
    pub(super) clusters: Bucket,
    /// ListTasks, DescribeTasks, DescribeContainerInstances.
    pub(super) tasks: Bucket,
    /// DescribeTaskDefinition.
    pub(super) definitions: Bucket,
    /// EC2 DescribeInstances with a filter.
    pub(super) instances: Bucket,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            clusters: Bucket::new(40),
            tasks: Bucket::new(80),
            definitions: Bucket::new(40),
            instances: Bucket::new(80),
        }
    }
}

impl Buckets {
    /// Forgets how the last refresh went.
    pub(super) fn new_refresh(&self) {
        for bucket in [&self.clusters, &self.tasks, &self.definitions, &self.instances] {
            bucket.failures_in_a_row.store(0, Ordering::Relaxed);
        }
    }
}

/// One bucket.
pub(super) struct Bucket {
    tokens: RateLimiter,
    failures_in_a_row: AtomicU32,
}

impl Bucket {
    fn new(burst: usize) -> Self {
        let tokens = RateLimiter::builder().max(burst).initial(burst).interval(REFILL_EVERY).build();
        Self { tokens, failures_in_a_row: AtomicU32::new(0) }
    }

    /// Makes a call when there is a token for it.
    pub(super) async fn call<T>(
        &self,
        give_up: impl FnOnce() -> Failure,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.tokens.acquire_one().await;
        if self.failures_in_a_row.load(Ordering::Relaxed) >= FAILURES_IN_A_ROW {
            return Err(give_up());
        }
        let answer = call.await;
        match &answer {
            Err(failure) if failure.transient => {
                self.failures_in_a_row.fetch_add(1, Ordering::Relaxed);
            }
            _ => self.failures_in_a_row.store(0, Ordering::Relaxed),
        }
        answer
    }
}
