//! Why the program cannot start.

use crate::inventory::PlanError;

/// The AWS configuration is unusable.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No region is configured.
    #[error(
        "no AWS region: set -config.region, AWS_REGION, or region in the AWS profile \
         (neither the ECS task metadata endpoint nor IMDS returned one{0})"
    )]
    NoRegion(String),
    /// No credentials are configured.
    #[error("no AWS credentials in {0}")]
    NoCredentials(String),
    /// A setting in the environment or in a profile is invalid.
    #[error("invalid AWS configuration: {0}")]
    Invalid(String),
    /// What to scan does not fit the accounts and regions.
    #[error(transparent)]
    Scopes(#[from] PlanError),
}

impl StartError {
    /// Returns the error for an invalid setting, which names the setting and says what is expected.
    pub(super) fn setting(name: &str, value: &str, expected: &str) -> Self {
        Self::Invalid(format!("{name}={value}: expected {expected}"))
    }
}
