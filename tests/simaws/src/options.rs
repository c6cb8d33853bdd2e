//! How the simulated AWS behaves when nothing is wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the server as a whole. In JSON: `pageSize`, `latencyMillis`, `quotas`, `credentialsLifetimeSeconds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Settings", into = "Settings")]
pub struct Options {
    /// No page of any listing holds more.
    pub page_size: Option<usize>,
    /// How long every call takes at least.
    pub latency: Duration,
    /// Whether calls beyond AWS's quotas are throttled. Setting the options fills the buckets again.
    pub quotas: bool,
    /// How long handed-out credentials live.
    pub credentials_lifetime: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Settings::default().into()
    }
}

/// The JSON form: numbers in the unit that the name says.
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
