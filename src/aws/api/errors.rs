//! Converts the SDK's errors to failures: one line that an operator can act on.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::RequestId;

use crate::inventory::{ClusterRef, Failure, Operation};

/// Longer messages are web pages rather than sentences, and are truncated.
const LONGEST_MESSAGE: usize = 400;

/// This program's codes for calls without a usable response.
pub(in crate::aws) const TIMEOUT: &str = "Timeout";
pub(super) const CANCELLED: &str = "Cancelled";
pub(super) const CONNECTION_FAILED: &str = "ConnectionFailed";
pub(super) const DISPATCH_FAILURE: &str = "DispatchFailure";
pub(super) const INVALID_RESPONSE: &str = "InvalidResponse";
const CONSTRUCTION_FAILURE: &str = "ConstructionFailure";
const NO_CREDENTIALS: &str = Failure::NO_CREDENTIALS;
pub(in crate::aws) const SKIPPED: &str = Failure::SKIPPED;

/// AWS's codes for throttling.
const THROTTLED: [&str; 5] =
    ["ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException", "RequestThrottled"];

/// Why there are no credentials to sign a call with.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::aws) enum LoginError {
    /// No source of credentials is configured; where they were looked for.
    #[error("no AWS credentials in {0}")]
    NoCredentials(String),
    /// A source is configured, but not correctly.
    #[error("{0}")]
    Invalid(String),
    /// A source failed, or has not responded yet.
    #[error("{0}")]
    Unavailable(String),
    /// STS refused to let the program assume a role, or could not be reached.
    #[error("{role}: {message}")]
    AssumeRole {
        /// The role's ARN.
        role: String,
        /// AWS's error code, or this program's code for a call without a response.
        code: Option<String>,
        /// AWS's message, or the chain of causes.
        message: String,
        /// AWS's id of the request.
        request_id: Option<String>,
    },
}

/// Returns whether AWS throttles with this code.
pub(in crate::aws) fn is_throttle(code: &str) -> bool {
    THROTTLED.contains(&code)
}

/// Converts the error of a call. (The SDK's own `Display` says only "service error".)
pub(super) fn of_call<E>(
    operation: Operation,
    cluster: Option<&ClusterRef>,
    error: SdkError<E, HttpResponse>,
) -> Failure
where
    E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
{
    if let Some(error) = find_cause::<LoginError>(&error) {
        return of_login(operation, cluster, error);
    }
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = code_of(&error);
    let refused = status.is_some_and(|status| (400..500).contains(&status)) && !is_throttle(&code);
    let message = match error.message() {
        Some(message) => one_line(message),
        None => chain(&error),
    };
    Failure {
        operation,
        cluster: cluster.cloned(),
        code,
        message,
        request_id: error.request_id().map(String::from),
        calls: 1,
        transient: !refused,
    }
}

/// Returns AWS's error code, or this program's code for a call without a response.
pub(super) fn code_of<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (error, error.code()) {
        (_, Some(code)) => code.to_owned(),
        (SdkError::TimeoutError(_), _) => TIMEOUT.into(),
        (SdkError::DispatchFailure(dispatch), _) if dispatch.is_timeout() => TIMEOUT.into(),
        (SdkError::DispatchFailure(dispatch), _) if dispatch.is_io() => CONNECTION_FAILED.into(),
        (SdkError::DispatchFailure(_), _) if find_cause::<CredentialsError>(error).is_some() => NO_CREDENTIALS.into(),
        (SdkError::DispatchFailure(_), _) => DISPATCH_FAILURE.into(),
        (SdkError::ConstructionFailure(_), _) => CONSTRUCTION_FAILURE.into(),
        _ => status.filter(|status| *status >= 300).map_or(INVALID_RESPONSE.into(), |status| format!("HTTP {status}")),
    }
}

/// Converts a call that was not made for want of credentials.
fn of_login(operation: Operation, cluster: Option<&ClusterRef>, error: &LoginError) -> Failure {
    let (operation, code, request_id) = match error {
        LoginError::AssumeRole { code, request_id, .. } => (Operation::AssumeRole, code.as_deref(), request_id.clone()),
        _ => (operation, None, None),
    };
    Failure {
        operation,
        cluster: cluster.cloned(),
        code: code.unwrap_or(NO_CREDENTIALS).to_owned(),
        message: one_line(&error.to_string()),
        request_id,
        calls: 1,
        transient: code.is_none_or(|code| code == TIMEOUT || is_throttle(code)),
    }
}

/// Returns the first of an error's causes that has type `C`.
pub(in crate::aws) fn find_cause<'a, C: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a C> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref() {
            return Some(cause);
        }
        next = error.source();
    }
    None
}

/// Returns the failure for a successful response that omits something that was asked for.
pub(in crate::aws) fn not_in_response(operation: Operation, cluster: Option<&ClusterRef>) -> Failure {
    invalid_response(operation, cluster, "the response lists a requested id neither as found nor as failed")
}

/// Returns the failure for a successful response that lacks what it must contain.
pub(in crate::aws) fn invalid_response(operation: Operation, cluster: Option<&ClusterRef>, message: &str) -> Failure {
    Failure {
        operation,
        cluster: cluster.cloned(),
        code: INVALID_RESPONSE.into(),
        message: message.into(),
        request_id: None,
        calls: 1,
        transient: false,
    }
}

/// Returns the failure for a call that a refresh no longer waits for.
pub(in crate::aws) fn too_late(operation: Operation, cluster: Option<&ClusterRef>, waited: Duration) -> Failure {
    let message = format!("no response within {} s, after which targets do not wait for it", waited.as_secs());
    Failure { code: TIMEOUT.into(), transient: true, ..invalid_response(operation, cluster, &message) }
}

/// Returns the failure for a call that was not made because the calls before it failed.
pub(super) fn skipped(operation: Operation, cluster: Option<&ClusterRef>) -> Failure {
    Failure {
        code: SKIPPED.into(),
        transient: true,
        ..invalid_response(
            operation,
            cluster,
            "not called: too many calls before it timed out, were throttled or failed otherwise",
        )
    }
}

/// Returns the failure for a response that made this program panic.
pub(in crate::aws) fn panicked(operation: Operation, cluster: Option<&ClusterRef>, panic: &str) -> Failure {
    let message = one_line(&format!("the response caused a panic, a defect, please report it: {panic}"));
    Failure { code: Failure::PANIC.into(), ..invalid_response(operation, cluster, &message) }
}

/// Formats an error and its causes on one line, each once.
pub(in crate::aws) fn chain(error: &dyn Error) -> String {
    let mut message = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !message.contains(&text) {
            let colon = if message.is_empty() { "" } else { ": " };
            message.extend([colon, &text]);
        }
        next = error.source();
    }
    one_line(&message)
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line = words.join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST_MESSAGE) {
        line.truncate(end);
        line.push('…');
    }
    line
}
