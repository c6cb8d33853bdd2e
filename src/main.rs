//! `ecs-discovery`: arguments, logging, runtime, signals, exit code.

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use ecs_discovery::cli::{self, ExplainFormat, Parsed};
use ecs_discovery::config::{Config, ListenAddress};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// How long a write that is under way may take when the program is told to stop.
const LAST_WRITE: Duration = Duration::from_millis(700);

#[allow(clippy::print_stderr)] // what is wrong with the asking
fn main() -> ExitCode {
    let ended = match cli::parse(std::env::args_os().skip(1), |name| std::env::var_os(name)) {
        Ok(Parsed::Run(config)) => start(run(*config)),
        Ok(Parsed::Explain(config, format)) => start(explain(*config, format)),
        Ok(Parsed::HealthCheck(address)) => start(healthcheck(address)),
        Ok(Parsed::Print(text)) => print(&text).map(|()| ExitCode::SUCCESS),
        Err(error) => {
            eprint!("{error}");
            Ok(ExitCode::from(2))
        }
    };
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "ecs-discovery ends");
        ExitCode::FAILURE
    })
}

type Ended = Result<ExitCode, Box<dyn std::error::Error>>;

fn start(work: impl Future<Output = Ended>) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(work);
    Runtime::shutdown_timeout(runtime, LAST_WRITE);
    ended
}

async fn run(config: Config) -> Ended {
    ecs_discovery::telemetry::init(config.log);
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
    ecs_discovery::telemetry::init(config.log);
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = io::stdout().is_terminal() && !no_colour;
    let (text, complete) = ecs_discovery::explain_once(config, format, colour).await?;
    print(&text)?;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what was asked for. A reader who has seen enough, such as `head`, is no error.
fn print(text: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot print: {error}").into()),
        _ => Ok(()),
    }
}

#[allow(clippy::print_stderr)] // ECS shows what a failing health check says
async fn healthcheck(address: ListenAddress) -> Ended {
    match ecs_discovery::web::healthcheck(&address).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(why) => {
            eprintln!("{why}");
            Ok(ExitCode::FAILURE)
        }
    }
}
