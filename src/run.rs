//! Builds the parts of the program, starts them, and restarts them after a panic.

use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::aws::{self, Aws, Sqs, StartError};
use crate::config::{Config, LogConfig, WebConfig};
use crate::daemon::{Daemon, LastRefreshFailed};
use crate::events::EventQueue;
use crate::explain::{Explanation, explain};
use crate::file_sd::TargetGroup;
use crate::inventory::{Attempt, Cached, Observer, Scope, Source};
use crate::output::{Earlier, Output};
use crate::publish::Publisher;
use crate::refresh::Refresher;
use crate::status::SharedStatus;
use crate::targets::{has_target, needs_instance};
use crate::telemetry::{self, Telemetry};
use crate::web;

/// The loop counts as stalled if no refresh starts for this many intervals.
const STALLED_AFTER_INTERVALS: u32 = 3;

/// The longest pause before discovery is restarted after a panic.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Starts logging, for the rest of the process.
pub fn init_logs(config: LogConfig) {
    telemetry::init(config, aws::TARGET_WITH_SECRETS);
}

/// Why the program ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The AWS configuration is unusable.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address of the web endpoints is not available.
    #[error("cannot listen on port {port} (-web.listen-address): {source}")]
    Listen {
        /// The port.
        port: u16,
        /// The cause.
        source: io::Error,
    },
    /// The last refresh of a limited run failed.
    #[error(transparent)]
    LastRefreshFailed(#[from] LastRefreshFailed),
    /// A refresh of a limited run panicked.
    #[error("a refresh panicked: this is a defect, please report it")]
    Panicked,
}

/// Runs discovery until its refreshes are done or `shutdown` completes, whichever comes first. A shutdown is a
/// success, even in the middle of a refresh.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    run_with(config, shutdown, connect).await
}

/// Does the same with other sources of snapshots and other queues. After a panic, `connect` is called again.
pub async fn run_with<S: Source, Q: EventQueue>(
    config: Config,
    shutdown: impl Future<Output = ()>,
    connect: impl AsyncFn(&Config, Arc<dyn Observer>) -> Result<(Vec<S>, Vec<Q>), StartError>,
) -> Result<(), Error> {
    tokio::select! {
        biased;
        () = shutdown => {
            tracing::info!("shutting down");
            Ok(())
        }
        ended = discover(config, connect) => ended,
    }
}

/// Refreshes once, writes nothing, and explains why each container is or is not a target.
pub async fn explain_once(mut config: Config) -> Result<Explanation, Error> {
    config.aws.cache = None;
    config.aws.events_queues.clear();
    config.refresh.limit = Some(NonZeroU64::MIN);
    let watchers = Watchers::default();
    let (sources, _) = connect(&config, Arc::new(watchers.clone())).await?;
    let daemon = daemon(sources, &config, (Output::Nowhere, Earlier::Nothing), &watchers);
    // A failed refresh is explained.
    let _ = daemon.run(config.refresh).await;
    Ok(watchers.status.get().publication.as_deref().map(explain).unwrap_or_default())
}

/// Connects to AWS: returns a source for each scope, and the queues of events.
pub async fn connect(config: &Config, observer: Arc<dyn Observer>) -> Result<(Vec<Aws>, Vec<Sqs>), StartError> {
    let (rules, same) = (config.rules.clone(), config.rules.clone());
    let needs_instance = Arc::new(move |task: &_, definition: &_| needs_instance(task, definition, &rules));
    let has_target = Arc::new(move |task: &_, definition: &_| has_target(task, definition, &same));
    Aws::connect(&config.aws, needs_instance, has_target, observer).await
}

/// What observes the loop and its calls.
#[derive(Clone, Default)]
struct Watchers {
    status: Arc<SharedStatus>,
    telemetry: Arc<Telemetry>,
}

