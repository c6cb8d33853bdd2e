//! One call, from the request to its answer: the operation, or what a fault makes of it.

use serde_json::json;

use crate::answer::{Answer, ApiError, Delivery, content_type};
use crate::faults::FaultKind;
use crate::paging::{PageFault, Tokens};
use crate::request::{Protocol, Request};
use crate::world::World;
use crate::{Options, ec2, ecs, metadata, sts};

/// All that an operation may look at.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    pub(crate) request_id: &'a str,
    pub(crate) world: &'a World,
    pub(crate) options: &'a Options,
    pub(crate) tokens: &'a mut Tokens,
    pub(crate) page_fault: Option<PageFault>,
    pub(crate) unexpected: &'a mut Vec<String>,
}

impl Call<'_> {
    /// The size of a page, given what the caller and the operation allow.
    pub(crate) fn page_size(&self, allowed: usize) -> usize {
        self.options.page_size.map_or(allowed, |size| size.min(allowed))
    }

    /// Answers the call. Hang and Reset never get here: they have no answer.
    pub(crate) fn answer(mut self, fault: Option<&FaultKind>) -> Answer {
        self.page_fault = match fault {
            Some(FaultKind::EmptyPageWithToken) => Some(PageFault::EmptyFirst),
            Some(FaultKind::RepeatedToken) => Some(PageFault::RepeatedToken),
            _ => None,
        };
        let instead = fault.and_then(|kind| self.instead(kind));
        let mut answer = instead.unwrap_or_else(|| self.operation());
        if let Some(kind) = fault {
            spoil(kind, &mut answer);
        }
        answer.request_id = self.request_id.to_owned();
        answer
    }

    fn operation(&mut self) -> Answer {
        let protocol = self.request.protocol;
        let body = match protocol {
            // Twice as fast as by way of Display, in which the largest answers spend most of their time.
            Protocol::Ecs => ecs::answer(self).map(|body| serde_json::to_string(&body).unwrap_or_default()),
            Protocol::Ec2 => ec2::answer(self),
            Protocol::Sts => sts::answer(self),
            Protocol::Metadata => Ok(metadata::answer(self).to_string()),
            Protocol::Control | Protocol::Unknown => Err(unknown()),
        };
        match body {
            Ok(body) => Answer::new(200, content_type(protocol), body),
            Err(error) => self.refusal(&error),
        }
    }

    fn refusal(&mut self, error: &ApiError) -> Answer {
        if error.unexpected {
            let ApiError { code, message, .. } = error;
            let body: String = self.request.raw().chars().take(200).collect();
            self.unexpected.push(format!("{}: {code}: {message} (body: {body})", self.request.operation));
        }
        Answer::error(self.request.protocol, error, self.request_id)
    }

    /// The answer that a fault puts in the place of the operation's.
    fn instead(&self, kind: &FaultKind) -> Option<Answer> {
        let protocol = self.request.protocol;
        let ok = |body: String| Some(Answer::new(200, content_type(protocol), body));
        match kind {
            FaultKind::EmptyBody => ok(String::new()),
            FaultKind::EmptyObject => ok(self.empty_object()),
            FaultKind::Html => {
                let page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Proxy</body></html>\n";
                Some(Answer::new(200, "text/html; charset=utf-8", page.to_owned()))
            }
            _ => {
                let error = kind.error(self.request, self.world)?;
                Some(Answer::error(protocol, &error, self.request_id))
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
    ApiError { status: 404, ..ApiError::misuse("NotFound", "simaws has nothing here") }
}

/// What a fault does to an answer on its way.
fn spoil(kind: &FaultKind, answer: &mut Answer) {
    match kind {
        FaultKind::SlowBody { chunk_millis } => answer.delivery = Delivery::Slow(*chunk_millis),
        FaultKind::CutBody => answer.delivery = Delivery::Cut,
        FaultKind::Malformed => answer.body.truncate(answer.body.floor_char_boundary(answer.body.len() / 2)),
        _ => {}
    }
}
