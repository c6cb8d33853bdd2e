//! Creates the clients.
//!
//! * [`environment`], [`profile`] (with [`profile_text`]): settings, validated before the SDK reads them.
//! * [`http`] and [`proxy`]: the HTTP client.
//! * [`imds`], [`region`]: where the program runs.
//! * [`account`]: whose the process's own credentials are.
//! * [`sources`] (with [`process`]), [`role`]: credentials, which [`login`] gets in the background.
//! * [`retry`]: attempts and time limits of calls.
//! * [`error`]: why the program cannot start.

mod account;
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

use std::collections::BTreeMap;

use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use futures_util::future::join_all;

pub use self::error::StartError;
use self::http::Client;
use self::login::Background;
use self::profile::Profiles;
pub use self::retry::OPERATION_TIMEOUT;
use self::role::AssumedRole;
use self::sources::Sources;
use super::api::errors::LoginError;
use crate::config::AwsConfig;
use crate::inventory::{Identity, InScope, Planned, Scope, ScopeRequest, Shared};

/// A scope to scan, with what it takes.
pub(in crate::aws) struct Connected {
    /// The scope.
    pub(in crate::aws) scope: Scope,
    /// The clusters to scan in it.
    pub(in crate::aws) clusters: InScope,
    /// The clients for it.
    pub(in crate::aws) clients: Clients,
    /// The credentials for it.
    pub(in crate::aws) login: Login,
}

/// Credentials that are being fetched.
pub(in crate::aws) struct Login(Background);

/// The clients of the services.
pub(in crate::aws) struct Clients {
    pub(in crate::aws) ecs: aws_sdk_ecs::Client,
    pub(in crate::aws) ec2: aws_sdk_ec2::Client,
}

impl Login {
    /// Waits until the first attempt to get the credentials has ended. A refresh reports if it failed.
    pub(in crate::aws) async fn wait(&self) {
        let _ = self.0.at_start().await;
    }
}

/// Finds regions and credentials, and creates the clients of every scope. All roles are being assumed when it returns: one
/// that takes long or fails does not delay the others.
pub(in crate::aws) async fn connect(config: &AwsConfig) -> Result<Vec<Connected>, StartError> {
    environment::validate()?;
    let profiles = Profiles::read().await?;
    let client = Client::new(profiles.get("ca_bundle"))?;
    let imds = imds::client(&client, &profiles)?;
    let regions = if config.regions.is_empty() && config.clusters.needs_regions() {
        vec![region::find(&profiles, &imds).await?]
    } else {
        config.regions.clone()
    };
    let request = ScopeRequest { identities: &config.identities, regions: &regions, selection: &config.clusters };
    let shared = load(&profiles, &client, home_region(&request)?).await?;
    let own = Background::new(Sources::new(&shared, &profiles, &client, imds));
    own_login(&own).await?;
    let logins = log_in(config, &shared, &own).await;
    let account = if request.needs_own_account() { account::own(&scoped(&shared, None, own)).await } else { None };
    let planned = request.plan(account.as_deref())?;
    let connected = planned.into_iter().filter_map(|Planned { identity, scope, clusters }| {
        let login = logins.get(&identity)?.clone();
        let clients = Clients::new(&scoped(&shared, Some(&scope.region), login.clone()), &identity, &scope);
        Some(Connected { scope, clusters, clients, login: Login(login) })
    });
    Ok(connected.collect())
}

/// Returns the region in which roles are assumed.
fn home_region(request: &ScopeRequest<'_>) -> Result<Shared, StartError> {
    if let Some(region) = request.regions.first() {
        return Ok(region.clone());
    }
    Ok(request.plan(None)?.swap_remove(0).scope.region)
}

/// Loads the settings that all scopes share.
async fn load(profiles: &Profiles, client: &Client, region: Shared) -> Result<SdkConfig, StartError> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client.clone())
        .profile_files(profiles.files.clone())
        .region(Region::new(region.to_string()))
        .retry_config(retry::config()?)
        .no_credentials();
    if let Ok(name) = AppName::new("ecs-discovery") {
        loader = loader.app_name(name);
    }
    Ok(loader.load().await)
}

/// Gets the first credentials of the process itself. Fails if none are configured, but not if their source is unavailable
/// for now: the refreshes report that and retry.
async fn own_login(own: &Background) -> Result<(), StartError> {
    match own.at_start().await {
        Err(LoginError::NoCredentials(places)) => Err(StartError::NoCredentials(places)),
        Err(LoginError::Invalid(reason)) => Err(StartError::Invalid(reason)),
        _ => Ok(()),
    }
}

/// Starts to assume every role, each once for all its regions.
async fn log_in(config: &AwsConfig, shared: &SdkConfig, own: &Background) -> BTreeMap<Identity, Background> {
    let logins = config.identities.iter().map(|identity| async move {
        let Some(role) = identity.role() else { return (identity.clone(), own.clone()) };
        let role = AssumedRole::new(role, config.external_id.as_deref(), shared, own.clone()).await;
        let login = Background::new(role);
        login.start();
        (identity.clone(), login)
    });
    join_all(logins).await.into_iter().collect()
}

/// Returns the settings for calls with these credentials.
fn scoped(shared: &SdkConfig, region: Option<&str>, login: Background) -> SdkConfig {
    let timeouts = retry::timeouts(shared.timeout_config());
    let credentials = SharedCredentialsProvider::new(login);
    let builder = shared.to_builder().credentials_provider(credentials).timeout_config(timeouts);
    match region {
        Some(region) => builder.region(Region::new(region.to_owned())).build(),
        None => builder.build(),
    }
}

impl Clients {
    fn new(config: &SdkConfig, identity: &Identity, scope: &Scope) -> Self {
        // The quotas are process-wide by name.
        let partition = |service| retry::partition(format!("{service} {identity} {}", scope.region));
        let ecs = aws_sdk_ecs::config::Builder::from(config).retry_partition(partition("ecs")).build();
        let ec2 = aws_sdk_ec2::config::Builder::from(config).retry_partition(partition("ec2")).build();
        Self { ecs: aws_sdk_ecs::Client::from_conf(ecs), ec2: aws_sdk_ec2::Client::from_conf(ec2) }
    }
}
