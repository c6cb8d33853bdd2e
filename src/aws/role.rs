//! A role to call AWS as, with refusals that name it.

use std::error::Error;

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_ecs::operation::RequestId;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;

use super::failure;
use crate::config::Role;

/// How the role's sessions are named in CloudTrail.
const SESSION: &str = "ecs-discovery";

/// STS would not give the role, or could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{role}: {message}")]
pub(super) struct AssumeRoleFailed {
    /// The role's ARN.
    pub(super) role: String,
    /// AWS's error code, where it answered with one.
    pub(super) code: Option<String>,
    /// What it said, or what happened on the way.
    pub(super) message: String,
    /// AWS's id of the request.
    pub(super) request_id: Option<String>,
}

/// The same configuration as another role. The clients share its credentials until shortly before they
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
            let refused = |error| CredentialsError::provider_error(refusal(&self.role, &error));
            self.provider.provide_credentials().await.map_err(refused)
        })
    }
}

fn refusal(role: &str, error: &CredentialsError) -> AssumeRoleFailed {
    let answered = error.source().and_then(|source| source.downcast_ref::<SdkError<AssumeRoleError>>());
    let said = answered.and_then(ProvideErrorMetadata::message);
    AssumeRoleFailed {
        role: role.to_owned(),
        code: answered.and_then(ProvideErrorMetadata::code).map(String::from),
        message: said.map_or_else(|| failure::chain(error), String::from),
        request_id: answered.and_then(RequestId::request_id).map(String::from),
    }
}
