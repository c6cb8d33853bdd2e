//! Failed calls.

use super::names::ClusterRef;
use super::operation::Operation;

/// Identifies one of [`Snapshot::failures`](super::snapshot::Snapshot::failures).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailureId(usize);

/// One way in which a refresh failed: the failed calls of one operation in one cluster with one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The AWS operation.
    pub operation: Operation,
    /// The cluster that was asked about, if the operation takes one.
    pub cluster: Option<ClusterRef>,
    /// AWS's error code, or this program's code for a call without a response.
    pub code: String,
    /// The chain of causes on one line.
    pub message: String,
    /// AWS's id of the first failed request.
    pub request_id: Option<String>,
    /// The number of calls that failed in the same way.
    pub calls: usize,
    /// Whether it may go away by itself (a timeout, a throttle, an outage).
    pub transient: bool,
}

impl Failure {
    /// The code of a call whose response made this program panic.
    pub const PANIC: &str = "Panic";
}

/// The failures of a refresh; failures with equal operation, cluster and code are counted as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures(Vec<Failure>);

impl Failures {
    /// Adds a failure, or adds its calls to those of an equal one.
    pub fn record(&mut self, failure: Failure) -> FailureId {
        let equal = |known: &Failure| {
            (known.operation, &known.cluster, &known.code) == (failure.operation, &failure.cluster, &failure.code)
        };
        if let Some(at) = self.0.iter().position(equal) {
            self.0[at].calls += failure.calls;
            return FailureId(at);
        }
        self.0.push(failure);
        FailureId(self.0.len() - 1)
    }

    /// Returns each failure with its id.
    pub fn iter(&self) -> impl Iterator<Item = (FailureId, &Failure)> {
        self.0.iter().enumerate().map(|(at, failure)| (FailureId(at), failure))
    }

    /// Returns whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of different failures.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_equal_failures_together() {
        let failure = |code: &str| Failure {
            operation: Operation::ListTasks,
            cluster: Some("prod".into()),
            code: code.into(),
            message: String::new(),
            request_id: None,
            calls: 1,
            transient: false,
        };
        let mut failures = Failures::default();
        let (a, b) = (failures.record(failure("A")), failures.record(failure("B")));
        assert_eq!(failures.record(failure("A")), a);
        assert_eq!(failures.iter().map(|(id, f)| (id, f.calls)).collect::<Vec<_>>(), [(a, 2), (b, 1)]);
    }
}
