//! The tokens of sessions, which tell when they expire.

use std::time::Duration;

use crate::request::Request;
use crate::service::Call;
use crate::time::since_epoch;

const PREFIX: &str = "simulated-session-";

/// Returns the token of a new session.
pub(crate) fn token(call: &Call<'_>) -> String {
    let expiry = since_epoch() + call.options.credentials_lifetime;
    format!("{PREFIX}{}-{}", expiry.as_secs(), call.request_id)
}

/// Returns whether the request is of a session that has expired.
pub(crate) fn has_expired(request: &Request) -> bool {
    let expiry = request.session_token.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    let expiry = expiry.and_then(|(seconds, _)| seconds.parse().ok()).map(Duration::from_secs);
    expiry.is_some_and(|expiry| expiry <= since_epoch())
}
