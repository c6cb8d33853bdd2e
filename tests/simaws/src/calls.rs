//! The calls made to the simulated AWS.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::FaultKind;
use crate::scope::Scope;

/// Limits the bodies kept per operation, so that a server that runs for days does not grow.
const KEPT_REQUESTS: usize = 1000;

/// Limits the spans kept, for the same reason.
const KEPT_SPANS: usize = 100_000;

/// The calls since the start or the last reset, keyed by operation such as `ecs:ListTasks`.
///
/// Compares by the counts only, not by the bodies.
#[derive(Clone, Default)]
pub struct Calls {
    by_operation: BTreeMap<String, Operation>,
    by_scope: BTreeMap<Scope, BTreeMap<String, usize>>,
    throttled: usize,
    max_in_flight: usize,
    spans: VecDeque<Span>,
}

/// The time during which one call was in progress.
#[derive(Clone, Debug)]
pub struct Span {
    /// The operation, such as `ecs:ListTasks`.
    pub operation: String,
    /// The account and the region, as `ACCOUNT/REGION`.
    pub scope: String,
    /// When the request had been read.
    pub begun: Instant,
    /// When the response had been written.
    pub ended: Instant,
    /// Whether the response was the service's throttling error.
    pub throttled: bool,
    /// The access key id that signed it; an empty text for an unsigned call.
    pub access_key: String,
    /// The name of the cluster that it was for.
    pub cluster: Option<String>,
    /// Whether it asked for a further page of a listing.
    pub continues: bool,
    /// The fault that it met, an exceeded quota included.
    pub fault: Option<FaultKind>,
}

#[derive(Clone, Default)]
struct Operation {
    count: usize,
    requests: VecDeque<Value>,
    access_keys: VecDeque<String>,
}

impl Calls {
    /// Returns calls with these counts: `Calls::of(&[("ecs:ListTasks", 1)])`.
    pub fn of(counts: &[(&str, usize)]) -> Self {
        let mut calls = Self::default();
        for &(operation, count) in counts {
            calls.by_operation.entry(operation.to_owned()).or_default().count += count;
        }
        calls
    }

    /// Returns the number of calls of the operation, including failed ones.
    pub fn get(&self, operation: &str) -> usize {
        self.by_operation.get(operation).map_or(0, |calls| calls.count)
    }

    /// Returns the number of all calls.
    pub fn total(&self) -> usize {
        self.by_operation.values().map(|calls| calls.count).sum()
    }

    /// Returns the bodies of the operation's latest 1,000 calls, oldest first. The parameters of an EC2 or STS call are
    /// an object of strings; an invalid body is a string.
    pub fn requests(&self, operation: &str) -> Vec<Value> {
        let calls = self.by_operation.get(operation);
        calls.map_or_else(Vec::new, |calls| calls.requests.iter().cloned().collect())
    }

    /// Returns the access key ids that signed those calls; an empty text for an unsigned call.
    pub fn access_keys(&self, operation: &str) -> Vec<String> {
        let calls = self.by_operation.get(operation);
        calls.map_or_else(Vec::new, |calls| calls.access_keys.iter().cloned().collect())
    }

    /// Returns the counts of the calls for one account and region. Those of AssumeRole are for the account of the role.
    pub fn in_scope(&self, account: &str, region: &str) -> Self {
        let counts = self.by_scope.get(&Scope::new(account, region)).into_iter().flatten();
        Self::of(&counts.map(|(operation, count)| (operation.as_str(), *count)).collect::<Vec<_>>())
    }

    /// Returns each `ACCOUNT/REGION` that calls were made for, sorted.
    pub fn scopes(&self) -> Vec<String> {
        self.by_scope.keys().map(ToString::to_string).collect()
    }

    /// Returns the counts of each `ACCOUNT/REGION` as a JSON object of objects.
    pub fn to_value_by_scope(&self) -> Value {
        let scopes = self
            .by_scope
            .keys()
            .map(|scope| (scope.to_string(), self.in_scope(&scope.account, &scope.region).to_value()));
        Value::Object(scopes.collect())
    }

    /// Returns the number of throttled calls.
    pub fn throttled(&self) -> usize {
        self.throttled
    }

    /// Returns the highest number of concurrent calls.
    pub fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// Returns the spans of the latest 100,000 finished calls, ordered by their ends.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = &Span> {
        self.spans.iter()
    }

    /// Returns the counts as a JSON object.
    pub fn to_value(&self) -> Value {
        let counts = self.counts().map(|(operation, count)| (operation.to_owned(), count.into()));
        Value::Object(counts.collect::<Map<_, _>>())
    }

    fn counts(&self) -> impl Iterator<Item = (&str, usize)> {
        let counts = self.by_operation.iter();
        counts.map(|(operation, calls)| (operation.as_str(), calls.count)).filter(|&(_, count)| count > 0)
    }

    pub(crate) fn record(&mut self, operation: &str, scope: &Scope, body: Value, access_key: String, in_flight: usize) {
        *self.by_scope.entry(scope.clone()).or_default().entry(operation.to_owned()).or_default() += 1;
        let calls = self.by_operation.entry(operation.to_owned()).or_default();
        calls.count += 1;
        if calls.requests.len() == KEPT_REQUESTS {
            calls.requests.pop_front();
            calls.access_keys.pop_front();
        }
        calls.requests.push_back(body);
        calls.access_keys.push_back(access_key);
        self.max_in_flight = self.max_in_flight.max(in_flight);
    }

    pub(crate) fn record_throttled(&mut self) {
        self.throttled += 1;
    }

    pub(crate) fn record_end(&mut self, span: Span) {
        if self.spans.len() == KEPT_SPANS {
            self.spans.pop_front();
        }
        self.spans.push_back(span);
    }
}

impl PartialEq for Calls {
    fn eq(&self, other: &Self) -> bool {
        self.counts().eq(other.counts())
    }
}

impl Eq for Calls {}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.total() == 0 {
            return f.write_str("no calls");
        }
        for (index, (operation, count)) in self.counts().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{operation} {count}")?;
        }
        Ok(())
    }
}

/// Same as `Display`, so that a failed comparison shows the counts and not the bodies.
impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_compare_by_their_counts() {
        let mut calls = Calls::default();
        let scope = |region| Scope::new("123456789012", region);
        calls.record("ecs:ListTasks", &scope("eu-west-1"), Value::Null, String::new(), 2);
        calls.record("ecs:ListTasks", &scope("us-east-1"), Value::Null, String::new(), 1);
        assert_eq!(calls, Calls::of(&[("ecs:ListTasks", 2), ("ecs:DescribeTasks", 0)]));
        assert_ne!(calls, Calls::default());
        assert_eq!((calls.get("ecs:ListTasks"), calls.total(), calls.max_in_flight()), (2, 2, 2));
        assert_eq!(calls.in_scope("123456789012", "us-east-1"), Calls::of(&[("ecs:ListTasks", 1)]));
        assert_eq!(calls.in_scope("123456789012", "eu-north-1"), Calls::default());
        assert_eq!(calls.scopes(), ["123456789012/eu-west-1", "123456789012/us-east-1"]);
        assert_eq!(calls.to_string(), "ecs:ListTasks 2");
        assert_eq!(calls.to_value(), serde_json::json!({"ecs:ListTasks": 2}));
    }
}
