//! A circuit breaker for series of calls.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::errors::{TIMEOUT, is_throttle, skipped};
use crate::inventory::{ClusterRef, Failure, Operation};

/// Ends a series of similar calls when the service only hangs or throttles. Otherwise hundreds of calls, each of
/// which takes its full timeout, would delay for minutes what is known already.
pub(in crate::aws) struct CircuitBreaker {
    limit: usize,
    consecutive_failures: AtomicUsize,
}

impl CircuitBreaker {
    /// Returns a breaker for a series in which up to `calls` calls are made concurrently. It opens with the
    /// first round in which all of them time out or are throttled to the end.
    pub(in crate::aws) fn for_concurrency(calls: usize) -> Self {
        Self { limit: calls, consecutive_failures: AtomicUsize::new(0) }
    }

    /// Makes a call, or fails at once if the breaker is open.
    pub(in crate::aws) async fn call<T>(
        &self,
        operation: Operation,
        cluster: Option<&ClusterRef>,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if self.consecutive_failures.load(Ordering::Relaxed) >= self.limit {
            return Err(skipped(operation, cluster));
        }
        let response = call.await;
        match &response {
            Err(failure) if failure.code == TIMEOUT || is_throttle(&failure.code) => {
                self.consecutive_failures.fetch_add(1, Ordering::Relaxed);
            }
            _ => self.consecutive_failures.store(0, Ordering::Relaxed),
        }
        response
    }
}
