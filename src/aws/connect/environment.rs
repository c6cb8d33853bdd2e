//! The environment variables that the AWS SDK reads: it panics on some invalid values, fails at every call on others,
//! and ignores the rest without a word. They are validated once, at the start.
//!
//! `main` has removed the empty ones.

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

use super::error::StartError;

/// A validator of a value, with the description of the values that it accepts.
type Check = (fn(&str) -> bool, &'static str);

const URL: Check = (is_url, "a URL such as https://HOST");
const BOOLEAN: Check = (is_boolean, "true or false");
const ENDPOINT_MODE: Check = (is_endpoint_mode, "IPv4 or IPv6");
const PATH: Check = (is_path, "a path such as /v2/credentials/ID");

/// The settings that are validated, as variables and as keys of the profile. aws-config 1.13: `default_provider`,
/// `imds::client`, `ecs`.
const SETTINGS: [(&str, &str, Check); 8] = [
    ("AWS_ENDPOINT_URL", "endpoint_url", URL),
    ("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", BOOLEAN),
    ("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", BOOLEAN),
    (IGNORE_ENDPOINTS, "ignore_configured_endpoint_urls", BOOLEAN),
    (IMDS_ENDPOINT, IMDS_ENDPOINT_KEY, URL),
    (IMDS_ENDPOINT_MODE, IMDS_ENDPOINT_MODE_KEY, ENDPOINT_MODE),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "", URL),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "", PATH),
];

const IGNORE_ENDPOINTS: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
pub(super) const IMDS_ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
pub(super) const IMDS_ENDPOINT_KEY: &str = "ec2_metadata_service_endpoint";
pub(super) const IMDS_ENDPOINT_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
pub(super) const IMDS_ENDPOINT_MODE_KEY: &str = "ec2_metadata_service_endpoint_mode";

/// Returns a variable, if it is set.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Fails if a variable of the AWS SDK has an invalid value.
pub(super) fn validate() -> Result<(), StartError> {
    let ignore_endpoints = variable(IGNORE_ENDPOINTS).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("AWS_")) else { continue };
        // The SDK takes it for unset.
        let Some(value) = value.to_str() else {
            return Err(StartError::Invalid(format!("{name} is not valid UTF-8")));
        };
        if !(ignore_endpoints && name.starts_with("AWS_ENDPOINT_URL")) {
            check(name, value, check_of_variable(name))?;
        }
    }
    Ok(())
}

fn check_of_variable(name: &str) -> Option<Check> {
    // A service has a variable of its own, such as AWS_ENDPOINT_URL_ECS.
    let name = if name.starts_with("AWS_ENDPOINT_URL_") { "AWS_ENDPOINT_URL" } else { name };
    SETTINGS.iter().find(|(variable, _, _)| *variable == name).map(|(_, _, check)| *check)
}

/// Fails if a key of a profile has an invalid value.
pub(super) fn validate_profile<'a>(profile: &str, get: impl Fn(&str) -> Option<&'a str>) -> Result<(), StartError> {
    let ignore_endpoints =
        get("ignore_configured_endpoint_urls").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    for (_, key, is_valid) in SETTINGS.iter().filter(|(_, key, _)| !(ignore_endpoints && *key == "endpoint_url")) {
        if let Some(value) = get(key) {
            check(&format!("profile {profile:?}: {key}"), value, Some(*is_valid))?;
        }
    }
    Ok(())
}

fn check(name: &str, value: &str, check: Option<Check>) -> Result<(), StartError> {
    match check {
        Some((is_valid, expected)) if !is_valid(value) => Err(StartError::setting(name, value, expected)),
        _ => Ok(()),
    }
}

/// Returns whether requests can be sent there. The SDK panics if not.
pub(super) fn is_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let has_host = uri.host().is_some_and(|host| !host.trim_matches(['[', ']']).is_empty());
    // `Uri` accepts any text as a port, and then returns none.
    let has_bad_port =
        uri.port_u16().is_none() && uri.authority().is_some_and(|authority| has_port(authority.as_str()));
    matches!(uri.scheme_str(), Some("http" | "https")) && has_host && !has_bad_port
}

fn has_port(authority: &str) -> bool {
    let host_and_port = authority.rsplit('@').next().unwrap_or(authority);
    host_and_port.rsplit(']').next().is_some_and(|rest| rest.contains(':'))
}

fn is_boolean(text: &str) -> bool {
    ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_endpoint_mode(text: &str) -> bool {
    ["ipv4", "ipv6"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.parse::<PathAndQuery>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_has_a_scheme_and_a_host() {
        for url in ["http://127.0.0.1:4566", "https://ecs.example.com/x", "http://[::1]:80", "http://u:p@host:1/"] {
            assert!(is_url(url), "{url}");
        }
        for text in [
            "",
            "/",
            "localhost",
            "localhost:4566",
            "http://",
            "http://:80",
            "ftp://x",
            "http://a b",
            "http://x:99999",
            "http://x:y",
        ] {
            assert!(!is_url(text), "{text}");
        }
    }

    #[test]
    fn every_service_has_an_endpoint_variable() {
        let is_checked = |name| check_of_variable(name).is_some();
        assert!(is_checked("AWS_ENDPOINT_URL") && is_checked("AWS_ENDPOINT_URL_STS"));
        assert!(!is_checked("AWS_PROFILE"));
    }
}
