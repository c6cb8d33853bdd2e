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
        // As on a machine whose wall clock is ahead.
        for _ in 0..20 {
            assert!(login.within(CALL_LIMIT).await.is_ok());
        }
        assert_eq!(fetched.load(Ordering::Relaxed), fetches);
        tokio::time::sleep(2 * SHARED).await;
    }
}

/// As on a machine whose wall clock is behind.
#[tokio::test(start_paused = true)]
async fn credentials_that_aws_calls_expired_are_fetched_again() {
    let (login, fetched) = valid(Some(Duration::from_secs(86_400)), 2, false);
    for fetches in 1..=3 {
        for _ in 0..20 {
            assert!(login.within(CALL_LIMIT).await.is_ok());
            login.expired();
        }
        assert_eq!(fetched.load(Ordering::Relaxed), fetches, "calls made with the earlier ones fail later");
        tokio::time::sleep(2 * SHARED).await;
        login.expired();
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
