//! Creates the clients.
//!
//! * [`environment`], [`profile`] (with [`profile_text`]): settings, validated before the SDK reads them.
//! * [`http`] and [`proxy`]: the HTTP client.
//! * [`imds`], [`region`]: where the program runs.
//! * [`account`]: whose the process's own credentials are.
//! * [`sources`] (with [`process`]), [`role`]: credentials, which [`login`] gets in the background, and [`expiry`] drops.
//! * [`retry`]: attempts and time limits of calls.
//! * [`offline`]: connects to a test.
//! * [`error`]: why the program cannot start.

mod account;
mod environment;
mod error;
mod expiry;
mod http;
mod imds;
mod login;
mod offline;
mod process;
mod profile;
mod profile_text;
mod proxy;
pub(super) mod region;
mod retry;
mod role;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_config::identity::IdentityCache;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::HttpClient;

pub use self::error::StartError;
use self::expiry::Expiry;
use self::http::Client;
use self::login::Background;
pub use self::offline::Offline;
use self::profile::{Files, Profiles};
pub use self::retry::OPERATION_TIMEOUT;
use self::role::AssumedRole;
use self::sources::Sources;
use super::api::Reporter;
use super::api::errors::LoginError;
use super::api::sqs::Sqs;
use crate::config::{AwsConfig, Queue};
use crate::inventory::{Identity, InScope, Observer, Planned, RoleArn, Scope, ScopeRequest, Shared};

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

/// The credentials of an identity, which all its scopes share.
#[derive(Clone)]
pub(in crate::aws) struct Login {
    background: Background,
    /// The same for the SDK.
    provider: SharedCredentialsProvider,
}

/// The clients of the services.
pub(in crate::aws) struct Clients {
    pub(in crate::aws) ecs: aws_sdk_ecs::Client,
    pub(in crate::aws) ec2: aws_sdk_ec2::Client,
}

impl Login {
    fn new(background: Background) -> Self {
        Self { provider: SharedCredentialsProvider::new(background.clone()), background }
    }

    /// Waits until the first attempt to get the credentials has ended. A refresh reports if it failed.
    pub(in crate::aws) async fn wait(&self) {
        self.background.wait_for_first().await;
    }

    /// Returns an observer of the calls that are made with the credentials, which passes everything on.
    pub(in crate::aws) fn observed_by(&self, observer: Arc<dyn Observer>) -> Arc<dyn Observer> {
        Arc::new(Expiry { login: self.background.clone(), observer })
    }
}

/// Finds regions and credentials, and creates the clients of every scope. The roles that are used are being assumed when it
/// returns: one that takes long or fails does not delay the others.
pub(in crate::aws) async fn connect(
    config: &AwsConfig,
    observer: &Arc<dyn Observer>,
) -> Result<(Vec<Connected>, Vec<Sqs>), StartError> {
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
    let shared = load(profiles.files.clone(), client.clone(), home_region(&request)?).await?;
    let own = Background::new(Sources::new(&shared, &profiles, &client, imds));
    own_login(&own).await?;
    let own = Login::new(own);
    let account = if request.needs_own_account() { account::own(&with_login(&shared, &own)).await } else { None };
    let mut logins = BTreeMap::from([(Identity::Own, own.clone())]);
    let mut connected = Vec::new();
    for Planned { identity, scope, clusters } in request.plan(account.as_deref())? {
        if let (Some(role), false) = (identity.role(), logins.contains_key(&identity)) {
            logins.insert(identity.clone(), assume(role, config, &shared, &own).await);
        }
        let login = logins.get(&identity).unwrap_or(&own).clone();
        let clients = Clients::new(&with_login(&shared, &login), &identity, &scope);
        connected.push(Connected { scope, clusters, clients, login });
    }
    let of_queues = with_login(&shared, &own);
    let observer = own.observed_by(observer.clone());
    let queues = config.events_queues.iter().map(|queue| connect_queue(queue, &of_queues, observer.clone()));
    Ok((connected, queues.collect()))
}

/// Creates the client for a queue, which is called with the process's own credentials.
fn connect_queue(queue: &Queue, config: &SdkConfig, observer: Arc<dyn Observer>) -> Sqs {
    let mut builder = aws_sdk_sqs::config::Builder::from(config);
    if let Some(region) = &queue.region {
        builder = builder.region(Region::new(region.to_string()));
    }
    let region = queue.region.clone().or_else(|| Some(config.region()?.as_ref().into())).unwrap_or_default();
    let scope = Scope { region, account: queue.account.clone() };
    let configured = config.endpoint_url().is_some() || environment::variable("AWS_ENDPOINT_URL_SQS").is_some();
    if let Some(endpoint) = queue.endpoint.as_ref().filter(|_| !configured) {
        builder = builder.endpoint_url(endpoint);
    }
    let client = builder.retry_partition(retry::partition(format!("sqs {}", queue.url))).build();
    Sqs::new(aws_sdk_sqs::Client::from_conf(client), &queue.url, Reporter::new(Arc::new(scope), observer))
}

/// Returns the region in which roles are assumed.
fn home_region(request: &ScopeRequest<'_>) -> Result<Shared, StartError> {
    if let Some(region) = request.regions.first() {
        return Ok(region.clone());
    }
    Ok(request.plan(None)?.swap_remove(0).scope.region)
}

/// Loads the settings that all scopes share.
async fn load(profiles: Files, client: impl HttpClient + 'static, region: Shared) -> Result<SdkConfig, StartError> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client)
        .profile_files(profiles)
        .region(Region::new(region.to_string()))
        .retry_config(retry::config()?)
        .identity_cache(IdentityCache::no_cache())
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

/// Starts to assume a role.
async fn assume(role: &RoleArn, config: &AwsConfig, shared: &SdkConfig, own: &Login) -> Login {
    let role = AssumedRole::new(role, config.external_id.as_deref(), shared, own.background.clone()).await;
    let login = Login::new(Background::new(role));
    login.background.start();
    login
}

/// Returns the settings for calls with these credentials.
fn with_login(shared: &SdkConfig, login: &Login) -> SdkConfig {
    let timeouts = retry::timeouts(shared.timeout_config());
    shared.to_builder().credentials_provider(login.provider.clone()).timeout_config(timeouts).build()
}

impl Clients {
    fn new(config: &SdkConfig, identity: &Identity, scope: &Scope) -> Self {
        let config = config.to_builder().region(Region::new(scope.region.to_string())).build();
        // A quota of its own for each service; the names are only for the SDK's log.
        let partition = |service| retry::partition(format!("{service} {identity} {}", scope.region));
        let ecs = aws_sdk_ecs::config::Builder::from(&config).retry_partition(partition("ecs")).build();
        let ec2 = aws_sdk_ec2::config::Builder::from(&config).retry_partition(partition("ec2")).build();
        Self { ecs: aws_sdk_ecs::Client::from_conf(ecs), ec2: aws_sdk_ec2::Client::from_conf(ec2) }
    }
}

#[cfg(test)]
mod tests;
