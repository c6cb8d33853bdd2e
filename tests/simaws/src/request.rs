//! Parses HTTP requests.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::metadata;
use crate::world::last_segment;

/// The wire format of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// ECS: JSON 1.1.
    Ecs,
    /// EC2: form parameters in, XML out.
    Ec2,
    /// STS: the same, with another XML envelope.
    Sts,
    /// SQS: JSON 1.0.
    Sqs,
    /// The endpoints on the link-local addresses of a task and of an instance.
    Metadata,
    /// The control API under `/_sim/`.
    Control,
    /// Anything else.
    Unknown,
}

/// A request with its complete body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) protocol: Protocol,
    pub(crate) method: String,
    pub(crate) path: String,
    /// The operation, such as `ecs:ListTasks`.
    pub(crate) operation: String,
    /// The JSON body, or the form parameters as an object of strings.
    pub(crate) body: Value,
    /// The access key id of the signature; empty if unsigned.
    pub(crate) access_key: String,
    /// The region of the signature; empty if unsigned.
    pub(crate) region: String,
    /// The token of the session; empty if there is none.
    pub(crate) session_token: String,
    raw: String,
}

const ECS_TARGET: &str = "AmazonEC2ContainerServiceV20141113.";
const SQS_TARGET: &str = "AmazonSQS.";
const STS_VERSION: &str = "2011-06-15";

impl Request {
    pub(crate) fn read(head: &hyper::http::request::Parts, body: &[u8]) -> Self {
        let raw = String::from_utf8_lossy(body).into_owned();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut request = Self {
            protocol: Protocol::Unknown,
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            operation: format!("{} {}", head.method, head.uri.path()),
            body: Value::Null,
            access_key: credential(header("authorization"), 0),
            region: credential(header("authorization"), 2),
            session_token: header("x-amz-security-token").to_owned(),
            raw,
        };
        request.set_protocol(header("x-amz-target"));
        request
    }

    fn set_protocol(&mut self, target: &str) {
        if self.path.starts_with("/_sim/") {
            self.protocol = Protocol::Control;
        } else if let Some(action) = target.strip_prefix(ECS_TARGET) {
            self.read_json(Protocol::Ecs, format!("ecs:{action}"));
        } else if let Some(action) = target.strip_prefix(SQS_TARGET) {
            self.read_json(Protocol::Sqs, format!("sqs:{action}"));
        } else if self.method == "POST" && self.path == "/" {
            self.read_form();
        } else if self.method == "GET" && self.path.starts_with("/v4/") && self.path.ends_with("/task") {
            self.protocol = Protocol::Metadata;
            self.operation = "metadata:task".to_owned();
        } else if self.method == "GET" && self.path == "/credentials" {
            self.protocol = Protocol::Metadata;
            self.operation = "metadata:credentials".to_owned();
        } else if let Some(operation) = metadata::instance_operation(&self.method, &self.path) {
            self.protocol = Protocol::Metadata;
            self.operation = operation.to_owned();
        }
    }

    fn read_json(&mut self, protocol: Protocol, operation: String) {
        (self.protocol, self.operation) = (protocol, operation);
        self.body = serde_json::from_str(&self.raw).unwrap_or_else(|_| Value::String(self.raw.clone()));
    }

    /// Reads form parameters. EC2 and STS share the path and differ in the Version parameter.
    fn read_form(&mut self) {
        let form: Map<String, Value> = form(&self.raw).map(|(key, value)| (key, Value::String(value))).collect();
        let text = |key: &str| form.get(key).and_then(Value::as_str).unwrap_or_default();
        let (protocol, service) =
            if text("Version") == STS_VERSION { (Protocol::Sts, "sts") } else { (Protocol::Ec2, "ec2") };
        if !text("Action").is_empty() {
            self.operation = format!("{service}:{}", text("Action"));
            self.protocol = protocol;
        }
        self.body = Value::Object(form);
    }

    /// Returns the action without the service, such as `ListTasks`.
    pub(crate) fn action(&self) -> &str {
        self.operation.split_once(':').map_or(self.operation.as_str(), |(_, action)| action)
    }

