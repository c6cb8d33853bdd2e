//! Attempts and time limits of calls.

use std::time::Duration;

use aws_sdk_ecs::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_ecs::config::timeout::TimeoutConfig;

use super::environment::variable;
use super::error::StartError;

/// The attempts of a call: one that is throttled three times in a row still succeeds.
const ATTEMPTS: u32 = 5;

/// The SDK sets no time limits of its own: a silent server would hang a call forever.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of a call with all its attempts: enough for four throttled ones with the backoff between
/// them, and short, because a cluster that hangs delays a refresh for as long.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the time limits of a call, and the others that are given.
pub(super) fn timeouts(others: Option<&TimeoutConfig>) -> TimeoutConfig {
    let builder = others.map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    builder.operation_attempt_timeout(ATTEMPT_TIMEOUT).operation_timeout(OPERATION_TIMEOUT).build()
}

/// Returns standard retries whatever the environment says: in adaptive mode a throttled client waits for half a minute.
/// `AWS_MAX_ATTEMPTS` can raise the number of attempts. Set explicitly, because the SDK would also read profiles, and
/// panics on values that it does not support (aws-config, `default_provider::retry_config`).
pub(super) fn config() -> Result<RetryConfig, StartError> {
    with_attempts(variable("AWS_MAX_ATTEMPTS").as_deref())
}

fn with_attempts(attempts: Option<&str>) -> Result<RetryConfig, StartError> {
    let attempts = match attempts.map(|text| (text, text.trim().parse::<u32>())) {
        None => ATTEMPTS,
        Some((_, Ok(asked @ 1..))) => asked.max(ATTEMPTS),
        Some((text, _)) => return Err(StartError::setting("AWS_MAX_ATTEMPTS", text, "a positive integer")),
    };
    Ok(RetryConfig::standard().with_max_attempts(attempts).with_initial_backoff(Duration::from_millis(500)))
}

/// Returns a retry quota with this name: each service has one in each scope. The SDK's own is process-wide and hardly ever
/// refills: after an outage nothing would be retried for hours.
pub(super) fn partition(name: String) -> RetryPartition {
    RetryPartition::custom(name).token_bucket(TokenBucket::builder().capacity(1000).refill_rate(10.0).build()).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_attempts_is_a_positive_integer_that_can_only_raise_ours() {
        let attempts = |setting| with_attempts(setting).ok().map(|config| config.max_attempts());
        for (setting, want) in [
            (None, Some(ATTEMPTS)),
            (Some("3"), Some(ATTEMPTS)),
            (Some("12"), Some(12)),
            (Some("0"), None),
            (Some("x"), None),
            (Some("-1"), None),
        ] {
            assert_eq!(attempts(setting), want, "{setting:?}");
        }
    }
}
