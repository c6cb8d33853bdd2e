//! The command line: the original's flags, in the grammar in which they were always written.
//!
//! The foreign dialect is translated once ([`go`]) into one that clap parses by the one table of flags
//! ([`flags`]); what comes out is a [`Config`], in which nothing is left to interpret.

mod flags;
mod go;

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue};

pub use self::flags::{FLAGS, Flag, Value};
use self::go::Translated;
use crate::config::{
    AwsConfig, Clusters, Config, LabelFilter, LogConfig, LogFormat, LogLevel, Output, PortRule, RefreshConfig, Rules,
};
use crate::file_sd::Format;
use crate::inventory::ClusterRef;

/// What a command line asks for.
#[derive(Debug, PartialEq)]
pub enum Parsed {
    /// To run.
    Run(Box<Config>),
    /// To print this and end.
    Print(String),
}

/// A command line that cannot be used. Its text is one line that says why, and the usage.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("ecs-discovery: {0}\nUsage: ecs-discovery [-FLAG=VALUE]...; -help lists the flags\n")]
pub struct UsageError(String);

/// Reads a command line, without the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, UsageError> {
    let arguments: Vec<String> = arguments
        .into_iter()
        .map(|argument| argument.into_string().map_err(|raw| UsageError(format!("argument {raw:?} is not UTF-8"))))
        .collect::<Result<_, _>>()?;
    let flags = match go::translate(arguments, flags::kind).map_err(UsageError)? {
        Translated::Help => return Ok(Parsed::Print(flags::help())),
        Translated::Flags(flags) => flags,
    };
    let canonical = flags.iter().map(|(name, value)| format!("--{name}={value}"));
    let matches = flags::command().try_get_matches_from(canonical).map_err(|error| bad_value(&error))?;
    if switch(&matches, "version") {
        return Ok(Parsed::Print(format!("ecs-discovery {}\n", env!("CARGO_PKG_VERSION"))));
    }
    config(&matches).map(|config| Parsed::Run(Box::new(config))).map_err(UsageError)
}

/// Says it in the words of the flags' own grammar: the translation leaves only values to be wrong.
fn bad_value(error: &clap::Error) -> UsageError {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(words)) => format!("want one of {}", words.join(", ")),
        _ => String::new(),
    };
    let flag = text(ContextKind::InvalidArg);
    let flag = flag.split_whitespace().next().unwrap_or_default().trim_start_matches('-');
    let flag = flag.split('=').next().unwrap_or_default();
    let cause = std::error::Error::source(error).map_or_else(|| text(ContextKind::ValidValue), ToString::to_string);
    UsageError(format!("bad value {:?} for -{flag}: {cause}", text(ContextKind::InvalidValue)))
}

fn config(matches: &ArgMatches) -> Result<Config, String> {
    Ok(Config {
        aws: AwsConfig {
            clusters: clusters(text(matches, "config.cluster"))?,
            region: optional(matches, "config.region"),
            role_arn: optional(matches, "config.role-arn"),
        },
        rules: Rules {
            ports: port_rule(matches)?,
            server_name_label: text(matches, "config.server-name-label").into(),
            job_name_label: text(matches, "config.job-name-label").into(),
            path_label: text(matches, "config.path-label").into(),
            scheme_label: text(matches, "config.scheme-label").into(),
        },
        output: output(text(matches, "config.write-to"))?,
        refresh: RefreshConfig {
            interval: matches.get_one::<Duration>("config.scrape-interval").copied().unwrap_or_default(),
            limit: limit(matches.get_one::<i64>("config.scrape-times").copied().unwrap_or_default()),
        },
        log: LogConfig {
            level: match text(matches, "log.level") {
                "error" => LogLevel::Error,
                "warn" => LogLevel::Warn,
                "debug" => LogLevel::Debug,
                _ => LogLevel::Info,
            },
            format: if text(matches, "log.format") == "json" { LogFormat::Json } else { LogFormat::Logfmt },
        },
    })
}

/// A comma-separated list of names and ARNs; one that names the same cluster twice scans it once.
fn clusters(list: &str) -> Result<Clusters, String> {
    if list.trim().is_empty() {
        return Ok(Clusters::All);
    }
    let mut clusters: Vec<ClusterRef> = Vec::new();
    for cluster in list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(ClusterRef::from) {
        if !clusters.iter().any(|known| known.matches(cluster.as_str()) || cluster.matches(known.as_str())) {
            clusters.push(cluster);
        }
    }
    if clusters.is_empty() {
        return Err(format!("bad value {list:?} for -config.cluster: a list without a cluster; empty means all"));
    }
    Ok(Clusters::Named(clusters))
}

fn port_rule(matches: &ArgMatches) -> Result<PortRule, String> {
    let filter = label_filter(text(matches, "config.filter-label"))?;
    if switch(matches, "config.dynamic-port-detection") {
        return Ok(PortRule::OnlyPublished);
    }
    Ok(PortRule::Label { name: text(matches, "config.port-label").into(), filter })
}

/// `NAME[=VALUE]`, split at the first `=`.
fn label_filter(filter: &str) -> Result<Option<LabelFilter>, String> {
    let (name, value) = match filter.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (filter, None),
    };
    match (name, &value) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err(format!("bad value {filter:?} for -config.filter-label: want NAME or NAME=VALUE")),
        _ => Ok(Some(LabelFilter { name: name.into(), value })),
    }
}

/// A path. `/dev/stdout` cannot be replaced like a file, and means the same as `-`.
fn output(path: &str) -> Result<Output, String> {
    match path {
        "" => Err("bad value \"\" for -config.write-to: want a path, or - for stdout".into()),
        "-" | "/dev/stdout" => Ok(Output::Stdout),
        _ => Ok(Output::File { format: Format::of(path.as_ref()), path: PathBuf::from(path) }),
    }
}

fn limit(times: i64) -> Option<NonZeroU64> {
    u64::try_from(times).ok().and_then(NonZeroU64::new)
}

fn text<'a>(matches: &'a ArgMatches, flag: &str) -> &'a str {
    matches.get_one::<String>(flag).map_or("", String::as_str)
}

fn optional(matches: &ArgMatches, flag: &str) -> Option<String> {
    Some(text(matches, flag).trim()).filter(|text| !text.is_empty()).map(String::from)
}

fn switch(matches: &ArgMatches, flag: &str) -> bool {
    matches.get_one::<bool>(flag).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
