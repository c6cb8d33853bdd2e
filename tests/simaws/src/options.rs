//! The behaviour of the simulated AWS apart from faults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the server as a whole. In JSON: `pageSize`, `latencyMillis`, `quotas`, `credentialsLifetimeSeconds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Settings", into = "Settings")]
pub struct Options {
    /// The maximum size of a page, on top of the limits of AWS.
    pub page_size: Option<usize>,
    /// The minimum duration of every call.
    pub latency: Duration,
    /// Whether calls beyond AWS's quotas are throttled. Setting the options refills the buckets.
    pub quotas: bool,
    /// The lifetime of issued credentials, after which calls with them fail.
    pub credentials_lifetime: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Settings::default().into()
    }
}

/// The JSON form, with units in the names.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Settings {
    page_size: Option<usize>,
    latency_millis: u64,
    quotas: bool,
    credentials_lifetime_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { page_size: None, latency_millis: 0, quotas: false, credentials_lifetime_seconds: 3600 }
    }
}

impl From<Settings> for Options {
    fn from(settings: Settings) -> Self {
        Self {
            page_size: settings.page_size,
            latency: Duration::from_millis(settings.latency_millis),
            quotas: settings.quotas,
            credentials_lifetime: Duration::from_secs(settings.credentials_lifetime_seconds),
        }
    }
}

impl From<Options> for Settings {
    fn from(options: Options) -> Self {
        Self {
            page_size: options.page_size,
            latency_millis: u64::try_from(options.latency.as_millis()).unwrap_or(u64::MAX),
            quotas: options.quotas,
            credentials_lifetime_seconds: options.credentials_lifetime.as_secs(),
        }
    }
}
