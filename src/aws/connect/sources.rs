//! The sources of credentials, in the order of the AWS SDKs: the first one that is configured is used.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use futures_util::future::select_ok;
use tokio::time::timeout;

use super::environment::variable;
use super::http::Client;
use super::imds;
use super::login::{Fetching, Login};
use super::process::CredentialProcess;
use super::profile::Profiles;
use crate::aws::api::errors::{self, LoginError};

/// How long the container credentials endpoint may take: nearly the time limit of a login. The SDK's own 5 s are too short
/// for a busy host.
const CONTAINER_TIMEOUT: Duration = Duration::from_secs(29);

/// When a second request is sent to the container credentials endpoint.
const HEDGE_AFTER: Duration = Duration::from_secs(10);

/// The sources.
#[derive(Debug)]
pub(super) struct Sources {
    sources: Vec<Source>,
    /// The source that is being asked.
    current: AtomicUsize,
    profile: String,
}

/// A source with its name for messages.
#[derive(Debug)]
struct Source {
    name: String,
    provider: SharedCredentialsProvider,
}

/// Sends a second request if the first gets no response for a while, and takes the first credentials: a slow endpoint
/// has time to respond, and a lost response costs only a part of the time.
#[derive(Debug)]
struct Hedged<P>(P);

impl<P: ProvideCredentials> ProvideCredentials for Hedged<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let mut first = self.0.provide_credentials();
            if let Ok(result) = timeout(HEDGE_AFTER, &mut first).await {
                return result;
            }
            let second = self.0.provide_credentials();
            select_ok([first, second]).await.map(|(credentials, _)| credentials)
        })
    }
}

impl Sources {
    /// Creates the sources. Asks none of them.
    pub(super) fn new(
        shared: &SdkConfig,
        profiles: &Profiles,
        client: &Client,
        imds: aws_config::imds::Client,
    ) -> Self {
        let config = provider_config(shared).with_http_client(client.clone());
        let container = provider_config(shared).with_http_client(client.with_read_timeout(CONTAINER_TIMEOUT));
        let container = || Hedged(EcsCredentialsProvider::builder().configure(&container).build());
        let instance = || ImdsCredentialsProvider::builder().configure(&config).imds_client(imds.clone()).build();
        let mut profile = ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_files(profiles.files.clone())
            .with_custom_provider("EcsContainer", container())
            .with_custom_provider("Ec2InstanceMetadata", instance());
        for (name, command) in &profiles.processes {
            profile = profile.with_custom_provider(name.clone(), CredentialProcess::new(command.clone()));
        }
        let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(&config).build();
        let sources = vec![
            Source::new("the environment", EnvironmentVariableCredentialsProvider::new()),
            Source::new(&profiles.describe(), profile.build()),
            Source::new(&describe_web_identity(), web_identity),
            Source::new(&describe_container(), container()),
            Source::new("the EC2 instance (IMDS)", instance()),
        ];
        Self { sources, current: AtomicUsize::new(0), profile: profiles.name().to_owned() }
    }

    async fn ask(&self) -> Result<Credentials, LoginError> {
        let mut last = String::new();
        for (at, source) in self.sources.iter().enumerate() {
            self.current.store(at, Ordering::Relaxed);
            match source.provider.provide_credentials().await {
                Ok(credentials) => {
                    tracing::debug!(from = source.name, "AWS credentials");
                    return Ok(credentials);
                }
                Err(error @ CredentialsError::CredentialsNotLoaded(_)) if !is_broken_profile(&error) => {
                    last = errors::chain(&error);
                    tracing::debug!(from = source.name, reason = last, "no AWS credentials");
                }
                Err(
                    error @ (CredentialsError::InvalidConfiguration(_) | CredentialsError::CredentialsNotLoaded(_)),
                ) => {
                    return Err(LoginError::Invalid(format!("{}: {}", source.name, errors::chain(&error))));
                }
                Err(error) => {
                    return Err(LoginError::Unavailable(format!("{}: {}", source.name, errors::chain(&error))));
                }
            }
        }
        Err(LoginError::NoCredentials(format!(
            "the environment, the profile {:?}, a web identity, the container, or the EC2 instance: \
             give the task a task role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID{}",
            self.profile,
            imds::hint(&last)
        )))
    }
}

impl Login for Sources {
    fn fetch(self: Arc<Self>) -> Fetching {
        Box::pin(async move { self.ask().await })
    }

    fn waiting_for(&self) -> String {
        let current = self.sources.get(self.current.load(Ordering::Relaxed));
        current.map(|source| source.name.clone()).unwrap_or_default()
    }

    fn too_slow(&self, message: String) -> LoginError {
        LoginError::Unavailable(message)
    }
}

impl Source {
    fn new(name: &str, provider: impl ProvideCredentials + 'static) -> Self {
        Self { name: name.to_owned(), provider: SharedCredentialsProvider::new(provider) }
    }
}

/// Returns whether the profile refers to what is not there, such as a source profile, for which the SDK goes on to the
/// next source (aws-config 1.13, `ProfileFileError::MissingProfile`).
fn is_broken_profile(error: &CredentialsError) -> bool {
    error.source().is_some_and(|source| source.to_string().contains("was not defined"))
}

/// Without time limits except that for connecting: a login as a whole has one.
fn provider_config(shared: &SdkConfig) -> ProviderConfig {
    let config = ProviderConfig::without_region()
        .with_region(shared.region().cloned())
        .with_use_fips(shared.use_fips())
        .with_use_dual_stack(shared.use_dual_stack());
    match shared.retry_config() {
        Some(retries) => config.with_retry_config(retries.clone()),
        None => config,
    }
}

fn describe_web_identity() -> String {
    let name = |name: &str| variable(name).unwrap_or_default();
    let (role, file) = (name("AWS_ROLE_ARN"), name("AWS_WEB_IDENTITY_TOKEN_FILE"));
    format!("a web identity (STS AssumeRoleWithWebIdentity of {role}, token file {file})")
}

fn describe_container() -> String {
    let variables = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    let set = variables.into_iter().find(|name| variable(name).is_some());
    format!("the container credentials endpoint ({})", set.unwrap_or("not configured"))
}
