//! Assumes a role; errors name the role and STS.

use std::error::Error;

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_ecs::operation::RequestId;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;

use crate::aws::api::errors::{self, AssumeRoleFailed};
use crate::config::Role;

/// The session name, as CloudTrail shows it.
const SESSION: &str = "ecs-discovery";

/// Returns the same configuration with the role's credentials. The clients share them until shortly before they
/// expire (the SDK's identity cache).
pub(super) async fn assume(role: &Role, shared: SdkConfig) -> SdkConfig {
    let mut provider = AssumeRoleProvider::builder(&role.arn).session_name(SESSION).configure(&shared);
    if let Some(external_id) = &role.external_id {
        provider = provider.external_id(external_id);
    }
    let provider = Assumed { role: role.arn.clone(), provider: provider.build().await };
    shared.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

#[derive(Debug)]
struct Assumed {
    role: String,
    provider: AssumeRoleProvider,
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let failed = |error| CredentialsError::provider_error(describe(&self.role, &error));
            self.provider.provide_credentials().await.map_err(failed)
        })
    }
}

fn describe(role: &str, error: &CredentialsError) -> AssumeRoleFailed {
    let response = error.source().and_then(|source| source.downcast_ref::<SdkError<AssumeRoleError>>());
    let message = response.and_then(ProvideErrorMetadata::message);
    AssumeRoleFailed {
        role: role.to_owned(),
        code: response.and_then(ProvideErrorMetadata::code).map(String::from),
        message: message.map_or_else(|| errors::chain(error), String::from),
        request_id: response.and_then(RequestId::request_id).map(String::from),
    }
}
