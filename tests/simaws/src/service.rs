//! Turns a request into a response: the operation's, or that of a fault.

use serde_json::json;

use crate::faults::FaultKind;
use crate::paging::{PageFault, Tokens};
use crate::request::{Protocol, Request};
use crate::response::{ApiError, Delivery, Response, content_type};
use crate::scope::Scope;
use crate::sqs::Queues;
use crate::world::World;
use crate::{Options, ec2, ecs, metadata, sts};

/// Everything that an operation may use.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    pub(crate) request_id: &'a str,
    /// The scope that the call is for.
    pub(crate) scope: &'a Scope,
    /// What is in that scope.
    pub(crate) world: &'a World,
    pub(crate) options: &'a Options,
    pub(crate) queues: &'a mut Queues,
    pub(crate) tokens: &'a mut Tokens,
    pub(crate) page_fault: Option<PageFault>,
    pub(crate) unexpected: &'a mut Vec<String>,
}

impl Call<'_> {
    /// Returns the size of a page, given the limit of the client and the operation.
    pub(crate) fn page_size(&self, allowed: usize) -> usize {
        self.options.page_size.map_or(allowed, |size| size.min(allowed))
    }

    /// Responds to the call. The faults Hang and Reset, which have no response, are handled before.
    pub(crate) fn respond(mut self, fault: Option<&FaultKind>) -> Response {
        self.page_fault = match fault {
            Some(FaultKind::EmptyPageWithToken) => Some(PageFault::EmptyFirst),
            Some(FaultKind::RepeatedToken) => Some(PageFault::RepeatedToken),
            _ => None,
        };
        let instead = fault.and_then(|kind| self.instead(kind));
        let mut response = instead.unwrap_or_else(|| self.operation());
        if let Some(kind) = fault {
            distort(kind, &mut response);
        }
        response.request_id = self.request_id.to_owned();
        response
    }

    fn operation(&mut self) -> Response {
        let protocol = self.request.protocol;
        let body = match protocol {
            // Twice as fast as `Display`, which dominates the time of large responses.
            Protocol::Ecs => ecs::respond(self).map(|body| serde_json::to_string(&body).unwrap_or_default()),
            Protocol::Sqs => self.queues.respond(self.request).map(|body| body.to_string()),
            Protocol::Ec2 => ec2::respond(self),
            Protocol::Sts => sts::respond(self),
            Protocol::Metadata => Ok(metadata::respond(self)),
            Protocol::Control | Protocol::Unknown => Err(unknown()),
        };
        match body {
            Ok(body) => Response::new(200, content_type(protocol), body),
            Err(error) => self.rejection(&error),
        }
    }

    fn rejection(&mut self, error: &ApiError) -> Response {
        if error.unexpected {
            let ApiError { code, message, .. } = error;
            let body: String = self.request.raw().chars().take(200).collect();
            self.unexpected.push(format!("{}: {code}: {message} (body: {body})", self.request.operation));
        }
        Response::error(self.request.protocol, error, self.request_id)
    }

    /// Returns the response of a fault that replaces the operation's response.
    fn instead(&self, kind: &FaultKind) -> Option<Response> {
        let protocol = self.request.protocol;
        let ok = |body: String| Some(Response::new(200, content_type(protocol), body));
        match kind {
            FaultKind::EmptyBody => ok(String::new()),
            FaultKind::EmptyObject => ok(self.empty_object()),
            FaultKind::Html => {
                let page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Proxy</body></html>\n";
                Some(Response::new(200, "text/html; charset=utf-8", page.to_owned()))
            }
            _ => {
                let error = kind.error(self.request, self.world)?;
                Some(Response::error(protocol, &error, self.request_id))
            }
        }
    }

    fn empty_object(&self) -> String {
        let action = self.request.action();
        match self.request.protocol {
            Protocol::Ec2 => format!("<{action}Response xmlns=\"{}\"></{action}Response>", ec2::NAMESPACE),
            Protocol::Sts => format!("<{action}Response xmlns=\"{}\"></{action}Response>", sts::NAMESPACE),
            _ => json!({}).to_string(),
        }
    }
}

fn unknown() -> ApiError {
    ApiError { status: 404, ..ApiError::misuse("NotFound", "simaws does not implement this path") }
}

/// Applies a fault that distorts the operation's response.
fn distort(kind: &FaultKind, response: &mut Response) {
    match kind {
        FaultKind::SlowBody { chunk_millis } => response.delivery = Delivery::Slow(*chunk_millis),
        FaultKind::CutBody => response.delivery = Delivery::Cut,
        FaultKind::Malformed => response.body.truncate(response.body.floor_char_boundary(response.body.len() / 2)),
        _ => {}
    }
}
