//! What was asked of the simulated AWS.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Instant;

use serde_json::{Map, Value};

/// Bodies kept per operation: a server that runs for days must not grow with every call.
const KEPT_REQUESTS: usize = 1000;

/// Spans kept, for the same reason.
const KEPT_SPANS: usize = 100_000;

/// The calls since the start or the last reset, by names such as `ecs:ListTasks`.
///
/// Two are equal when their counts are, whatever the bodies were.
#[derive(Clone, Default)]
pub struct Calls {
    by_operation: BTreeMap<String, Operation>,
    throttled: usize,
    max_in_flight: usize,
    spans: VecDeque<Span>,
}

/// When one call was under way.
#[derive(Clone, Debug)]
pub struct Span {
    /// Such as `ecs:ListTasks`.
    pub operation: String,
    /// When it had been read.
    pub begun: Instant,
    /// When its answer was out.
    pub ended: Instant,
    /// Whether that was the service's throttling error.
    pub throttled: bool,
}

#[derive(Clone, Default)]
struct Operation {
    count: usize,
    requests: VecDeque<Value>,
    access_keys: VecDeque<String>,
}

impl Calls {
    /// These counts: `Calls::of(&[("ecs:ListTasks", 1)])`.
    pub fn of(counts: &[(&str, usize)]) -> Self {
        let mut calls = Self::default();
        for &(operation, count) in counts {
            calls.by_operation.entry(operation.to_owned()).or_default().count += count;
        }
        calls
    }

    /// How often the operation was called, whatever the answer was.
    pub fn get(&self, operation: &str) -> usize {
        self.by_operation.get(operation).map_or(0, |calls| calls.count)
    }

    /// All calls.
    pub fn total(&self) -> usize {
        self.by_operation.values().map(|calls| calls.count).sum()
    }

    /// The bodies of the operation's latest 1,000 calls, oldest first. The parameters of an EC2 or STS call are an
    /// object of strings; a body that cannot be read is a string.
    pub fn requests(&self, operation: &str) -> Vec<Value> {
        let calls = self.by_operation.get(operation);
        calls.map_or_else(Vec::new, |calls| calls.requests.iter().cloned().collect())
    }

    /// The access key ids that signed those calls; empty for an unsigned one.
    pub fn access_keys(&self, operation: &str) -> Vec<String> {
        let calls = self.by_operation.get(operation);
        calls.map_or_else(Vec::new, |calls| calls.access_keys.iter().cloned().collect())
    }

    /// How many were answered with the service's throttling error.
    pub fn throttled(&self) -> usize {
        self.throttled
    }

    /// The most calls that were under way at one time.
    pub fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// When each call was under way that has ended, the latest 100,000 of them, in the order of their ends.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = &Span> {
        self.spans.iter()
    }

    /// The counts as a JSON object.
    pub fn to_value(&self) -> Value {
        let counts = self.counts().map(|(operation, count)| (operation.to_owned(), count.into()));
        Value::Object(counts.collect::<Map<_, _>>())
    }

    fn counts(&self) -> impl Iterator<Item = (&str, usize)> {
        let counts = self.by_operation.iter();
        counts.map(|(operation, calls)| (operation.as_str(), calls.count)).filter(|&(_, count)| count > 0)
    }

    pub(crate) fn record(&mut self, operation: &str, body: Value, access_key: String, in_flight: usize) {
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

/// Like Display: a failed comparison should show the counts and not the bodies.
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
        calls.record("ecs:ListTasks", Value::Null, String::new(), 2);
        calls.record("ecs:ListTasks", Value::Null, String::new(), 1);
        assert_eq!(calls, Calls::of(&[("ecs:ListTasks", 2), ("ecs:DescribeTasks", 0)]));
        assert_ne!(calls, Calls::default());
        assert_eq!((calls.get("ecs:ListTasks"), calls.total(), calls.max_in_flight()), (2, 2, 2));
        assert_eq!(calls.to_string(), "ecs:ListTasks 2");
        assert_eq!(calls.to_value(), serde_json::json!({"ecs:ListTasks": 2}));
    }
}
