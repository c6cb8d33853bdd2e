//! Client-side rate limits.
//!
//! AWS limits requests by token buckets that the whole account shares (Amazon ECS API Reference,
//! "Request throttling for the Amazon ECS API"; Amazon EC2 Developer Guide, "Request throttling"). Each
//! bucket here is five requests smaller than AWS's, because they do not arrive evenly spaced.

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

/// How long a call lets others go first. If its token is due later, they wait as well, or there are too many of them.
const PATIENCE: Duration = Duration::from_millis(500);

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
            clusters: Bucket::new(45),
            services: Bucket::new(95),
            tasks: Bucket::new(95),
            definitions: Bucket::new(45),
            instances: Bucket::new(95),
            interfaces: Bucket::new(95),
        }
    }
}

impl RateLimits {
    /// Returns how many attempts have counted against each bucket of ECS so far.
    pub(super) fn attempts(&self) -> Vec<u32> {
        [&self.clusters, &self.tasks, &self.definitions].map(|bucket| bucket.0.attempts.load(Relaxed)).to_vec()
    }

    /// Waits until an attempt of the operation may be made.
    pub(super) async fn acquire(&self, operation: Operation) {
        let bucket = self.bucket(operation);
        match operation {
            // What is listed is of no use before it is described. In turn, the listing of a large cluster would be a
            // dozen calls ahead, and so many tokens later would the first targets be known.
            Operation::ListTasks => bucket.acquire_spare().await,
            _ => bucket.acquire().await,
        }
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
    due: Mutex<Due>,
    attempts: AtomicU32,
}

#[derive(Debug)]
struct Due {
    /// When the next token is due; in the past if tokens are left.
    next: Instant,
    first: First,
}

/// The first attempt. It takes longer to reach AWS than later ones, because of credentials and a connection; until then
/// AWS's bucket is full and does not refill.
#[derive(Clone, Copy, Debug)]
enum First {
    NotMade,
    InProgress { since: Instant },
    Finished,
}

impl Bucket {
    fn new(burst: u32) -> Self {
        let full = REFILL_EVERY * (burst - 1);
        let now = Instant::now();
        Self(Arc::new(Schedule {
            full,
            due: Mutex::new(Due { next: now.checked_sub(full).unwrap_or(now), first: First::NotMade }),
            attempts: AtomicU32::new(0),
        }))
    }

    /// Waits for a token.
    async fn acquire(&self) {
        let due = self.reserve(&mut self.due(), Instant::now());
        sleep_until(due).await;
    }

    /// Waits for a token, after the calls that come to wait in [`Self::acquire`] within [`PATIENCE`].
    async fn acquire_spare(&self) {
        let patient_until = Instant::now() + PATIENCE;
        while let Err(due) = self.try_reserve(Instant::now()) {
            if due > patient_until {
                return self.acquire().await;
            }
            sleep_until(due).await;
        }
    }

    /// Takes a token if one is left, and otherwise returns when the first one that nobody has taken is due.
    fn try_reserve(&self, now: Instant) -> Result<(), Instant> {
        let mut due = self.due();
        if due.next > now {
            return Err(due.next);
        }
        self.reserve(&mut due, now);
        Ok(())
    }

    /// Takes the next token, and returns when it is due.
    fn reserve(&self, due: &mut Due, now: Instant) -> Instant {
        if let First::NotMade = due.first {
            due.first = First::InProgress { since: now };
        }
        let token = due.next.max(now.checked_sub(self.0.full).unwrap_or(now));
        due.next = token + REFILL_EVERY;
        token
    }

    /// Counts an attempt of a call, which has finished.
    pub(super) fn attempted(&self) {
        self.0.attempts.fetch_add(1, Relaxed);
        let mut due = self.due();
        if let First::InProgress { since } = due.first {
            due.first = First::Finished;
            due.next += since.elapsed();
        }
    }

    /// Records a throttled attempt: AWS's bucket is empty, however many tokens are left in this one.
    pub(super) fn throttled(&self) {
        let (now, mut due) = (Instant::now(), self.due());
        let paused = (due.next.max(now) + THROTTLE_PAUSE).min(now + LONGEST_PAUSE);
        due.next = due.next.max(paused);
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        // Each field is replaced as a whole, so that it stays valid when a holder panics.
        self.0.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use futures_util::{StreamExt, stream};
    use tokio::time::sleep;

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
    async fn refill_begins_when_the_first_attempt_has_reached_aws() {
        let (bucket, start) = (Bucket::new(45), Instant::now());
        bucket.acquire().await;
        sleep(Duration::from_secs(2)).await;
        bucket.attempted();
        seconds_until(&bucket, 44).await;
        assert_eq!(start.elapsed(), Duration::from_secs(2), "the rest of the burst");
        bucket.attempted();
        let at = seconds_until(&bucket, 20).await;
        assert!((0.9..1.1).contains(&at[19]), "then the usual refill: {at:?}");
    }

    /// Makes calls with an empty bucket, four of each operation at a time, and returns when the last of each operation may
    /// be made.
    async fn seconds_to_list_and_describe(to_list: usize, to_describe: usize) -> (f64, f64) {
        let limits = &RateLimits::default();
        seconds_until(&limits.tasks, 95).await;
        let start = Instant::now();
        let make = |operation, calls: usize| async move {
            let calls = stream::iter((0..calls).map(|_| limits.acquire(operation)));
            calls.buffer_unordered(4).collect::<Vec<()>>().await;
            start.elapsed().as_secs_f64()
        };
        tokio::join!(make(Operation::ListTasks, to_list), make(Operation::DescribeTasks, to_describe))
    }

    #[tokio::test(start_paused = true)]
    async fn describing_tasks_comes_before_listing_more() {
        let (listed, described) = seconds_to_list_and_describe(8, 8).await;
        assert!((0.35..0.45).contains(&described), "{described}");
        assert!((0.75..0.85).contains(&listed), "no token is lost, and none is taken twice: {listed}");
        let (listed, described) = seconds_to_list_and_describe(1, 1000).await;
        assert!(listed < 1.0 && described > 49.0, "listing is not kept waiting for long: {listed} {described}");
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
