//! Circuit breakers: they limit the time that a refresh loses to calls that fail.
//!
//! A failing call that is retried takes up to [`OPERATION_TIMEOUT`](crate::aws::OPERATION_TIMEOUT), after up to
//! [`LONGEST_PAUSE`](super::rate_limit::LONGEST_PAUSE) for its token. After [`LIMIT`] such calls of one operation the
//! others of the refresh are skipped, apart from those already in progress. With `n` concurrent calls these are fewer
//! than `LIMIT + n`, which take less than `LIMIT / n + 2` rounds. Each operation has at least [`LIMIT`] concurrent calls
//! where there are that many to make, so that it delays a refresh by less than three times the two limits, 45 s, and the
//! operations together by as many times that. The number of clusters does not matter. Calls that succeed are not limited,
//! however slow they are: what they return is of use.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::errors::{SKIPPED, skipped};
use crate::inventory::{ClusterRef, Failure, Operation};

/// The number of failed calls of one operation in one refresh after which the others are skipped: as many as there are
/// concurrent ListTasks calls, so that a fault of the service takes one round to show.
const LIMIT: usize = 8;

/// Ends a series of similar calls when too many of them fail by themselves.
#[derive(Debug)]
pub(in crate::aws) struct CircuitBreaker {
    limit: usize,
    failures: AtomicUsize,
}

impl CircuitBreaker {
    /// Returns a breaker that opens after this many failures.
    pub(in crate::aws) fn with_limit(limit: usize) -> Self {
        Self { limit, failures: AtomicUsize::new(0) }
    }

    /// Makes a call, or fails at once if the breaker is open.
    pub(in crate::aws) async fn call<T>(
        &self,
        operation: Operation,
        cluster: Option<&ClusterRef>,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.check(operation, cluster)?;
        let response = call.await;
        // A refusal comes at once and costs no time. The total counts, not a run of failures: calls that succeed in
        // between do not make the others quicker.
        if response.as_ref().is_err_and(|failure| failure.transient && failure.code != SKIPPED) {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        response
    }

    /// Fails if the breaker is open.
    pub(super) fn check(&self, operation: Operation, cluster: Option<&ClusterRef>) -> Result<(), Failure> {
        let open = self.failures.load(Ordering::Relaxed) >= self.limit;
        if open { Err(skipped(operation, cluster)) } else { Ok(()) }
    }
}

/// One breaker for each operation of a refresh.
#[derive(Debug)]
pub(super) struct CircuitBreakers([CircuitBreaker; Operation::OF_REFRESHES.len()]);

impl Default for CircuitBreakers {
    fn default() -> Self {
        Self(Operation::OF_REFRESHES.map(|_| CircuitBreaker::with_limit(LIMIT)))
    }
}

impl CircuitBreakers {
    /// Returns the breaker of an operation.
    pub(super) fn of(&self, operation: Operation) -> &CircuitBreaker {
        &self.0[operation as usize]
    }

    /// Closes every breaker.
    pub(super) fn close(&self) {
        self.0.iter().for_each(|breaker| breaker.failures.store(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_own_breaker() {
        let breakers = CircuitBreakers::default();
        for (at, operation) in Operation::OF_REFRESHES.into_iter().enumerate() {
            assert!(std::ptr::eq(breakers.of(operation), &breakers.0[at]), "{operation}");
        }
    }
}
