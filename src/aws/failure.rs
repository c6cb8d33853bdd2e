//! From the SDK's errors to one line that helps at three in the morning.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::RequestId;

use super::role::AssumeRoleFailed;
use crate::inventory::{ClusterRef, Failure};

/// A message longer than this is a web page rather than a sentence.
const LONGEST_MESSAGE: usize = 400;

/// Our code for a call that took too long.
pub(super) const TIMEOUT: &str = "Timeout";

/// Codes by which AWS says "slow down".
const THROTTLED: [&str; 5] =
    ["ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException", "RequestThrottled"];

/// Whether AWS says "slow down" with this code.
pub(super) fn is_throttle(code: &str) -> bool {
    THROTTLED.contains(&code)
}

/// What a failed call means. The SDK's own `Display` says no more than "service error".
pub(super) fn of_call<E>(
    operation: &'static str,
    cluster: Option<&ClusterRef>,
    error: SdkError<E, HttpResponse>,
) -> Failure
where
    E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
{
    if let Some(refused) = cause::<AssumeRoleFailed>(&error) {
        return role_refused(cluster, refused);
    }
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = match (&error, error.code()) {
        (_, Some(code)) => code.to_owned(),
        (SdkError::TimeoutError(_), _) => TIMEOUT.into(),
        (SdkError::DispatchFailure(dispatch), _) if dispatch.is_timeout() => TIMEOUT.into(),
        (SdkError::DispatchFailure(dispatch), _) if dispatch.is_io() => "ConnectionFailed".into(),
        (SdkError::DispatchFailure(_), _) if cause::<CredentialsError>(&error).is_some() => "NoCredentials".into(),
        (SdkError::DispatchFailure(_), _) => "NotSent".into(),
        (SdkError::ConstructionFailure(_), _) => "NotBuilt".into(),
        _ => status.filter(|status| *status >= 300).map_or("BadAnswer".into(), |status| format!("HTTP {status}")),
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

/// The call was not made, since the role to make it as could not be had.
fn role_refused(cluster: Option<&ClusterRef>, refused: &AssumeRoleFailed) -> Failure {
    Failure {
        operation: "AssumeRole",
        cluster: cluster.cloned(),
        code: refused.code.clone().unwrap_or_else(|| "NoCredentials".into()),
        message: one_line(&refused.to_string()),
        request_id: refused.request_id.clone(),
        calls: 1,
        transient: refused.code.as_deref().is_none_or(is_throttle),
    }
}

/// The first of an error's causes that is of this type.
fn cause<'a, C: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a C> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref() {
            return Some(cause);
        }
        next = error.source();
    }
    None
}

/// A 200 that says nothing of something that was asked for.
pub(super) fn unnamed(operation: &'static str, cluster: Option<&ClusterRef>) -> Failure {
    bad_answer(operation, cluster, "the answer names something that was asked for neither as found nor as failed")
}

/// A 200 that lacks what was asked for, which is a failure and not an empty answer.
pub(super) fn bad_answer(operation: &'static str, cluster: Option<&ClusterRef>, message: &str) -> Failure {
    Failure {
        operation,
        cluster: cluster.cloned(),
        code: "BadAnswer".into(),
        message: message.into(),
        request_id: None,
        calls: 1,
        transient: false,
    }
}

/// A call that was not made because those before it failed.
pub(super) fn given_up(operation: &'static str, cluster: Option<&ClusterRef>) -> Failure {
    Failure {
        code: "GivenUp".into(),
        transient: true,
        ..bad_answer(operation, cluster, "not asked this time: the calls before it all timed out or were throttled")
    }
}

/// An error and its causes in one line, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
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
