//! Faults: which calls go wrong, and how.

mod errors;

use serde::{Deserialize, Serialize};

use crate::request::Request;
use crate::world::last_segment;

/// A rule that makes some calls go wrong. The first rule that applies to a call is the one that acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// `ecs:ListTasks`, or `*` for any.
    #[serde(default = "any")]
    pub operation: String,
    /// Only calls for the cluster of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Only calls whose body has this text in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
    /// How many matching calls go well first.
    #[serde(default)]
    pub skip: u32,
    /// How many calls go wrong then; absent: all of them until the faults are cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens to them.
    #[serde(flatten)]
    pub kind: FaultKind,
}

fn any() -> String {
    "*".to_owned()
}

/// What happens to a call. In JSON the member `kind` holds the name, `slow-body` for example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FaultKind {
    /// The service's way to say "too many requests".
    Throttle,
    /// HTTP 500.
    ServerError,
    /// HTTP 503.
    Unavailable,
    /// The caller's policies do not allow it.
    Denied,
    /// The caller's session token has run out.
    ExpiredToken,
    /// Any error in the service's shape.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error code.
        code: String,
        /// The message.
        message: String,
    },
    /// No answer ever.
    Hang,
    /// The right answer in eight pieces, with this pause before each.
    SlowBody {
        /// The pause in milliseconds.
        chunk_millis: u64,
    },
    /// The whole length is announced, half of it is sent, and the connection is closed.
    CutBody,
    /// Half of the right answer, as if that were all.
    Malformed,
    /// The connection is reset instead of an answer.
    Reset,
    /// HTTP 200 and not one byte.
    EmptyBody,
    /// HTTP 200 and an answer without members.
    EmptyObject,
    /// One empty page with a fresh token before each real page. The call for the real page takes a turn of `times` too.
    EmptyPageWithToken,
    /// The real page, but the token that the caller sent comes back, or the same one each time.
    RepeatedToken,
    /// HTTP 200 and a page for humans, as captive proxies send it.
    Html,
}

impl Fault {
    /// This happens to every call of the operation until the faults are cleared.
    pub fn always(operation: &str, kind: FaultKind) -> Self {
        Self { operation: operation.to_owned(), cluster: None, matching: None, skip: 0, times: None, kind }
    }

    /// This happens to the next call of the operation.
    pub fn once(operation: &str, kind: FaultKind) -> Self {
        Self::always(operation, kind).times(1)
    }

    /// Only calls for the cluster of this name.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        self.cluster = Some(name.to_owned());
        self
    }

    /// Only calls whose body has this text in it.
    #[must_use]
    pub fn matching(mut self, text: &str) -> Self {
        self.matching = Some(text.to_owned());
        self
    }

    /// Lets so many matching calls go well first.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// So many calls go wrong, and no more.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.times = Some(calls);
        self
    }

    fn applies_to(&self, request: &Request) -> bool {
        let operation = self.operation == "*" || self.operation == request.operation;
        let cluster = self.cluster.as_deref();
        let same_cluster = cluster.is_none_or(|name| request.cluster() == Some(last_segment(name)));
        let text = self.matching.as_deref();
        operation && same_cluster && text.is_none_or(|text| request.mentions(text))
    }

    /// Counts a call that applies; true if it is to go wrong.
    fn is_due(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times != Some(0)
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts the call in every rule that applies, so that `skip` counts calls and not what other
    /// rules left over, and takes one turn of the first rule that is due.
    pub(crate) fn next_for(&mut self, request: &Request) -> Option<FaultKind> {
        let mut chosen = None;
        for fault in self.0.iter_mut().filter(|fault| fault.applies_to(request)) {
            if fault.is_due() && chosen.is_none() {
                fault.times = fault.times.map(|times| times - 1);
                chosen = Some(fault.kind.clone());
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_tasks(cluster: &str) -> Request {
        Request::ecs("ListTasks", &format!(r#"{{"cluster":"{cluster}"}}"#))
    }

    #[test]
    fn skip_and_times_count_the_calls_of_one_rule() {
        let mut faults = Faults::default();
        faults.add(Fault::once("ecs:ListTasks", FaultKind::Throttle));
        faults.add(Fault::always("*", FaultKind::Hang).skip(1).times(2));
        let seen: Vec<_> = (0..4).map(|_| faults.next_for(&list_tasks("prod"))).collect();
        let hang = Some(FaultKind::Hang);
        assert_eq!(seen, [Some(FaultKind::Throttle), hang.clone(), hang, None]);
    }

    #[test]
    fn a_rule_for_a_cluster_takes_its_name_and_its_arn() {
        let mut faults = Faults::default();
        faults.add(Fault::always("ecs:ListTasks", FaultKind::Denied).cluster("prod"));
        let by_arn = list_tasks("arn:aws:ecs:us-east-1:123456789012:cluster/prod");
        assert!(faults.next_for(&by_arn).is_some());
        assert!(faults.next_for(&list_tasks("prod")).is_some());
        assert!(faults.next_for(&list_tasks("prod-2")).is_none());
    }

    #[test]
    fn json_names_the_kind_beside_the_rule() {
        let fault: Fault =
            serde_json::from_str(r#"{"operation":"ecs:ListTasks","times":2,"kind":"slow-body","chunkMillis":5}"#)
                .unwrap();
        let kind = FaultKind::SlowBody { chunk_millis: 5 };
        assert_eq!(fault, Fault::always("ecs:ListTasks", kind).times(2));
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault);
    }
}
