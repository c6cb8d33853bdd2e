//! Failed calls.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

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

    /// The code of a call that was not made, because too many like it had failed.
    pub const SKIPPED: &str = "Skipped";

    /// The code of a call without credentials to sign it with.
    pub const NO_CREDENTIALS: &str = "NoCredentials";

    /// Returns whether the call failed because of its credentials, as every other call of the scope will. AWS rejects them
    /// with these codes too where the region is not enabled for the account ("Common Error Types" in the API references of
    /// ECS and EC2).
    pub fn is_of_credentials(&self) -> bool {
        const REJECTED: [&str; 7] = [
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "ExpiredTokenException",
            "AuthFailure",
            "OptInRequired",
            Failure::NO_CREDENTIALS,
        ];
        self.operation == Operation::AssumeRole || REJECTED.contains(&&*self.code)
    }

    /// Returns whether AWS says that the cluster does not exist. That is definite, unlike any other failure.
    pub fn cluster_is_missing(&self) -> bool {
        !self.transient && self.operation == Operation::ListTasks && self.code == "ClusterNotFoundException"
    }
}

/// What equal failures have in common.
type Kind = (Operation, Option<ClusterRef>, String);

/// The failures of a refresh; failures with equal operation, cluster and code are counted as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    all: BTreeMap<FailureId, Failure>,
    /// The id of each: there may be several for each of thousands of clusters.
    ids: HashMap<Kind, FailureId>,
    next: usize,
}

impl Failures {
    /// Adds a failure, or adds its calls to those of an equal one.
    pub fn record(&mut self, failure: Failure) -> FailureId {
        let kind = (failure.operation, failure.cluster.clone(), failure.code.clone());
        match self.ids.entry(kind) {
            Entry::Occupied(known) => {
                let id = *known.get();
                if let Some(equal) = self.all.get_mut(&id) {
                    equal.calls += failure.calls;
                }
                id
            }
            Entry::Vacant(new) => {
                let id = *new.insert(FailureId(self.next));
                self.next += 1;
                self.all.insert(id, failure);
                id
            }
        }
    }

    /// Adds all failures of another part of the refresh.
    pub fn absorb(&mut self, others: Self) {
        for failure in others.all.into_values() {
            self.record(failure);
        }
    }

    /// Returns the failure with this id.
    pub fn get(&self, id: FailureId) -> Option<&Failure> {
        self.all.get(&id)
    }

    /// Returns each failure with its id.
    pub fn iter(&self) -> impl Iterator<Item = (FailureId, &Failure)> {
        self.all.iter().map(|(id, failure)| (*id, failure))
    }

    /// Keeps only some of the failures. The others keep their ids.
    pub fn retain(&mut self, keeps: impl Fn(FailureId) -> bool) {
        self.all.retain(|id, _| keeps(*id));
        self.ids.retain(|_, id| keeps(*id));
    }

    /// Returns whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the number of different failures.
    pub fn len(&self) -> usize {
        self.all.len()
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

    /// Takes minutes if recording compares each failure with all before it.
    #[test]
    fn records_many_failures_quickly() {
        let mut failures = Failures::default();
        for round in 0..2 {
            for n in 0..30_000 {
                let cluster = format!("arn:aws:ecs:eu-west-1:123456789012:cluster/prod-{n}");
                let failure = Failure {
                    operation: Operation::ListTasks,
                    cluster: Some(cluster.as_str().into()),
                    code: "ThrottlingException".into(),
                    message: String::new(),
                    request_id: None,
                    calls: 1,
                    transient: true,
                };
                assert_eq!(failures.record(failure), FailureId(n), "round {round}");
            }
        }
        assert_eq!(failures.len(), 30_000);
    }
}
