//! Gets credentials in the background: slowly if need be, once for concurrent calls, and within a time limit.
//!
//! The SDK gets credentials within an attempt of a call. A source slower than the attempt's time limit would be asked
//! again and again without success, and the calls would fail without its name.
//!
//! The credentials are cached here until they expire, and not by the SDK: its cache serves neither those who wait for the
//! first credentials nor those who assume a role with them, nor more than 64 identities, and it trusts the wall clock alone.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::aws::api::errors::LoginError;

/// How long it may take to get credentials.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a call waits for credentials. Shorter than an attempt of the call, so that it fails with what it waited for.
const CALL_LIMIT: Duration = Duration::from_secs(4);

/// The interval of messages at the start.
const MESSAGE_INTERVAL: Duration = Duration::from_secs(5);

/// How long before they expire credentials are no longer used, as in the SDK. A failure that no call waited for is told this
/// long.
const MARGIN: Duration = Duration::from_secs(10);

/// How long calls share a failure at least, or credentials that seem to have expired: all those that have waited for them,
/// one after the other.
const SHARED: Duration = Duration::from_secs(1);

/// How long credentials that do not expire are used, as in the SDK: they may be those of a file, which can change.
const RELOAD: Duration = Duration::from_secs(15 * 60);

pub(super) type Fetching = Pin<Box<dyn Future<Output = Result<Credentials, LoginError>> + Send>>;

/// A way to get credentials.
pub(super) trait Login: fmt::Debug + Send + Sync {
    /// Gets credentials.
    fn fetch(self: Arc<Self>) -> Fetching;

    /// Describes what is being waited for.
    fn waiting_for(&self) -> String;

    /// Returns the error for when this takes too long.
    fn too_slow(&self, message: String) -> LoginError;
}

/// Credentials that are fetched in the background.
#[derive(Clone, Debug)]
pub(super) struct Background(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    login: Arc<dyn Login>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last fetch, in progress or finished.
    fetch: Option<Fetch>,
    /// Whether a call has got any result.
    used: bool,
    last_error: Option<String>,
}

/// A result, and when it was there.
type Finished = (Result<Credentials, LoginError>, Instant);

#[derive(Clone, Debug)]
struct Fetch {
    started: Instant,
    finished: watch::Receiver<Option<Finished>>,
    /// Whether a call has got the result.
    used: bool,
}

impl Fetch {
    fn start(login: Arc<dyn Login>) -> Self {
        let (finish, finished) = watch::channel(None);
        // A task, because a call that gives up drops its own futures.
        tokio::spawn(async move {
            let result = match timeout(LIMIT, login.clone().fetch()).await {
                Ok(result) => result,
                Err(_) => {
                    let message = format!("no response from {} within {} s", login.waiting_for(), LIMIT.as_secs());
                    Err(login.too_slow(message))
                }
            };
            finish.send_replace(Some((result, Instant::now())));
        });
        Self { started: Instant::now(), finished, used: false }
    }

    async fn result(&self) -> Result<Credentials, LoginError> {
        let mut finished = self.finished.clone();
        // The sender is gone without a result only after a panic.
        let panicked = || Err(LoginError::Unavailable("getting credentials panicked".into()));
        let finished = finished.wait_for(Option::is_some).await.ok();
        finished.and_then(|finished| Some(finished.as_ref()?.0.clone())).unwrap_or_else(panicked)
    }

    fn is_in_progress(&self) -> bool {
        self.finished.borrow().is_none() && self.finished.has_changed().is_ok()
    }

    /// Returns whether its result is of no use any more.
    fn is_stale(&self) -> bool {
        let is_over = self.finished.has_changed().is_err();
        match &*self.finished.borrow() {
            // Over without a result, after a panic.
            None => is_over,
            Some((Err(_), at)) => at.elapsed() > if self.used { SHARED } else { MARGIN },
            Some((Ok(credentials), at)) => match credentials.expiry() {
                // Where the wall clock is ahead, they seem to have expired when they come.
                Some(expiry) => expiry <= SystemTime::now() + MARGIN && at.elapsed() > SHARED,
                None => self.used && at.elapsed() >= RELOAD,
            },
        }
    }
}

