//! How fast calls are made, and when to stop making them.
//!
//! AWS limits requests by token buckets that the whole account shares (Amazon ECS API Reference,
//! "Request throttling for the Amazon ECS API"; Amazon EC2 Developer Guide, "Request throttling"). Each
//! bucket here is a little smaller than AWS's, since calls do not arrive in the rhythm in which they are sent.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leaky_bucket::RateLimiter;

use super::failure::TIMEOUT;
use crate::inventory::Failure;

/// All of AWS's buckets refill at 20 requests a second.
const REFILL_EVERY: Duration = Duration::from_millis(50);

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

/// One bucket.
pub(super) struct Bucket(RateLimiter);

impl Bucket {
    fn new(burst: usize) -> Self {
        Self(RateLimiter::builder().max(burst).initial(burst).interval(REFILL_EVERY).build())
    }

    /// Makes a call when there is a token for it.
    pub(super) async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.0.acquire_one().await;
        call.await
    }
}

/// How long a series of like calls goes on when the service only hangs. Without an end, some hundreds of
/// calls of which each times out would hold up for many minutes what is known already.
pub(super) struct Patience {
    limit: usize,
    timeouts_in_a_row: AtomicUsize,
}

impl Patience {
    /// For a series of which so many calls are made side by side: it ends with the first round in which
    /// all of them time out.
    pub(super) fn for_rounds_of(calls: usize) -> Self {
        Self { limit: calls, timeouts_in_a_row: AtomicUsize::new(0) }
    }

    /// Makes a call, or gives it up.
    pub(super) async fn call<T>(
        &self,
        give_up: impl FnOnce() -> Failure,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if self.timeouts_in_a_row.load(Ordering::Relaxed) >= self.limit {
            return Err(give_up());
        }
        let answer = call.await;
        match &answer {
            Err(failure) if failure.code == TIMEOUT => {
                self.timeouts_in_a_row.fetch_add(1, Ordering::Relaxed);
            }
            _ => self.timeouts_in_a_row.store(0, Ordering::Relaxed),
        }
        answer
    }
}
