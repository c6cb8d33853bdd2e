//! Logs on stderr, as logfmt or JSON.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::lines::Lines;
use crate::config::{LogConfig, LogLevel};

/// Starts logging, for the rest of the process. Panics are logged too, on one line each. `has_secrets` is a target whose
/// events at TRACE must not be logged.
pub fn init(config: LogConfig, has_secrets: &str) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // The AWS SDK warns of failures that this program reports itself, and at DEBUG it is too verbose to read.
    let others = match config.level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    };
    let filter = Targets::new()
        .with_default(others)
        .with_target(has_secrets, others.min(LevelFilter::DEBUG))
        .with_target(env!("CARGO_CRATE_NAME"), level);
    let layer = tracing_subscriber::fmt::layer().event_format(Lines(config.format)).with_writer(io::stderr);
    // Fails only if a subscriber is set already, as in tests.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("unknown");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(message = "panic", error = message, location);
    }));
}
