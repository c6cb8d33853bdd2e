//! Creates the clients.
//!
//! * [`environment`], [`profile`] (with [`profile_text`]): settings, validated before the SDK reads them.
//! * [`http`] and [`proxy`]: the HTTP client.
//! * [`imds`], [`region`]: where the program runs.
//! * [`sources`] (with [`process`]), [`role`]: credentials, which [`login`] gets in the background.
//! * [`retry`]: attempts and time limits of calls.
//! * [`error`]: why the program cannot start.

mod environment;
mod error;
mod http;
mod imds;
mod login;
mod process;
mod profile;
mod profile_text;
mod proxy;
mod region;
mod retry;
mod role;
mod sources;

use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

pub use self::error::StartError;
use self::http::Client;
use self::login::Background;
use self::profile::Profiles;
pub use self::retry::OPERATION_TIMEOUT;
use self::role::AssumedRole;
use self::sources::Sources;
use super::api::errors::LoginError;
use crate::config::AwsConfig;
use crate::inventory::Scope;

/// The clients of the services.
pub(in crate::aws) struct Clients {
    pub(in crate::aws) scope: Scope,
    pub(in crate::aws) ecs: aws_sdk_ecs::Client,
    pub(in crate::aws) ec2: aws_sdk_ec2::Client,
}

/// Finds region and credentials, and creates the clients.
pub(in crate::aws) async fn connect(config: &AwsConfig) -> Result<Clients, StartError> {
    environment::validate()?;
    let profiles = Profiles::read().await?;
    let client = Client::new(profiles.get("ca_bundle"))?;
    let imds = imds::client(&client, &profiles)?;
    let region = region::find(config.region.as_deref(), &profiles, &imds).await?;
    let scope = Scope { region: region.as_ref().into(), account: None };
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client.clone())
        .profile_files(profiles.files.clone())
        .region(region)
        .retry_config(retry::config()?)
        .no_credentials();
    if let Ok(name) = AppName::new("ecs-discovery") {
        loader = loader.app_name(name);
    }
    let shared = loader.load().await;
    let base = Background::new(Sources::new(&shared, &profiles, &client, imds));
    let login = log_in(config, &shared, base).await?;
    let timeouts = retry::timeouts(shared.timeout_config());
    let credentials = SharedCredentialsProvider::new(login);
    let shared = shared.into_builder().credentials_provider(credentials).timeout_config(timeouts).build();
    let ecs = aws_sdk_ecs::config::Builder::from(&shared).retry_partition(retry::partition("ecs")).build();
    let ec2 = aws_sdk_ec2::config::Builder::from(&shared).retry_partition(retry::partition("ec2")).build();
    Ok(Clients { scope, ecs: aws_sdk_ecs::Client::from_conf(ecs), ec2: aws_sdk_ec2::Client::from_conf(ec2) })
}

/// Gets the first credentials. Fails if none are configured, but not if their source is unavailable for now, or if STS
/// refuses the role: the refreshes report that and retry.
async fn log_in(config: &AwsConfig, shared: &SdkConfig, base: Background) -> Result<Background, StartError> {
    match base.at_start().await {
        Err(LoginError::NoCredentials(places)) => return Err(StartError::NoCredentials(places)),
        Err(LoginError::Invalid(reason)) => return Err(StartError::Invalid(reason)),
        _ => {}
    }
    let Some(role) = &config.role else { return Ok(base) };
    let role = Background::new(AssumedRole::new(role, shared, base).await);
    // Waits only: a slow STS must not make the first refresh fail.
    let _ = role.at_start().await;
    Ok(role)
}