impl Observer for Watchers {
    fn attempt(&self, attempt: &Attempt<'_>) {
        // A queue has a loop of its own, which says nothing of the refreshes.
        if !attempt.operation.is_of_queue() {
            self.status.progressed();
        }
        self.telemetry.attempt(attempt);
    }

    fn cached(&self, scope: &Scope, cache: Cached, entries: usize) {
        self.telemetry.cached(scope, cache, entries);
    }
}

async fn discover<S: Source, Q: EventQueue>(
    config: Config,
    connect: impl AsyncFn(&Config, Arc<dyn Observer>) -> Result<(Vec<S>, Vec<Q>), StartError>,
) -> Result<(), Error> {
    let watchers = Watchers::default();
    let refreshes = supervise(&config, &watchers, connect);
    let Some(web) = &config.web else { return refreshes.await };
    let listener = listen(web).await?;
    // The endpoints respond from now on, also while credentials are being fetched.
    let server = web::serve(listener, app(web, &config, &watchers));
    let _server = server.map_err(|source| Error::Listen { port: web.listen.port, source })?;
    refreshes.await
}

/// Runs the loop, and after a panic starts it again with state built anew: the panic may have left the old state
/// inconsistent. Targets are restored from the output, other state from the cache file. Meanwhile the web endpoints
/// go on responding. A limited run ends instead.
async fn supervise<S: Source, Q: EventQueue>(
    config: &Config,
    watchers: &Watchers,
    connect: impl AsyncFn(&Config, Arc<dyn Observer>) -> Result<(Vec<S>, Vec<Q>), StartError>,
) -> Result<(), Error> {
    let mut panicked = false;
    let interval = config.refresh.interval.longest().min(LONGEST_RETRY);
    loop {
        let status = &watchers.status;
        let attempt = async {
            // First, so that the endpoints serve the targets of an earlier run while credentials are being fetched.
            let output = open_output(config, status).await;
            let (sources, queues) = connect(config, Arc::new(watchers.clone())).await?;
            Ok(daemon(sources, config, output, watchers).run_with(config.refresh, queues).await?)
        };
        match AssertUnwindSafe(attempt).catch_unwind().await {
            // What ends the first start passes by itself later: credentials may be unavailable right now.
            Ok(Err(Error::Start(error))) if panicked => {
                tracing::warn!(%error, retry_in = ?interval, "cannot restart discovery after a panic");
            }
            Ok(ended) => return ended,
            Err(_) if config.refresh.limit.is_some() => return Err(Error::Panicked),
            Err(_) => {
                panicked = true;
                status.panicked();
                watchers.telemetry.panicked();
                tracing::error!(
                    retry_in = ?interval,
                    "a refresh panicked: this is a defect, please report it"
                );
            }
        }
        // The same refresh may panic again: AWS is asked no more often because of that.
        sleep(interval).await;
    }
}

/// Builds the loops. Each scope starts with its targets of an earlier run; targets that no scope covers are dropped.
fn daemon<S: Source>(
    sources: Vec<S>,
    config: &Config,
    (output, earlier): (Output, Earlier),
    watchers: &Watchers,
) -> Daemon<S> {
    let restored = by_scope(&earlier, &sources);
    let publisher = Publisher::new(output, &earlier, restored.clone());
    let refreshers = sources.into_iter().zip(restored);
    let refreshers = refreshers
        .map(|(source, restored)| Refresher::new(source, config.rules.clone(), restored, config.max_stale))
        .collect();
    Daemon::new(refreshers, publisher, watchers.status.clone(), watchers.telemetry.clone())
}

/// Returns the targets of an earlier run that each source covers.
fn by_scope<S: Source>(earlier: &Earlier, sources: &[S]) -> Vec<Arc<Vec<TargetGroup>>> {
    let Earlier::Groups(groups) = earlier else { return vec![Arc::default(); sources.len()] };
    let mut restored = vec![Vec::new(); sources.len()];
    for group in groups.iter() {
        let arn = group.labels.get("cluster_arn").unwrap_or_default();
        // A scope of which only the credentials are known may be of any account, but not of one that another scope has.
        let covering = [true, false].into_iter().find_map(|known| {
            sources.iter().position(|source| source.scope().account.is_some() == known && source.covers(arn))
        });
        if let Some(restored) = covering.and_then(|scope| restored.get_mut(scope)) {
            restored.push(group.clone());
        }
    }
    restored.into_iter().map(Arc::new).collect()
}

