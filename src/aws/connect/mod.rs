//! Creates the clients: region, credentials, time limits and retries.

mod region;
mod role;

use std::time::Duration;

use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::config::SharedHttpClient;
use aws_sdk_ecs::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_ecs::config::timeout::TimeoutConfig;
use aws_smithy_http_client as http;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use super::api::errors;
use crate::config::AwsConfig;

/// The attempts of a call: one that is throttled three times in a row still succeeds.
const ATTEMPTS: u32 = 5;

/// The SDK sets no time limits of its own: a silent server would hang a call forever.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of a call with all its attempts: enough for four throttled ones with the backoff between
/// them, and short, because a cluster that hangs delays a refresh for as long.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// The AWS configuration is unusable.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No region is configured.
    #[error(
        "no AWS region: set -config.region, AWS_REGION, or region in the AWS profile \
         (neither the ECS task metadata endpoint nor IMDS returned one)"
    )]
    NoRegion,
    /// No credentials are configured.
    #[error("no AWS credentials in {0}: give the task a task role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID")]
    NoCredentials(String),
    /// A setting in the environment or in a profile is invalid.
    #[error("invalid AWS configuration: {0}")]
    Invalid(String),
}

/// The clients of the services.
pub(in crate::aws) struct Clients {
    pub(in crate::aws) ecs: aws_sdk_ecs::Client,
    pub(in crate::aws) ec2: aws_sdk_ec2::Client,
}

/// Finds region and credentials, and creates the clients.
pub(in crate::aws) async fn connect(config: &AwsConfig) -> Result<Clients, StartError> {
    let http = https_client();
    let region = region::chain(config.region.as_deref(), http.clone()).region().await.ok_or(StartError::NoRegion)?;
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).operation_timeout(OPERATION_TIMEOUT);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(region)
        .retry_config(retry(std::env::var("AWS_MAX_ATTEMPTS").ok().as_deref())?)
        .timeout_config(timeouts.build());
    if let Ok(name) = AppName::new("ecs-discovery") {
        loader = loader.app_name(name);
    }
    let shared = loader.load().await;
    check_credentials(&shared).await?;
    let shared = match &config.role {
        Some(role) => role::assume(role, shared).await,
        None => shared,
    };
    let ecs = aws_sdk_ecs::config::Builder::from(&shared).retry_partition(partition("ecs")).build();
    let ec2 = aws_sdk_ec2::config::Builder::from(&shared).retry_partition(partition("ec2")).build();
    Ok(Clients { ecs: aws_sdk_ecs::Client::from_conf(ecs), ec2: aws_sdk_ec2::Client::from_conf(ec2) })
}

/// Creates an HTTP client like the SDK's own (aws-smithy-runtime, `default_https_client`), including the proxies of
/// the environment, but with ring for the cryptography.
fn https_client() -> SharedHttpClient {
    http::Builder::new().build_with_connector_fn(|settings, components| {
        let ring = Provider::Rustls(CryptoMode::Ring);
        let mut connector = http::Connector::builder().tls_provider(ring).proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

/// Returns standard retries whatever the environment says: in adaptive mode a throttled client waits for half a minute.
/// `AWS_MAX_ATTEMPTS` can raise the number of attempts. Set explicitly, because the SDK would also read profiles, and
/// panics on values that it does not support (aws-config, `default_provider::retry_config`).
fn retry(attempts: Option<&str>) -> Result<RetryConfig, StartError> {
    let attempts = match attempts.map(|text| (text, text.trim().parse::<u32>())) {
        None => ATTEMPTS,
        Some((_, Ok(asked @ 1..))) => asked.max(ATTEMPTS),
        Some((text, _)) => {
            return Err(StartError::Invalid(format!("AWS_MAX_ATTEMPTS={text}: expected a positive integer")));
        }
    };
    Ok(RetryConfig::standard().with_max_attempts(attempts).with_initial_backoff(Duration::from_millis(500)))
}

/// Returns a retry quota for one service. The SDK's own is process-wide and hardly ever refills: after an outage
/// nothing would be retried for hours.
fn partition(name: &'static str) -> RetryPartition {
    RetryPartition::custom(name).token_bucket(TokenBucket::builder().capacity(1000).refill_rate(10.0).build()).build()
}

/// Fails if no credentials are configured, but not if their source is unavailable for now.
async fn check_credentials(shared: &SdkConfig) -> Result<(), StartError> {
    let Some(provider) = shared.credentials_provider() else {
        return Err(StartError::NoCredentials(places()));
    };
    match provider.provide_credentials().await {
        Err(CredentialsError::CredentialsNotLoaded(_)) => Err(StartError::NoCredentials(places())),
        Err(error @ CredentialsError::InvalidConfiguration(_)) => Err(StartError::Invalid(errors::chain(&error))),
        _ => Ok(()),
    }
}

/// Describes where credentials were looked for. (The SDK's own error fills a page.)
fn places() -> String {
    let profile = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".into());
    format!("the environment, the profile {profile:?}, a web identity, the container, or the EC2 instance")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_attempts_is_a_positive_integer_that_can_only_raise_ours() {
        let attempts = |setting| retry(setting).ok().map(|config| config.max_attempts());
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
