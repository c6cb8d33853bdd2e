//! Logs on stderr, as logfmt or JSON.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Starts logging, for the rest of the process. Panics are logged too, each on a line.
pub fn init(config: LogConfig) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // The AWS SDK warns of what we report ourselves, and at DEBUG it floods.
    let others = if config.level == LogLevel::Debug { LevelFilter::WARN } else { LevelFilter::ERROR };
    let filter = Targets::new().with_default(others).with_target(env!("CARGO_CRATE_NAME"), level);
    let layer = match config.format {
        LogFormat::Logfmt => {
            let plain = tracing_logfmt::builder().with_target(false).with_span_name(false).with_span_path(false);
            plain.layer().with_writer(io::stderr).boxed()
        }
        LogFormat::Json => {
            let json = tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false);
            json.with_current_span(false).with_span_list(false).with_writer(io::stderr).boxed()
        }
    };
    // It fails only where a logger is set already, which is then as good.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("unknown");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(message = "panic", error = message, location);
    }));
}
