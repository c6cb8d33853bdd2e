//! `ecs-discovery`: arguments, logging, runtime, signals, exit code.

use std::process::ExitCode;
use std::time::Duration;

use ecs_discovery::cli::{self, Parsed};
use ecs_discovery::config::Config;
use tokio::signal::unix::{SignalKind, signal};

/// How long a write that is under way may take when the program is told to stop.
const LAST_WRITE: Duration = Duration::from_millis(700);

#[allow(clippy::print_stdout, clippy::print_stderr)] // what was asked for, and what is wrong with the asking
fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Run(config)) => run(*config),
        Ok(Parsed::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(config: Config) -> ExitCode {
    ecs_discovery::telemetry::init(config.log);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let ended = runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        Ok::<_, std::io::Error>(ecs_discovery::run(config, shutdown).await)
    });
    runtime.shutdown_timeout(LAST_WRITE);
    match ended {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!(%error, "ecs-discovery ends");
    ExitCode::FAILURE
}
