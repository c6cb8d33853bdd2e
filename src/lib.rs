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
//! * [`telemetry`]: watches from outside.

pub mod aws;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod file_sd;
pub mod inventory;
pub mod last_good;
pub mod output;
pub mod targets;
pub mod telemetry;
pub mod writer;

use std::future::Future;

use config::Config;

/// Why the program ended though nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There was nothing to start with.
    #[error(transparent)]
    Start(#[from] aws::StartError),
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
    let output = output::Output::open(&config.output);
    let rules = config.rules.clone();
    let needs_instance = Box::new(move |task: &_, definition: &_| targets::needs_instance(task, definition, &rules));
    let source = aws::Aws::connect(&config.aws, needs_instance).await?;
    let mut daemon = daemon::Daemon::new(source, config.rules, output);
    Ok(daemon.run(config.refresh).await?)
}
