//! Converts the SDK's errors to failures: one line that an operator can act on.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::RequestId;

use crate::inventory::{ClusterRef, Failure, Operation};

/// Longer messages are web pages rather than sentences, and are truncated.
const LONGEST_MESSAGE: usize = 400;

/// This program's codes for calls without a usable response.
pub(in crate::aws) const TIMEOUT: &str = "Timeout";
pub(super) const CONNECTION_FAILED: &str = "ConnectionFailed";
pub(super) const DISPATCH_FAILURE: &str = "DispatchFailure";
pub(super) const INVALID_RESPONSE: &str = "InvalidResponse";
const CONSTRUCTION_FAILURE: &str = "ConstructionFailure";
const NO_CREDENTIALS: &str = "NoCredentials";
pub(in crate::aws) const SKIPPED: &str = "Skipped";

/// AWS's codes for throttling.
const THROTTLED: [&str; 5] =
    ["ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException", "RequestThrottled"];

/// STS refused to let the program assume a role, or could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("{role}: {message}")]
pub(in crate::aws) struct AssumeRoleFailed {
    /// The role's ARN.
    pub(in crate::aws) role: String,
    /// AWS's error code, if there was a response.
    pub(in crate::aws) code: Option<String>,
    /// AWS's message, or the chain of causes.
    pub(in crate::aws) message: String,
    /// AWS's id of the request.
    pub(in crate::aws) request_id: Option<String>,
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
    if let Some(error) = find_cause::<AssumeRoleFailed>(&error) {
        return of_assume_role(cluster, error);
    }
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = match (&error, error.code()) {
        (_, Some(code)) => code.to_owned(),
        (SdkError::TimeoutError(_), _) => TIMEOUT.into(),
        (SdkError::DispatchFailure(dispatch), _) if dispatch.is_timeout() => TIMEOUT.into(),
        (SdkError::DispatchFailure(dispatch), _) if dispatch.is_io() => CONNECTION_FAILED.into(),
        (SdkError::DispatchFailure(_), _) if find_cause::<CredentialsError>(&error).is_some() => NO_CREDENTIALS.into(),
        (SdkError::DispatchFailure(_), _) => DISPATCH_FAILURE.into(),
        (SdkError::ConstructionFailure(_), _) => CONSTRUCTION_FAILURE.into(),
        _ => status.filter(|status| *status >= 300).map_or(INVALID_RESPONSE.into(), |status| format!("HTTP {status}")),
    };
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

/// Converts a call that was not made because its role could not be assumed.
fn of_assume_role(cluster: Option<&ClusterRef>, error: &AssumeRoleFailed) -> Failure {
    Failure {
        operation: Operation::AssumeRole,
        cluster: cluster.cloned(),
        code: error.code.clone().unwrap_or_else(|| NO_CREDENTIALS.into()),
        message: one_line(&error.to_string()),
        request_id: error.request_id.clone(),
        calls: 1,
        transient: error.code.as_deref().is_none_or(is_throttle),
    }
}

/// Returns the first of an error's causes that has type `C`.
fn find_cause<'a, C: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a C> {
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
