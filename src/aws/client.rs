//! The clients: as whom, where, how long and how often.

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

use super::{failure, region, role};
use crate::config::AwsConfig;

/// A call throttled three times in a row still succeeds.
const ATTEMPTS: u32 = 5;

/// Without these a silent server would be waited for without end: the SDK sets neither.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call may take with all its attempts: enough for four throttled ones with the pauses between
/// them, and short, since a cluster that hangs holds up a refresh for as long.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is nothing to start with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No region anywhere.
    #[error(
        "no AWS region: set -config.region, AWS_REGION, or region in the AWS profile \
         (neither the ECS task metadata endpoint nor IMDS tells one)"
    )]
    NoRegion,
    /// No credentials anywhere.
    #[error("no AWS credentials in {0}: give the task a task role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID")]
    NoCredentials(String),
    /// A setting in the environment or in a profile that the SDK refuses.
    #[error("the AWS configuration is not usable: {0}")]
    Unusable(String),
}

/// What calls are made with.
pub(super) struct Clients {
    pub(super) ecs: aws_sdk_ecs::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
}

pub(super) async fn connect(config: &AwsConfig) -> Result<Clients, StartError> {
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

/// As the SDK makes its own (aws-smithy-runtime, `default_https_client`), proxies of the environment included, but
/// with ring for the cryptography.
fn https_client() -> SharedHttpClient {
    http::Builder::new().build_with_connector_fn(|settings, components| {
        let ring = Provider::Rustls(CryptoMode::Ring);
        let mut connector = http::Connector::builder().tls_provider(ring).proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

/// The standard mode whatever the environment says: the adaptive one makes a client wait for half a minute once it has
/// been throttled. More attempts than ours are the user's to ask for (`AWS_MAX_ATTEMPTS`). Left to itself the SDK reads
/// profiles too, and panics on what it does not take there (aws-config, `default_provider::retry_config`).
fn retry(attempts: Option<&str>) -> Result<RetryConfig, StartError> {
    let attempts = match attempts.map(|text| (text, text.trim().parse::<u32>())) {
        None => ATTEMPTS,
        Some((_, Ok(asked @ 1..))) => asked.max(ATTEMPTS),
        Some((text, _)) => {
            return Err(StartError::Unusable(format!("AWS_MAX_ATTEMPTS={text}: want a whole number above zero")));
        }
    };
    Ok(RetryConfig::standard().with_max_attempts(attempts).with_initial_backoff(Duration::from_millis(500)))
}

/// A retry quota of our own for each service. The SDK's is for the whole process and hardly ever refills:
/// after an outage nothing would be retried for hours.
fn partition(name: &'static str) -> RetryPartition {
    RetryPartition::custom(name).token_bucket(TokenBucket::builder().capacity(1000).refill_rate(10.0).build()).build()
}

/// Nothing to log in with ends the program; a login that is out of order for now does not.
async fn check_credentials(shared: &SdkConfig) -> Result<(), StartError> {
    let Some(provider) = shared.credentials_provider() else {
        return Err(StartError::NoCredentials(places()));
    };
    match provider.provide_credentials().await {
        Err(CredentialsError::CredentialsNotLoaded(_)) => Err(StartError::NoCredentials(places())),
        Err(error @ CredentialsError::InvalidConfiguration(_)) => Err(StartError::Unusable(failure::chain(&error))),
        _ => Ok(()),
    }
}

/// Where credentials were looked for: the SDK's own account of it fills a page.
fn places() -> String {
    let profile = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".into());
    format!("the environment, the profile {profile:?}, a web identity, the container, or the EC2 instance")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_a_whole_number_above_zero_and_no_fewer_than_ours() {
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
