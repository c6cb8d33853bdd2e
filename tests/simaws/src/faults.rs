//! Faults: which calls fail, and how.

mod errors;

use serde::{Deserialize, Serialize};

use crate::request::Request;
use crate::scope::Scope;
use crate::world::last_segment;

/// A rule that makes some calls fail. The first rule that applies to a call takes effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The operation, such as `ecs:ListTasks`, or `*` for any.
    #[serde(default = "any")]
    pub operation: String,
    /// Only calls for the cluster of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Only calls for this account; those of AssumeRole are for the account of the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only calls for this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Only calls whose body contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
    /// The number of matching calls that succeed first.
    #[serde(default)]
    pub skip: u32,
    /// The number of calls that fail then; if absent, all of them until the faults are cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How they fail.
    #[serde(flatten)]
    pub kind: FaultKind,
}

fn any() -> String {
    "*".to_owned()
}

/// How a call fails. In JSON, the member `kind` has the name, such as `slow-body`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FaultKind {
    /// The service's throttling error.
    Throttle,
    /// HTTP 500.
    ServerError,
    /// HTTP 503.
    Unavailable,
    /// The service's authorization error.
    Denied,
    /// The service's error for an expired session token.
    ExpiredToken,
    /// Any error in the service's error format.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error code.
        code: String,
        /// The message.
        message: String,
    },
    /// The response never comes.
    Hang,
    /// The correct response comes after a delay.
    Delay {
        /// The delay in milliseconds.
        millis: u64,
    },
    /// The correct response comes in eight pieces, with a pause before each.
    SlowBody {
        /// The pause in milliseconds.
        chunk_millis: u64,
    },
    /// The Content-Length is correct, half of the body is sent, and the connection is closed.
    CutBody,
    /// Half of the correct body is sent as a complete response.
    Malformed,
    /// The connection is reset.
    Reset,
    /// HTTP 200 with an empty body.
    EmptyBody,
    /// HTTP 200 with a response without members.
    EmptyObject,
    /// An empty page with a new token comes before each real page. The call for the real page counts for `times` too.
    EmptyPageWithToken,
    /// The real page comes with the token that the client sent, or with the same token each time.
    RepeatedToken,
    /// HTTP 200 with an HTML page, as captive portals send it.
    Html,
}

impl Fault {
    /// Makes every call of the operation fail until the faults are cleared.
    pub fn always(operation: &str, kind: FaultKind) -> Self {
        Self {
            operation: operation.to_owned(),
            cluster: None,
            account: None,
            region: None,
            matching: None,
            skip: 0,
            times: None,
            kind,
        }
    }

    /// Makes the next call of the operation fail.
    pub fn once(operation: &str, kind: FaultKind) -> Self {
        Self::always(operation, kind).times(1)
    }

    /// Applies only to calls for the cluster of this name.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        self.cluster = Some(name.to_owned());
        self
    }

    /// Applies only to calls for this account; those of AssumeRole are for the account of the role.
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Applies only to calls for this region.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Applies only to calls whose body contains this text.
    #[must_use]
    pub fn matching(mut self, text: &str) -> Self {
        self.matching = Some(text.to_owned());
        self
    }

    /// Lets this many matching calls succeed first.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Limits the number of calls that fail.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.times = Some(calls);
        self
    }

    fn applies_to(&self, request: &Request, scope: &Scope) -> bool {
        let operation = self.operation == "*" || self.operation == request.operation;
        let cluster = self.cluster.as_deref();
        let same_cluster = cluster.is_none_or(|name| request.cluster() == Some(last_segment(name)));
        let text = self.matching.as_deref();
        let same_scope = self.account.as_ref().is_none_or(|account| *account == scope.account)
            && self.region.as_ref().is_none_or(|region| *region == scope.region);
        operation && same_cluster && same_scope && text.is_none_or(|text| request.mentions(text))
    }

    /// Counts a matching call, and returns whether it must fail.
    fn is_due(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times != Some(0)
    }
}

/// The active rules.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the kind of the first rule that makes the call fail, and counts the call for that rule's `times`. Counts
    /// the call for the `skip` of every matching rule, whether or not another rule makes it fail.
    pub(crate) fn next_for(&mut self, request: &Request, scope: &Scope) -> Option<FaultKind> {
        let mut chosen = None;
        for fault in self.0.iter_mut().filter(|fault| fault.applies_to(request, scope)) {
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

    fn scope() -> Scope {
        Scope::new("123456789012", "us-east-1")
    }

    #[test]
    fn skip_and_times_count_the_calls_of_one_rule() {
        let mut faults = Faults::default();
        faults.add(Fault::once("ecs:ListTasks", FaultKind::Throttle));
        faults.add(Fault::always("*", FaultKind::Hang).skip(1).times(2));
        let seen: Vec<_> = (0..4).map(|_| faults.next_for(&list_tasks("prod"), &scope())).collect();
        let hang = Some(FaultKind::Hang);
        assert_eq!(seen, [Some(FaultKind::Throttle), hang.clone(), hang, None]);
    }

    #[test]
    fn cluster_rule_matches_name_and_arn() {
        let mut faults = Faults::default();
        faults.add(Fault::always("ecs:ListTasks", FaultKind::Denied).cluster("prod"));
        let by_arn = list_tasks("arn:aws:ecs:us-east-1:123456789012:cluster/prod");
        assert!(faults.next_for(&by_arn, &scope()).is_some());
        assert!(faults.next_for(&list_tasks("prod"), &scope()).is_some());
        assert!(faults.next_for(&list_tasks("prod-2"), &scope()).is_none());
    }

    #[test]
    fn json_has_the_kind_beside_the_rule() {
        let fault: Fault =
            serde_json::from_str(r#"{"operation":"ecs:ListTasks","times":2,"kind":"slow-body","chunkMillis":5}"#)
                .unwrap();
        let kind = FaultKind::SlowBody { chunk_millis: 5 };
        assert_eq!(fault, Fault::always("ecs:ListTasks", kind).times(2));
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault);
    }
}
