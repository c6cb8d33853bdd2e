//! `ecs-discovery`: arguments, logging, runtime, signals, exit code.

use std::ffi::OsStr;
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use ecs_discovery::cli::{self, ExplainFormat, Parsed};
use ecs_discovery::config::{Config, ListenAddress};
use ecs_discovery::explain::{self, Colour};
use rustix::process::DumpableBehavior;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// How long a write in progress may take at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(700);

#[allow(clippy::print_stderr)] // usage errors
fn main() -> ExitCode {
    keep_memory_private();
    remove_empty_variables();
    let ended = match cli::parse(std::env::args_os().skip(1), |name| std::env::var_os(name)) {
        Ok(Parsed::Run(config)) => block_on(run(*config)),
        Ok(Parsed::Explain(config, format)) => block_on(explain(*config, format)),
        Ok(Parsed::HealthCheck(address)) => block_on(healthcheck(address)),
        Ok(Parsed::Print(text)) => print(&text).map(|()| ExitCode::SUCCESS),
        Err(error) => {
            eprint!("{error}");
            Ok(ExitCode::from(2))
        }
    };
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "fatal error");
        ExitCode::FAILURE
    })
}

/// Keeps credentials out of core dumps, and this process's memory and environment from others of the same user. Unlike a
/// limit of the size of core dumps, this also holds where they are piped to a program, and not for children.
fn keep_memory_private() {
    // Fails only if the argument is invalid.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Removes the environment variables that are empty: Compose files pass `${AWS_REGION:-}`, and the AWS CLI and the other
/// SDKs take that for unset, as do the children of this process then. This program's own variables keep their values.
#[allow(unsafe_code)]
fn remove_empty_variables() {
    let is_own = |name: &OsStr| name.as_encoded_bytes().starts_with(b"ECS_DISCOVERY_");
    for (name, _) in std::env::vars_os().filter(|(name, value)| value.is_empty() && !is_own(name)) {
        // SAFETY: `main` calls this before anything else, so that there is no other thread to read the environment.
        unsafe { std::env::remove_var(name) };
    }
}

type Ended = Result<ExitCode, Box<dyn std::error::Error>>;

fn block_on(work: impl Future<Output = Ended>) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(work);
    Runtime::shutdown_timeout(runtime, SHUTDOWN_TIMEOUT);
    ended
}

async fn run(config: Config) -> Ended {
    ecs_discovery::init_logs(config.log);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    ecs_discovery::run(config, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

async fn explain(config: Config, format: ExplainFormat) -> Ended {
    ecs_discovery::init_logs(config.log);
    let explanation = ecs_discovery::explain_once(config).await?;
    print(&match format {
        ExplainFormat::Text => explain::text(&explanation, colour()),
        ExplainFormat::Json => explain::json(&explanation),
    })?;
    Ok(if explanation.complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn colour() -> Colour {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !no_colour { Colour::Always } else { Colour::Never }
}

/// Prints to stdout. A reader that closes it early, such as `head`, is not an error.
fn print(text: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot print: {error}").into()),
        _ => Ok(()),
    }
}

#[allow(clippy::print_stderr)] // ECS shows the output of a failing health check
async fn healthcheck(address: ListenAddress) -> Ended {
    match ecs_discovery::web::healthcheck(&address).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(reason) => {
            eprintln!("{reason}");
            Ok(ExitCode::FAILURE)
        }
    }
}