/// Opens the output, and returns the targets that it has. An output that cannot be read back continues with the
/// targets that were last published, if any.
async fn open_output(config: &Config, status: &SharedStatus) -> (Output, Earlier) {
    let (output, earlier) = Output::open_and_read(&config.output).await;
    let earlier = match earlier {
        Earlier::Nothing => status.get().targets.map_or(Earlier::Nothing, Earlier::Groups),
        earlier => earlier,
    };
    match &earlier {
        Earlier::Nothing => {}
        Earlier::Groups(groups) => status.restored(groups),
        Earlier::Unreadable(reason) => {
            tracing::warn!(reason, "the existing file is unreadable: only a refresh without failures will replace it");
        }
    }
    (output, earlier)
}

async fn listen(web: &WebConfig) -> Result<TcpListener, Error> {
    let bound = web::bind(&web.listen).await;
    let listener = bound.map_err(|source| Error::Listen { port: web.listen.port, source })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening");
    }
    Ok(listener)
}

fn app(web: &WebConfig, config: &Config, watchers: &Watchers) -> Arc<web::App> {
    Arc::new(web::App {
        status: watchers.status.clone(),
        telemetry: watchers.telemetry.clone(),
        telemetry_path: web.telemetry_path.clone(),
        stalled_after: config.refresh.interval.longest().saturating_mul(STALLED_AFTER_INTERVALS)
            + aws::OPERATION_TIMEOUT,
        flags: web.flags.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;
    use crate::cli::{self, Parsed};
    use crate::events::{Message, QueueFailure};
    use crate::inventory::Operation;
    use crate::refresh::fixtures::{Script, Step, running};

    /// A queue whose calls never end.
    struct Hanging(Scope);

    impl EventQueue for Hanging {
        fn url(&self) -> &str {
            "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks"
        }

        fn scope(&self) -> &Scope {
            &self.0
        }

        async fn receive(&mut self) -> Result<Vec<Message>, QueueFailure> {
            pending().await
        }

        async fn delete(&mut self, _: Vec<String>) -> Result<(), QueueFailure> {
            pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_does_not_wait_for_a_queue() {
        let directory = tempfile::tempdir().unwrap();
        let flag = format!("-config.write-to={}", directory.path().join("ecs.yml").display());
        let Ok(Parsed::Run(config)) = cli::parse([flag.into()], |_| None) else { panic!("valid flags") };
        let connect = async |_: &Config, _| {
            let scope = Scope { region: "eu-west-1".into(), account: None };
            Ok((vec![Script::of([Step::Learns(running(&["a"]))])], vec![Hanging(scope)]))
        };
        let (start, after) = (Instant::now(), Duration::from_secs(90));
        assert!(run_with(*config, sleep(after), connect).await.is_ok());
        assert_eq!(start.elapsed(), after);
    }

    /// Or else a queue that is polled would make a loop that stalls look healthy.
    #[test]
    fn calls_to_queues_are_no_progress_of_refreshes() {
        let watchers = Watchers::default();
        let scope = Scope { region: "eu-west-1".into(), account: None };
        let progress_after = |operation| {
            let before = watchers.status.get().last_progress;
            watchers.attempt(&Attempt { scope: &scope, operation, code: "ok", throttled: false, took: Duration::ZERO });
            watchers.status.get().last_progress > before
        };
        assert!(Operation::OF_REFRESHES.into_iter().all(progress_after));
        assert!(!Operation::OF_QUEUES.into_iter().any(progress_after));
    }
}
