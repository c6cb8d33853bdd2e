//! Client-side rate limits.
//!
//! AWS limits requests by token buckets that the whole account shares (Amazon ECS API Reference,
//! "Request throttling for the Amazon ECS API"; Amazon EC2 Developer Guide, "Request throttling"). Each
//! bucket here is a little smaller than AWS's, because requests do not arrive evenly spaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leaky_bucket::RateLimiter;

use crate::inventory::Operation;

/// All of AWS's buckets refill at 20 requests a second.
const REFILL_EVERY: Duration = Duration::from_millis(50);

/// The tokens that a throttled attempt costs: one second's, since others drain the same bucket.
const THROTTLE_COST: usize = 20;

/// The largest debt for throttled attempts, so that a later call is always made eventually.
const LARGEST_DEBT: usize = 5 * THROTTLE_COST;

/// The buckets. Operations share them as in AWS.
pub(in crate::aws) struct RateLimits {
    clusters: Bucket,
    tasks: Bucket,
    definitions: Bucket,
    instances: Bucket,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            clusters: Bucket::new(40),
            tasks: Bucket::new(80),
            definitions: Bucket::new(45),
            instances: Bucket::new(80),
        }
    }
}

impl RateLimits {
    /// Returns the bucket that an operation draws from.
    pub(super) fn bucket(&self, operation: Operation) -> &Bucket {
        match operation {
            Operation::ListClusters | Operation::AssumeRole => &self.clusters,
            Operation::ListTasks | Operation::DescribeTasks | Operation::DescribeContainerInstances => &self.tasks,
            Operation::DescribeTaskDefinition => &self.definitions,
            Operation::DescribeInstances => &self.instances,
        }
    }
}

/// A token bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket(Arc<Level>);

#[derive(Debug)]
struct Level {
    tokens: RateLimiter,
    /// Tokens that the next call takes in addition to its own.
    debt: AtomicUsize,
}

impl Bucket {
    fn new(burst: usize) -> Self {
        let tokens = RateLimiter::builder().max(burst).initial(burst).interval(REFILL_EVERY).build();
        Self(Arc::new(Level { tokens, debt: AtomicUsize::new(0) }))
    }

    /// Waits for a token.
    pub(super) async fn acquire(&self) {
        self.0.tokens.acquire_one().await;
        // The limiter is fair: while this call pays the debt, later calls queue behind it.
        self.0.tokens.acquire(self.0.debt.swap(0, Ordering::Relaxed)).await;
    }

    /// Records a throttled attempt: AWS's bucket is empty, however many tokens are left in this one.
    pub(super) fn throttled(&self) {
        let Level { tokens, debt } = &*self.0;
        tokens.try_acquire(tokens.balance());
        let more = |debt: usize| Some((debt + THROTTLE_COST).min(LARGEST_DEBT));
        // The closure always returns a value, so the update cannot fail.
        let _ = debt.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// Returns when each call may be made.
    async fn seconds_until(bucket: &Bucket, calls: usize) -> Vec<f64> {
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..calls {
            bucket.acquire().await;
            at.push(start.elapsed().as_secs_f64());
        }
        at
    }

    #[tokio::test(start_paused = true)]
    async fn limits_calls_to_burst_and_refill() {
        let at = seconds_until(&Bucket::new(40), 60).await;
        assert!(at[39] < 0.01, "{at:?}");
        assert!((0.9..1.2).contains(&at[59]), "{at:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn slows_down_while_aws_throttles_and_recovers() {
        let bucket = Bucket::new(40);
        bucket.throttled();
        let at = seconds_until(&bucket, 21).await;
        assert!((1.0..1.2).contains(&at[0]), "a second's tokens in addition to its own: {at:?}");
        assert!((0.9..1.2).contains(&(at[20] - at[0])), "then the usual refill: {at:?}");
        (0..1000).for_each(|_| bucket.throttled());
        let at = seconds_until(&bucket, 1).await;
        assert!((4.9..5.3).contains(&at[0]), "{at:?}");
    }
}
