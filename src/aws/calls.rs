//! How fast calls are made, and when to stop making them.
//!
//! AWS limits requests by token buckets that the whole account shares (Amazon ECS API Reference,
//! "Request throttling for the Amazon ECS API"; Amazon EC2 Developer Guide, "Request throttling"). Each
//! bucket here is a little smaller than AWS's, since calls do not arrive in the rhythm in which they are sent.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leaky_bucket::RateLimiter;

use super::failure::{TIMEOUT, is_throttle};
use crate::inventory::Failure;

/// All of AWS's buckets refill at 20 requests a second.
const REFILL_EVERY: Duration = Duration::from_millis(50);

/// What an attempt costs that AWS throttles: a second's tokens. Somebody else takes from the same bucket.
const THROTTLED: usize = 20;

/// What is owed at most for such attempts: a later call has to be made some time.
const LARGEST_DEBT: usize = 5 * THROTTLED;

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
            definitions: Bucket::new(45),
            instances: Bucket::new(80),
        }
    }
}

/// One bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket(Arc<Level>);

#[derive(Debug)]
struct Level {
    tokens: RateLimiter,
    /// Tokens that the next call takes beyond its own.
    owed: AtomicUsize,
}

impl Bucket {
    fn new(burst: usize) -> Self {
        let tokens = RateLimiter::builder().max(burst).initial(burst).interval(REFILL_EVERY).build();
        Self(Arc::new(Level { tokens, owed: AtomicUsize::new(0) }))
    }

    /// Makes a call when there is a token for it.
    pub(super) async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.0.tokens.acquire_one().await;
        // Others that come meanwhile queue up behind this one.
        self.0.tokens.acquire(self.0.owed.swap(0, Ordering::Relaxed)).await;
        call.await
    }

    /// AWS has throttled an attempt: its bucket is empty, whatever is left in this one.
    pub(super) fn throttled(&self) {
        let Level { tokens, owed } = &*self.0;
        tokens.try_acquire(tokens.balance());
        let more = |owed: usize| Some((owed + THROTTLED).min(LARGEST_DEBT));
        // It always gives one.
        let _ = owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

/// How long a series of like calls goes on when the service only hangs or throttles. Without an end, some
/// hundreds of calls of which each takes its time would hold up for many minutes what is known already.
pub(super) struct Patience {
    limit: usize,
    failures_in_a_row: AtomicUsize,
}

impl Patience {
    /// For a series of which so many calls are made side by side: it ends with the first round in which
    /// all of them time out, or are throttled to the end.
    pub(super) fn for_rounds_of(calls: usize) -> Self {
        Self { limit: calls, failures_in_a_row: AtomicUsize::new(0) }
    }

    /// Makes a call, or gives it up.
    pub(super) async fn call<T>(
        &self,
        give_up: impl FnOnce() -> Failure,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if self.failures_in_a_row.load(Ordering::Relaxed) >= self.limit {
            return Err(give_up());
        }
        let answer = call.await;
        match &answer {
            Err(failure) if failure.code == TIMEOUT || is_throttle(&failure.code) => {
                self.failures_in_a_row.fetch_add(1, Ordering::Relaxed);
            }
            _ => self.failures_in_a_row.store(0, Ordering::Relaxed),
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// When each of so many calls is made.
    async fn seconds_until(bucket: &Bucket, calls: usize) -> Vec<f64> {
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..calls {
            bucket.call(async { at.push(start.elapsed().as_secs_f64()) }).await;
        }
        at
    }

    #[tokio::test(start_paused = true)]
    async fn calls_keep_to_the_burst_and_the_refill() {
        let at = seconds_until(&Bucket::new(40), 60).await;
        assert!(at[39] < 0.01, "{at:?}");
        assert!((0.9..1.2).contains(&at[59]), "{at:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_get_rarer_while_aws_throttles_and_recover() {
        let bucket = Bucket::new(40);
        bucket.throttled();
        let at = seconds_until(&bucket, 21).await;
        assert!((1.0..1.2).contains(&at[0]), "a second's tokens more than its own: {at:?}");
        assert!((0.9..1.2).contains(&(at[20] - at[0])), "and then as ever: {at:?}");
        (0..1000).for_each(|_| bucket.throttled());
        let at = seconds_until(&bucket, 1).await;
        assert!((4.9..5.3).contains(&at[0]), "{at:?}");
    }
}