impl Background {
    pub(super) fn new(login: impl Login + 'static) -> Self {
        Self(Arc::new(Inner { login: Arc::new(login), state: Mutex::default() }))
    }

    /// Starts the first fetch.
    pub(super) fn start(&self) {
        self.fetch();
    }

    /// Waits until the first fetch has finished. Its result is for calls, too.
    pub(super) async fn at_start(&self) -> Result<Credentials, LoginError> {
        let fetch = self.fetch();
        loop {
            match timeout(MESSAGE_INTERVAL, fetch.result()).await {
                Ok(result) => return result,
                Err(_) => tracing::info!(from = self.waiting_for(), "waiting for AWS credentials"),
            }
        }
    }

    /// Does the same, unless calls have got a result already.
    pub(super) async fn wait_for_first(&self) {
        let used = self.state().used;
        if !used {
            let _ = self.at_start().await;
        }
    }

    /// Returns credentials if they come within this time after the start of the fetch, which goes on otherwise.
    async fn within(&self, limit: Duration) -> Result<Credentials, LoginError> {
        let fetch = self.fetch();
        let left = limit.saturating_sub(fetch.started.elapsed());
        match timeout(left, fetch.result()).await {
            Ok(result) => {
                self.finish(&fetch, result.as_ref().err());
                result
            }
            Err(_) => Err(self.still_waiting(&fetch)),
        }
    }

    /// Drops the credentials because AWS says that they have expired, even if the wall clock is behind and does not. Those
    /// that have just come are kept: calls that failed were made with earlier ones.
    pub(super) fn expired(&self) {
        let is_older = |fetch: &mut Fetch| match &*fetch.finished.borrow() {
            Some((Ok(_), at)) => at.elapsed() > SHARED,
            _ => false,
        };
        self.state().fetch.take_if(is_older);
    }

    /// Returns whether a fetch is in progress.
    pub(super) fn is_waiting(&self) -> bool {
        self.state().fetch.as_ref().is_some_and(Fetch::is_in_progress)
    }

    /// Describes what is being waited for.
    pub(super) fn waiting_for(&self) -> String {
        self.0.login.waiting_for()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self) -> Fetch {
        let mut state = self.state();
        if let Some(fetch) = state.fetch.take_if(|fetch| fetch.is_stale())
            && let Some((Err(error), _)) = &*fetch.finished.borrow()
        {
            state.last_error = Some(error.to_string());
        }
        state.fetch.get_or_insert_with(|| Fetch::start(self.0.login.clone())).clone()
    }

    fn finish(&self, fetch: &Fetch, error: Option<&LoginError>) {
        let mut state = self.state();
        if let Some(current) = state.fetch.as_mut().filter(|current| current.started == fetch.started) {
            current.used = true;
        }
        state.used = true;
        state.last_error = error.map(ToString::to_string);
    }

    fn still_waiting(&self, fetch: &Fetch) -> LoginError {
        let waited = fetch.started.elapsed().as_secs();
        let mut message = format!("no response from {} for {waited} s, still waiting", self.waiting_for());
        if let Some(error) = &self.state().last_error {
            message.extend([" (before: ", error, ")"]);
        }
        self.0.login.too_slow(message)
    }
}

impl ProvideCredentials for Background {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.within(CALL_LIMIT).await.map_err(CredentialsError::provider_error)
        })
    }
}

/// The same credentials for what runs in the background itself.
#[derive(Debug)]
pub(super) struct Patient(pub(super) Background);

impl ProvideCredentials for Patient {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.0.within(LIMIT).await.map_err(CredentialsError::provider_error) })
    }
}

#[cfg(test)]
mod tests;
