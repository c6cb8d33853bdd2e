//! Client-side rate limits.
//!
//! AWS limits requests by token buckets that the whole account shares (Amazon ECS API Reference,
//! "Request throttling for the Amazon ECS API"; Amazon EC2 Developer Guide, "Request throttling"). Each
//! bucket here is a little smaller than AWS's, because requests do not arrive evenly spaced.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::inventory::Operation;

/// All of AWS's buckets refill at 20 requests a second.
const REFILL_EVERY: Duration = Duration::from_millis(50);

/// For how long a throttled attempt stops the refill, since others drain the same bucket.
const THROTTLE_PAUSE: Duration = Duration::from_secs(1);

/// The longest time for which throttled attempts stop the refill.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The buckets. Operations share them as in AWS.
pub(in crate::aws) struct RateLimits {
    clusters: Bucket,
    services: Bucket,
    tasks: Bucket,
    definitions: Bucket,
    instances: Bucket,
    interfaces: Bucket,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            clusters: Bucket::new(40),
            services: Bucket::new(80),
            tasks: Bucket::new(80),
            definitions: Bucket::new(45),
            instances: Bucket::new(80),
            interfaces: Bucket::new(80),
        }
    }
}

impl RateLimits {
    /// Returns how many attempts have counted against each bucket of ECS so far.
    pub(super) fn attempts(&self) -> Vec<u32> {
        [&self.clusters, &self.tasks, &self.definitions].map(|bucket| bucket.0.attempts.load(Relaxed)).to_vec()
    }

    /// Returns the bucket that an operation draws from. Calls to STS and to queues are not made through these limits.
    pub(super) fn bucket(&self, operation: Operation) -> &Bucket {
        match operation {
            Operation::ListClusters
            | Operation::DescribeClusters
            | Operation::AssumeRole
            | Operation::ReceiveMessage
            | Operation::DeleteMessageBatch => &self.clusters,
            Operation::DescribeServices => &self.services,
            Operation::ListTasks | Operation::DescribeTasks | Operation::DescribeContainerInstances => &self.tasks,
            Operation::DescribeTaskDefinition => &self.definitions,
            Operation::DescribeInstances => &self.instances,
            Operation::DescribeNetworkInterfaces => &self.interfaces,
        }
    }
}

/// A token bucket, kept as a schedule: it knows when its next token is due. A pause moves the schedule as a whole, so that
/// all calls that wait sit it out together and not one after the other.
#[derive(Clone, Debug)]
pub(super) struct Bucket(Arc<Schedule>);

#[derive(Debug)]
struct Schedule {
    /// How long ago the oldest unused token of a full bucket was due.
    full: Duration,
    /// When the next token is due; in the past if tokens are left.
    next: Mutex<Instant>,
    attempts: AtomicU32,
}

impl Bucket {
    fn new(burst: u32) -> Self {
        let full = REFILL_EVERY * (burst - 1);
        let now = Instant::now();
        Self(Arc::new(Schedule {
            full,
            next: Mutex::new(now.checked_sub(full).unwrap_or(now)),
            attempts: AtomicU32::new(0),
        }))
    }

    /// Waits for a token.
    pub(super) async fn acquire(&self) {
        let due = self.reserve(Instant::now());
        sleep_until(due).await;
    }

    /// Takes the next token, and returns when it is due.
    fn reserve(&self, now: Instant) -> Instant {
        let mut next = self.next();
        let due = (*next).max(now.checked_sub(self.0.full).unwrap_or(now));
        *next = due + REFILL_EVERY;
        due
    }

    /// Counts an attempt of a call.
    pub(super) fn attempted(&self) {
        self.0.attempts.fetch_add(1, Relaxed);
    }

    /// Records a throttled attempt: AWS's bucket is empty, however many tokens are left in this one.
    pub(super) fn throttled(&self) {
        let (now, mut next) = (Instant::now(), self.next());
        let paused = ((*next).max(now) + THROTTLE_PAUSE).min(now + LONGEST_PAUSE);
        *next = (*next).max(paused);
    }

    fn next(&self) -> MutexGuard<'_, Instant> {
        // An instant is replaced as a whole, so that it stays valid when a holder panics.
        self.0.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

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
        assert!((1.0..1.2).contains(&at[0]), "{at:?}");
        assert!((0.9..1.2).contains(&(at[20] - at[0])), "then the usual refill: {at:?}");
        (0..1000).for_each(|_| bucket.throttled());
        let at = seconds_until(&bucket, 1).await;
        assert!((4.9..5.3).contains(&at[0]), "{at:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_calls_share_a_pause() {
        let (bucket, start) = (Bucket::new(40), Instant::now());
        (0..1000).for_each(|_| bucket.throttled());
        join_all((0..8).map(|_| async {
            bucket.acquire().await;
            bucket.throttled();
        }))
        .await;
        let seconds = start.elapsed().as_secs_f64();
        assert!((5.0..6.0).contains(&seconds), "{seconds}");
    }
}
