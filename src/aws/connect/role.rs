//! Assumes a role; errors name the role and STS.

use std::error::Error;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::operation::RequestId;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;

use super::expiry::is_expired;
use super::login::{Background, Fetching, Login, Patient};
use crate::aws::api::errors::{self, LoginError};
use crate::inventory::RoleArn;

/// The session name, as CloudTrail shows it.
const SESSION: &str = "ecs-discovery";

/// A login by a role, which is assumed with other credentials.
#[derive(Debug)]
pub(super) struct AssumedRole {
    role: String,
    provider: AssumeRoleProvider,
    base: Background,
}

impl AssumedRole {
    pub(super) async fn new(role: &RoleArn, external_id: Option<&str>, shared: &SdkConfig, base: Background) -> Self {
        let mut provider = AssumeRoleProvider::builder(role.as_str()).session_name(SESSION).configure(shared);
        if let Some(external_id) = external_id {
            provider = provider.external_id(external_id);
        }
        let provider = provider.build_from_provider(Patient(base.clone())).await;
        Self { role: role.as_str().to_owned(), provider, base }
    }

    fn failed(&self, error: &CredentialsError) -> LoginError {
        let response = error.source().and_then(|source| source.downcast_ref::<SdkError<AssumeRoleError>>());
        let code = response.and_then(ProvideErrorMetadata::code);
        if code.is_some_and(is_expired) {
            self.base.expired();
        }
        let message = response.and_then(ProvideErrorMetadata::message);
        let base = errors::find_cause::<LoginError>(error).map(ToString::to_string);
        let otherwise = || base.unwrap_or_else(|| format!("STS: {}", errors::chain(error)));
        LoginError::AssumeRole {
            role: self.role.clone(),
            code: code.map(String::from),
            message: message.map_or_else(otherwise, String::from),
            request_id: response.and_then(RequestId::request_id).map(String::from),
        }
    }
}

impl Login for AssumedRole {
    fn fetch(self: Arc<Self>) -> Fetching {
        Box::pin(async move {
            let credentials = self.provider.provide_credentials().await.map_err(|error| self.failed(&error))?;
            tracing::debug!(role = self.role, "role assumed");
            Ok(credentials)
        })
    }

    fn waiting_for(&self) -> String {
        if self.base.is_waiting() { self.base.waiting_for() } else { format!("STS (AssumeRole of {})", self.role) }
    }

    fn too_slow(&self, message: String) -> LoginError {
        let code = Some(errors::TIMEOUT.to_owned());
        LoginError::AssumeRole { role: self.role.clone(), code, message, request_id: None }
    }
}
