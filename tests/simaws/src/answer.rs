//! What goes back to a caller: success, error, and how the bytes travel.

use serde_json::{Value, json};

use crate::request::Protocol;
use crate::xml::Element;

/// An error in the terms all three services share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// A good client never gets this one.
    pub(crate) unexpected: bool,
}

impl ApiError {
    /// An error that the world or a fault brings about.
    pub(crate) fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned(), unexpected: false }
    }

    /// HTTP 400 for what the caller should have known better.
    pub(crate) fn misuse(code: &str, message: &str) -> Self {
        Self { unexpected: true, ..Self::new(400, code, message) }
    }
}

/// How the bytes of an answer travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    /// In pieces, with a pause in milliseconds before each.
    Slow(u64),
    /// Half of them, then the connection is closed.
    Cut,
}

/// An HTTP answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    pub(crate) request_id: String,
    pub(crate) delivery: Delivery,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, body, request_id: String::new(), delivery: Delivery::Whole }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// The error as the protocol writes it.
    pub(crate) fn error(protocol: Protocol, error: &ApiError, request_id: &str) -> Self {
        let body = match protocol {
            Protocol::Ec2 => ec2_error(error, request_id),
            Protocol::Sts => sts_error(error, request_id),
            Protocol::Ecs => json!({"__type": error.code, "message": error.message}).to_string(),
            _ => json!({"code": error.code, "message": error.message}).to_string(),
        };
        Self::new(error.status, content_type(protocol), body)
    }
}

/// The media type of the protocol's answers.
pub(crate) fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ecs => "application/x-amz-json-1.1",
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

/// The query protocol's envelope: no list around the error, and `RequestId`.
fn sts_error(error: &ApiError, request_id: &str) -> String {
    let sender = if error.status < 500 { "Sender" } else { "Receiver" };
    let details = Element::new("Error").text("Type", sender).text("Code", &error.code);
    let details = details.text("Message", &error.message);
    let response = Element::in_namespace("ErrorResponse", crate::sts::NAMESPACE).child(details);
    response.text("RequestId", request_id).document()
}
