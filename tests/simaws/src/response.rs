//! HTTP responses: success, errors, and how the body is delivered.

use serde_json::{Value, json};

use crate::request::Protocol;
use crate::xml::Element;

/// An error of any of the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// Whether a correct client never gets this error.
    pub(crate) unexpected: bool,
}

impl ApiError {
    /// Returns an error that the world or a fault causes.
    pub(crate) fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned(), unexpected: false }
    }

    /// Returns HTTP 400 for a mistake of the client.
    pub(crate) fn misuse(code: &str, message: &str) -> Self {
        Self { unexpected: true, ..Self::new(400, code, message) }
    }
}

/// How the body of a response is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// At once.
    Whole,
    /// In pieces, with a pause in milliseconds before each.
    Slow(u64),
    /// Half of it, and then the connection is closed.
    Cut,
}

/// An HTTP response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    pub(crate) request_id: String,
    pub(crate) delivery: Delivery,
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, body, request_id: String::new(), delivery: Delivery::Whole }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// Returns the error in the format of the protocol.
    pub(crate) fn error(protocol: Protocol, error: &ApiError, request_id: &str) -> Self {
        let body = match protocol {
            Protocol::Ec2 => ec2_error(error, request_id),
            Protocol::Sts => sts_error(error, request_id),
            Protocol::Ecs | Protocol::Sqs => json!({"__type": error.code, "message": error.message}).to_string(),
            _ => json!({"code": error.code, "message": error.message}).to_string(),
        };
        Self::new(error.status, content_type(protocol), body)
    }
}

/// Returns the media type of the protocol's responses.
pub(crate) fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ecs => "application/x-amz-json-1.1",
        Protocol::Sqs => "application/x-amz-json-1.0",
        Protocol::Ec2 => "text/xml;charset=UTF-8",
        Protocol::Sts => "text/xml",
        _ => "application/json",
    }
}

/// "Query API error responses" in the Amazon EC2 developer guide: note the capital `RequestID`.
fn ec2_error(error: &ApiError, request_id: &str) -> String {
    let details = Element::new("Error").text("Code", &error.code).text("Message", &error.message);
    let response = Element::new("Response").child(Element::new("Errors").child(details));
    response.text("RequestID", request_id).document()
}

/// The error format of the query protocol: no list around the error, and `RequestId`.
fn sts_error(error: &ApiError, request_id: &str) -> String {
    let sender = if error.status < 500 { "Sender" } else { "Receiver" };
    let details = Element::new("Error").text("Type", sender).text("Code", &error.code);
    let details = details.text("Message", &error.message);
    let response = Element::in_namespace("ErrorResponse", crate::sts::NAMESPACE).child(details);
    response.text("RequestId", request_id).document()
}
