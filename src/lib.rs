//! Finds the containers on Amazon ECS that export metrics, and keeps a Prometheus `file_sd` file of them.
//!
//! ```text
//! argv ──cli──▶ Config                                    pure
//! AWS ──aws──▶ Snapshot ──targets──▶ groups + skipped     I/O, then pure
//! groups + last good ──last_good──▶ groups                pure
//! groups ──file_sd──▶ bytes ──writer──▶ file              pure, then I/O
//! ```
//!
//! * [`cli`]: the original's flags in Go's grammar, to a typed [`config`].
//! * [`aws`]: asks AWS; the only place that names its SDK.
//! * [`inventory`]: what AWS said, in our own lean types.
//! * [`targets`]: which container, which address, which labels; else why not.
//! * [`last_good`]: which earlier targets stand in for what could not be learned.
//! * [`file_sd`]: target groups as YAML or JSON, and back.
//! * [`output`] and [`writer`]: where they go, and the atomic replacement of a file.
//! * [`daemon`]: when to do all this, and what to do when a part of it fails.
//! * [`panics`]: what becomes of the program when a part of it panics.
//! * [`telemetry`]: watches from outside: logs and metrics.
//! * [`explain`]: why each container is or is not a target, for people and machines.
//! * [`web`]: metrics, health, HTTP service discovery and a page, where asked to; on [`http`].

pub mod aws;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod explain;
pub mod file_sd;
pub mod http;
pub mod inventory;
pub mod last_good;
pub mod output;
pub mod panics;
pub mod targets;
pub mod telemetry;
pub mod web;
pub mod writer;

use std::future::Future;
use std::io;
use std::sync::Arc;

use cli::ExplainFormat;
use config::{Config, RefreshConfig, WebConfig};
use daemon::Daemon;
use telemetry::Telemetry;
use tokio::net::TcpListener;

/// A refresh that has not begun after so many intervals never will.
const INTERVALS_WITHOUT_A_REFRESH: u32 = 3;

/// Why the program ended though nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There was nothing to start with.
    #[error(transparent)]
    Start(#[from] aws::StartError),
    /// The address for the web endpoints cannot be had.
    #[error("cannot listen at port {port} (-web.listen-address): {source}")]
    Listen {
        /// The port.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// It was to end after some refreshes, and the last one failed.
    #[error(transparent)]
    LastRefreshFailed(#[from] daemon::LastRefreshFailed),
}

/// Runs discovery until its refreshes are done or `shutdown` is, whichever comes first. A shutdown is a
/// success, also in the middle of a refresh.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    tokio::select! {
        biased;
        () = shutdown => {
            tracing::info!("told to stop");
            Ok(())
        }
        ended = discover(config) => ended,
    }
}

async fn discover(config: Config) -> Result<(), Error> {
    let telemetry = Arc::new(Telemetry::new(config.web.is_some()));
    let panics = panics::so_far();
    if panics > 0 {
        telemetry.panicked(panics);
    }
    let web = match &config.web {
        Some(web) => Some((listen(web).await?, app(web, &config, &telemetry))),
        None => None,
    };
    let output = output::Output::open(&config.output);
    let mut daemon = start(&config, output, telemetry).await?;
    let refreshes = async {
        survive_panics(panics, config.refresh).await;
        daemon.run(config.refresh).await
    };
    match web {
        // The endpoints live and die with the loop.
        Some((listener, app)) => tokio::select! {
            ended = refreshes => Ok(ended?),
            () = web::serve(listener, app) => Ok(()),
        },
        None => Ok(refreshes.await?),
    }
}

/// From now on a panic starts the program over; a limited run rather ends. Waits where it has been started over: the same
/// refresh may panic again, and AWS is asked no more often for that.
async fn survive_panics(panics: u64, when: RefreshConfig) {
    if when.limit.is_none() {
        panics::start_over_from_now_on();
    }
    if panics > 0 {
        let message = "started over after a panic, a defect in this program: please report it";
        tracing::warn!(panics, next_refresh_in = ?when.interval, message);
        tokio::time::sleep(when.interval).await;
    }
}

/// Refreshes once, writes nothing, and says why each container is or is not a target; and whether every
/// cluster could be read.
pub async fn explain_once(mut config: Config, format: ExplainFormat, colour: bool) -> Result<(String, bool), Error> {
    config.aws.cache = None;
    let mut daemon = start(&config, output::Output::Nowhere, Arc::new(Telemetry::new(false))).await?;
    let refresh = daemon.refresh_once().await;
    let explanation = explain::explain(&refresh);
    let text = match format {
        ExplainFormat::Text => explain::text(&explanation, colour),
        ExplainFormat::Json => explain::json(&explanation),
    };
    Ok((text, explanation.complete))
}

async fn start(
    config: &Config,
    output: output::Output,
    telemetry: Arc<Telemetry>,
) -> Result<Daemon<aws::Aws>, aws::StartError> {
    let rules = config.rules.clone();
    let needs_instance = Box::new(move |task: &_, definition: &_| targets::needs_instance(task, definition, &rules));
    let source = aws::Aws::connect(&config.aws, needs_instance, telemetry.clone()).await?;
    Ok(Daemon::new(source, config.rules.clone(), output, telemetry))
}

async fn listen(web: &WebConfig) -> Result<TcpListener, Error> {
    let bound = web::bind(&web.listen).await;
    let listener = bound.map_err(|source| Error::Listen { port: web.listen.port, source })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening");
    }
    Ok(listener)
}

fn app(web: &WebConfig, config: &Config, telemetry: &Arc<Telemetry>) -> Arc<web::App> {
    Arc::new(web::App {
        telemetry: telemetry.clone(),
        telemetry_path: web.telemetry_path.clone(),
        patience: config.refresh.interval.saturating_mul(INTERVALS_WITHOUT_A_REFRESH) + aws::OPERATION_TIMEOUT,
        flags: web.flags.clone(),
    })
}
