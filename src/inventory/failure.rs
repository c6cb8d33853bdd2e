//! What failed on the way.

use super::ClusterRef;

/// Which of [`Snapshot::failures`](super::Snapshot::failures).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailureId(usize);

/// One way in which a refresh failed: the failed calls of one operation in one cluster with one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The AWS operation, such as `ListTasks`, or `refresh` where it is not one call that failed.
    pub operation: &'static str,
    /// The cluster that was asked about, where the operation has one.
    pub cluster: Option<ClusterRef>,
    /// AWS's error code, or our word for what happened on the way to AWS.
    pub code: String,
    /// The chain of causes in one line.
    pub message: String,
    /// AWS's id of the (first) failed request.
    pub request_id: Option<String>,
    /// How many calls failed like this.
    pub calls: usize,
    /// Whether it may pass by itself (a time-out, a throttle, an outage), and nobody has to mend anything.
    pub transient: bool,
}

/// The failures of a refresh, alike ones counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures(Vec<Failure>);

impl Failures {
    /// Adds a failure, to an alike one where there is one.
    pub fn record(&mut self, failure: Failure) -> FailureId {
        let alike = |known: &Failure| {
            (known.operation, &known.cluster, &known.code) == (failure.operation, &failure.cluster, &failure.code)
        };
        if let Some(at) = self.0.iter().position(alike) {
            self.0[at].calls += failure.calls;
            return FailureId(at);
        }
        self.0.push(failure);
        FailureId(self.0.len() - 1)
    }

    /// Each failure with its id.
    pub fn iter(&self) -> impl Iterator<Item = (FailureId, &Failure)> {
        self.0.iter().enumerate().map(|(at, failure)| (FailureId(at), failure))
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many different failures there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_failures_are_counted_together() {
        let failure = |code: &str| Failure {
            operation: "ListTasks",
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