    /// Returns the name of the cluster, which the call gives by name or ARN.
    pub(crate) fn cluster(&self) -> Option<&str> {
        self.text("cluster").map(last_segment)
    }

    /// Returns a text member of the body or a form parameter.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.body.get(member).and_then(Value::as_str)
    }

    /// Returns the texts in a list member of the body.
    pub(crate) fn texts(&self, member: &str) -> Vec<&str> {
        let list = self.body.get(member).and_then(Value::as_array);
        list.map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_str).collect())
    }

    /// Returns the form parameters `PREFIX1…`, `PREFIX2…`, by number and then by the rest of the name.
    pub(crate) fn numbered(&self, prefix: &str) -> BTreeMap<usize, BTreeMap<String, &str>> {
        let mut found: BTreeMap<usize, BTreeMap<String, &str>> = BTreeMap::new();
        for (key, value) in self.body.as_object().into_iter().flatten() {
            let Some(rest) = key.strip_prefix(prefix) else { continue };
            let (number, name) = rest.split_once('.').unwrap_or((rest, ""));
            if let (Ok(number), Some(value)) = (number.parse(), value.as_str()) {
                found.entry(number).or_default().insert(name.to_owned(), value);
            }
        }
        found
    }

    /// Whether the body contains this text, as sent or decoded.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        let decoded = || {
            self.body
                .as_object()
                .into_iter()
                .flatten()
                .any(|(_, value)| value.as_str().is_some_and(|value| value.contains(text)))
        };
        self.raw.contains(text) || decoded()
    }

    /// Returns the body as sent.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    #[cfg(test)]
    pub(crate) fn ecs(action: &str, body: &str) -> Self {
        let head = hyper::Request::post("/").header("x-amz-target", format!("{ECS_TARGET}{action}"));
        let (head, ()) = head.body(()).unwrap().into_parts();
        Self::read(&head, body.as_bytes())
    }

    #[cfg(test)]
    pub(crate) fn form(body: &str) -> Self {
        let (head, ()) = hyper::Request::post("/").body(()).unwrap().into_parts();
        Self::read(&head, body.as_bytes())
    }
}

/// Returns a field of `AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/ecs/aws4_request, …`.
fn credential(authorization: &str, field: usize) -> String {
    let credential = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
    let credential = credential.split(',').next().unwrap_or_default();
    credential.split('/').nth(field).unwrap_or_default().to_owned()
}

fn form(body: &str) -> impl Iterator<Item = (String, String)> {
    body.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decoded(key), percent_decoded(value))
    })
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = || after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex().and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_is_decoded_and_ordered_by_number() {
        let request = Request::form(
            "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance%2Did&Filter.1.Value.10=c&Filter.1.Value.2=a+b%zz&Filter.2.Name=x",
        );
        assert_eq!((request.operation.as_str(), request.protocol), ("ec2:DescribeInstances", Protocol::Ec2));
        let filters = request.numbered("Filter.");
        assert_eq!(filters[&1]["Name"], "instance-id");
        assert_eq!(filters[&2]["Name"], "x");
        let values: Vec<_> = request.numbered("Filter.1.Value.").into_values().map(|value| value[""]).collect();
        assert_eq!(values, ["a b%zz", "c"]);
        assert!(request.mentions("instance-id"));
    }

    #[test]
    fn version_distinguishes_sts_from_ec2() {
        let request = Request::form("Action=AssumeRole&Version=2011-06-15");
        assert_eq!((request.operation.as_str(), request.protocol), ("sts:AssumeRole", Protocol::Sts));
    }

    #[test]
    fn access_key_and_region_are_read_from_the_authorization_header() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIA1/20260101/us-east-1/ecs/aws4_request, X/Y/Z";
        assert_eq!([0, 2].map(|field| credential(header, field)), ["AKIA1", "us-east-1"]);
        assert_eq!([0, 2].map(|field| credential("", field)), ["", ""]);
    }
}
