//! The client of the EC2 instance metadata service.

use std::time::Duration;

use aws_config::imds::Client as Imds;
use aws_config::imds::client::ImdsResponseRetryClassifier;
use aws_config::provider_config::ProviderConfig;
use aws_smithy_runtime_api::client::retries::classifiers::SharedRetryClassifier;

use super::environment::{IMDS_ENDPOINT, IMDS_ENDPOINT_KEY, IMDS_ENDPOINT_MODE, IMDS_ENDPOINT_MODE_KEY, variable};
use super::error::StartError;
use super::http::Client;
use super::profile::Profiles;

/// The attempts of a request, and of the request for its token: as many again, so that two attempts are up to four.
const ATTEMPTS: u32 = 2;

/// The SDK's own 1 s is too short for a busy host.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// Creates a client that retries after a timeout, as the SDK for Go does. The SDK for Rust takes one late response for
/// a machine without IMDS.
pub(super) fn client(client: &Client, profiles: &Profiles) -> Result<Imds, StartError> {
    let retries = ImdsResponseRetryClassifier::default().with_retry_connect_timeouts(true);
    let endpoint = endpoint(profiles);
    let imds = Imds::builder()
        .configure(&ProviderConfig::without_region().with_http_client(client.clone()))
        .max_attempts(ATTEMPTS)
        .read_timeout(READ_TIMEOUT)
        .retry_classifier(SharedRetryClassifier::new(retries))
        .endpoint(&endpoint)
        .map_err(|error| StartError::Invalid(format!("the endpoint {endpoint} of IMDS: {error}")))?;
    Ok(imds.build())
}

/// Returns whether the environment turns IMDS off.
pub(super) fn is_disabled() -> bool {
    variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Returns what to do about IMDS that cannot be reached, given the error, for the end of a message.
pub(super) fn hint(error: &str) -> String {
    if is_disabled() {
        return String::new();
    }
    format!(" (IMDS: {error}; in a container on EC2, the instance's metadata options need a hop limit of 2)")
}

/// Returns the endpoint in the SDK's order: its URL in the environment or the profile, or else the mode.
fn endpoint(profiles: &Profiles) -> String {
    let setting = |name, key| variable(name).or_else(|| profiles.get(key).map(str::to_owned));
    let mode = || setting(IMDS_ENDPOINT_MODE, IMDS_ENDPOINT_MODE_KEY).unwrap_or_default();
    setting(IMDS_ENDPOINT, IMDS_ENDPOINT_KEY).unwrap_or_else(|| {
        let by_mode =
            if mode().eq_ignore_ascii_case("ipv6") { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
        by_mode.to_owned()
    })
}
