//! Connects to an HTTP client of a test's own in place of AWS: everything above it is the real thing.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::HttpClient;

use super::login::{Background, Fetching};
use super::role::AssumedRole;
use super::{Clients, Login, account, connect_queue, load, login, profile, with_login};
use crate::aws::StartError;
use crate::aws::api::errors::LoginError;
use crate::aws::api::sqs::Sqs;
use crate::config::Queue;
use crate::inventory::{Identity, Observer, RoleArn, Scope, Shared};

/// Clients whose calls an HTTP client of a test's own responds to. Reads no profiles.
pub struct Offline {
    shared: SdkConfig,
    login: Login,
}

impl Offline {
    /// Creates the clients, which sign their calls with made-up credentials.
    pub async fn new(http: impl HttpClient + 'static) -> Result<Self, StartError> {
        let shared = load(profile::no_files(), http, "eu-west-1".into()).await?;
        Ok(Self { shared, login: Login::new(Background::new(MadeUp)) })
    }

    /// Returns a queue.
    pub fn queue(&self, queue: &Queue, observer: Arc<dyn Observer>) -> Sqs {
        connect_queue(queue, &self.config(), observer)
    }

    /// Asks STS for the account of the credentials.
    pub async fn own_account(&self) -> Option<Shared> {
        account::own(&self.config()).await
    }

    /// Assumes a role, and fails with what would be reported.
    pub async fn assume(&self, role: &RoleArn) -> Result<(), String> {
        let role = AssumedRole::new(role, None, &self.shared, self.login.background.clone()).await;
        let assumed = login::Login::fetch(Arc::new(role)).await;
        assumed.map(drop).map_err(|error| error.to_string())
    }

    /// Returns the clients for a scope, and their credentials.
    pub(in crate::aws) fn connect(&self, scope: &Scope) -> (Clients, Login) {
        (Clients::new(&self.config(), &Identity::Own, scope), self.login.clone())
    }

    fn config(&self) -> SdkConfig {
        with_login(&self.shared, &self.login)
    }
}

/// Made-up credentials.
#[derive(Debug)]
struct MadeUp;

impl login::Login for MadeUp {
    fn fetch(self: Arc<Self>) -> Fetching {
        Box::pin(async { Ok(Credentials::new("key", "secret", None, None, "test")) })
    }

    fn waiting_for(&self) -> String {
        "a test".into()
    }

    fn too_slow(&self, message: String) -> LoginError {
        LoginError::Unavailable(message)
    }
}
