//! Gets credentials in the background: slowly if need be, once for concurrent calls, and within a time limit.
//!
//! The SDK gets credentials within an attempt of a call. A source slower than the attempt's time limit would be asked
//! again and again without success, and the calls would fail without its name.
//!
//! The credentials are also cached here until they expire. The SDK has a cache of its own, but it serves only calls, neither
//! those who wait for the first credentials nor those who assume a role with them, and not more than 64 identities.

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

/// How long calls share a failure, or credentials that do not expire: all those that have waited for it, one after the other.
const SHARED: Duration = Duration::from_secs(1);

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
                Some(expiry) => expiry <= SystemTime::now() + MARGIN,
                None => self.used && at.elapsed() > SHARED,
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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Takes this long, and gives credentials or an error.
    #[derive(Debug)]
    struct Slow {
        takes: Duration,
        fails: bool,
        /// For how long the credentials are valid.
        valid: Option<Duration>,
        fetched: Arc<AtomicUsize>,
    }

    impl Login for Slow {
        fn fetch(self: Arc<Self>) -> Fetching {
            Box::pin(async move {
                self.fetched.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(self.takes).await;
                let expiry = self.valid.map(|valid| SystemTime::now() + valid);
                let credentials = Credentials::new("key", "secret", None, expiry, "test");
                if self.fails { Err(LoginError::Unavailable("refused".into())) } else { Ok(credentials) }
            })
        }

        fn waiting_for(&self) -> String {
            "a test".into()
        }

        fn too_slow(&self, message: String) -> LoginError {
            LoginError::Unavailable(message)
        }
    }

    fn slow(seconds: u64, fails: bool) -> (Background, Arc<AtomicUsize>) {
        valid(None, seconds, fails)
    }

    fn valid(valid: Option<Duration>, seconds: u64, fails: bool) -> (Background, Arc<AtomicUsize>) {
        let fetched = Arc::new(AtomicUsize::new(0));
        let takes = Duration::from_secs(seconds);
        (Background::new(Slow { takes, fails, valid, fetched: fetched.clone() }), fetched)
    }

    fn error(result: Result<Credentials, LoginError>) -> String {
        result.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_calls_share_a_fetch() {
        let (login, fetched) = slow(2, false);
        let (a, b) = tokio::join!(login.within(CALL_LIMIT), login.within(CALL_LIMIT));
        assert!(a.is_ok() && b.is_ok());
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn result_is_kept_for_a_later_call() {
        let (login, fetched) = slow(20, false);
        let waiting = "no response from a test for 4 s, still waiting";
        assert_eq!(error(login.within(CALL_LIMIT).await), waiting);
        assert_eq!(error(login.within(CALL_LIMIT).await), waiting, "without waiting again");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(login.within(CALL_LIMIT).await.is_ok());
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn result_of_the_start_is_used_by_the_first_call() {
        let (login, fetched) = slow(20, false);
        assert!(login.at_start().await.is_ok() && login.within(CALL_LIMIT).await.is_ok());
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
    }

    /// Scopes that are refreshed later wait for their first credentials, too, and other roles are assumed with them.
    #[tokio::test(start_paused = true)]
    async fn credentials_are_fetched_once_until_they_expire() {
        let (login, fetched) = valid(Some(Duration::from_secs(3600)), 2, false);
        for _ in 0..3 {
            assert!(login.at_start().await.is_ok() && login.within(CALL_LIMIT).await.is_ok());
            assert!(login.within(LIMIT).await.is_ok());
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_expire_soon_are_fetched_again() {
        let (login, fetched) = valid(Some(MARGIN), 2, false);
        for fetches in 1..=3 {
            assert!(login.within(CALL_LIMIT).await.is_ok());
            assert_eq!(fetched.load(Ordering::Relaxed), fetches);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_the_first_credentials_once_they_are_in_use() {
        let (login, fetched) = slow(2, false);
        login.wait_for_first().await;
        assert!(login.within(CALL_LIMIT).await.is_ok());
        tokio::time::sleep(Duration::from_secs(60)).await;
        login.wait_for_first().await;
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
    }

    /// They may be those of a file, which can change.
    #[tokio::test(start_paused = true)]
    async fn credentials_that_do_not_expire_are_fetched_again_when_the_sdk_asks() {
        let (login, fetched) = slow(2, false);
        for fetches in 1..=3 {
            assert!(login.within(CALL_LIMIT).await.is_ok() && login.within(CALL_LIMIT).await.is_ok());
            assert_eq!(fetched.load(Ordering::Relaxed), fetches);
            tokio::time::sleep(Duration::from_secs(15 * 60)).await;
        }
    }

    /// The SDK lets calls that have waited for credentials ask for them again, one after the other.
    #[tokio::test(start_paused = true)]
    async fn calls_that_waited_share_a_failure() {
        let (login, fetched) = slow(2, true);
        for _ in 0..20 {
            assert_eq!(error(login.within(CALL_LIMIT).await), "refused");
        }
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
        tokio::time::sleep(2 * SHARED).await;
        assert_eq!(error(login.within(CALL_LIMIT).await), "refused");
        assert_eq!(fetched.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn fetch_has_a_time_limit() {
        let (login, _) = slow(40, false);
        assert_eq!(error(login.at_start().await), "no response from a test within 30 s");
    }

    #[tokio::test(start_paused = true)]
    async fn failure_that_no_call_waited_for_is_told_with_the_next() {
        let (login, fetched) = slow(8, true);
        assert!(error(login.within(CALL_LIMIT).await).ends_with("still waiting"));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(error(login.within(CALL_LIMIT).await).ends_with("still waiting (before: refused)"));
        assert_eq!(fetched.load(Ordering::Relaxed), 2);
    }
}
