//! The command line: the original's flags, in the grammar in which they were always written.
//!
//! The foreign dialect is translated once ([`go`]) into one that clap parses by the one table of flags
//! ([`flags`]); what comes out is a [`Config`], in which nothing is left to interpret.

mod flags;
mod go;

use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue};

pub use self::flags::{FLAGS, Flag, Value};
use self::go::Translated;
use crate::config::{
    AwsConfig, Clusters, Config, Details, LabelFilter, ListenAddress, LogConfig, LogFormat, LogLevel, Output, PortRule,
    RefreshConfig, Role, Rules, WebConfig,
};
use crate::file_sd::Format;
use crate::inventory::ClusterRef;

/// What a command line asks for.
#[derive(Debug, PartialEq)]
pub enum Parsed {
    /// To run.
    Run(Box<Config>),
    /// To refresh once and print why each container is or is not a target.
    Explain(Box<Config>, ExplainFormat),
    /// To ask the program that listens here whether it is healthy.
    HealthCheck(ListenAddress),
    /// To print this and end.
    Print(String),
}

/// How an explanation is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainFormat {
    /// For a person.
    Text,
    /// For a machine.
    Json,
}

/// A command line that cannot be used. Its text is one line that says why, and the usage.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("ecs-discovery: {0}\nUsage: ecs-discovery [-FLAG=VALUE]...; -help lists the flags\n")]
pub struct UsageError(String);

/// Reads a command line, without the program's name, and for the flags that it does not give the
/// environment.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Parsed, UsageError> {
    let arguments: Vec<String> = arguments
        .into_iter()
        .map(|argument| argument.into_string().map_err(|raw| UsageError(format!("argument {raw:?} is not UTF-8"))))
        .collect::<Result<_, _>>()?;
    let flags = match go::translate(arguments, flags::kind).map_err(UsageError)? {
        Translated::Help => return Ok(Parsed::Print(flags::help())),
        Translated::Flags(flags) => flags,
    };
    let surroundings = from_environment(&flags, environment).map_err(UsageError)?;
    let canonical = surroundings.iter().chain(&flags).map(|(name, value)| format!("--{name}={value}"));
    let matches = flags::command().try_get_matches_from(canonical).map_err(|error| bad_value(&error, &surroundings))?;
    if switch(&matches, "version") {
        return Ok(Parsed::Print(format!("ecs-discovery {}\n", env!("CARGO_PKG_VERSION"))));
    }
    asked(&matches).map_err(|why| UsageError(by_its_place(why, &surroundings)))
}

/// Names the environment variable where it is the one to be mended, and not the flag.
fn by_its_place(why: String, surroundings: &[(String, String)]) -> String {
    let from_environment = FLAGS.iter().filter(|flag| surroundings.iter().any(|(name, _)| name == flag.name));
    from_environment.fold(why, |why, flag| {
        why.replace(&format!(" for -{}: ", flag.name), &format!(" for {}: ", flag.environment_variable()))
    })
}

/// What is asked for, the version and help apart.
fn asked(matches: &ArgMatches) -> Result<Parsed, String> {
    if switch(matches, "healthcheck") {
        let web = web(matches)?.ok_or("-healthcheck needs -web.listen-address, the address to ask at")?;
        return Ok(Parsed::HealthCheck(web.listen));
    }
    let config = Box::new(config(matches)?);
    Ok(match text(matches, "explain") {
        "false" => Parsed::Run(config),
        "json" => Parsed::Explain(config, ExplainFormat::Json),
        _ => Parsed::Explain(config, ExplainFormat::Text),
    })
}

/// The flags that the command line does not give and the environment does.
fn from_environment(
    given: &[(String, String)],
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<(String, String)>, String> {
    let absent = FLAGS.iter().filter(|flag| !given.iter().any(|(name, _)| name == flag.name));
    let set = absent.filter_map(|flag| {
        let variable = flag.environment_variable();
        let value = environment(&variable)?;
        let value = value.into_string().map_err(|_| format!("{variable} is not UTF-8"));
        Some(value.map(|value| (flag.name.to_owned(), value)))
    });
    set.collect()
}

/// Says it in the words of the flags' own grammar: the translation leaves only values to be wrong.
fn bad_value(error: &clap::Error, surroundings: &[(String, String)]) -> UsageError {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(words)) => format!("want one of {}", words.join(", ")),
        _ => String::new(),
    };
    let flag = text(ContextKind::InvalidArg);
    let flag = flag.split_whitespace().next().unwrap_or_default().trim_start_matches('-');
    let flag = flag.split('=').next().unwrap_or_default();
    let cause = std::error::Error::source(error).map_or_else(|| text(ContextKind::ValidValue), ToString::to_string);
    let from_environment =
        FLAGS.iter().find(|known| known.name == flag && surroundings.iter().any(|(name, _)| name == flag));
    let place = from_environment.map_or_else(|| format!("-{flag}"), Flag::environment_variable);
    UsageError(format!("bad value {:?} for {place}: {cause}", text(ContextKind::InvalidValue)))
}

fn config(matches: &ArgMatches) -> Result<Config, String> {
    let web = web(matches)?;
    let output = output(text(matches, "config.write-to"), web.is_some())?;
    let interval = matches.get_one::<Duration>("config.scrape-interval").copied().unwrap_or_default();
    Ok(Config {
        aws: AwsConfig {
            clusters: clusters(text(matches, "config.cluster"))?,
            region: optional(matches, "config.region"),
            role: role(matches)?,
            details: if switch(matches, "config.meta-labels") { Details::Kept } else { Details::Dropped },
            // Among meta labels there are some that change while a task runs: its health, its tags.
            describe_all: switch(matches, "config.describe-all") || switch(matches, "config.meta-labels"),
            interval,
            cache: cache(matches, &output),
        },
        rules: Rules {
            ports: port_rule(matches)?,
            server_name_label: text(matches, "config.server-name-label").into(),
            job_name_label: text(matches, "config.job-name-label").into(),
            path_label: text(matches, "config.path-label").into(),
            scheme_label: text(matches, "config.scheme-label").into(),
            meta_labels: switch(matches, "config.meta-labels"),
        },
        output,
        refresh: RefreshConfig {
            interval,
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
        web,
    })
}

/// Beside the output file, under a name that Prometheus reads as no `file_sd` file whatever its pattern.
fn cache(matches: &ArgMatches, output: &Output) -> Option<PathBuf> {
    let Output::File { path, .. } = output else { return None };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name()?);
    name.push(".cache");
    (text(matches, "config.cache") == "on").then(|| path.with_file_name(name))
}

fn role(matches: &ArgMatches) -> Result<Option<Role>, String> {
    match (optional(matches, "config.role-arn"), optional(matches, "config.external-id")) {
        (None, Some(_)) => Err("-config.external-id is for -config.role-arn, which is not given".into()),
        (None, None) => Ok(None),
        (Some(arn), external_id) => Ok(Some(Role { arn, external_id })),
    }
}

/// The paths that have another meaning.
const TAKEN: [&str; 4] = ["/", "/targets", "/-/healthy", "/-/ready"];

fn web(matches: &ArgMatches) -> Result<Option<WebConfig>, String> {
    let telemetry_path = text(matches, "web.telemetry-path").to_owned();
    if !telemetry_path.starts_with('/') || TAKEN.contains(&telemetry_path.as_str()) {
        return Err(format!("bad value {telemetry_path:?} for -web.telemetry-path: want a path such as /metrics"));
    }
    let address = text(matches, "web.listen-address").trim();
    if address.is_empty() {
        return Ok(None);
    }
    let listen = listen_address(address)
        .ok_or_else(|| format!("bad value {address:?} for -web.listen-address: want :PORT or HOST:PORT"))?;
    Ok(Some(WebConfig { listen, telemetry_path, flags: in_force(matches) }))
}

/// Every flag and its value, as text.
fn in_force(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let value = |flag: &Flag| match flag.name {
        // Whoever knows a role's external id is halfway to assuming it.
        "config.external-id" if !text(matches, flag.name).is_empty() => "(set)".into(),
        name => matches.get_raw(name).into_iter().flatten().map(|raw| raw.to_string_lossy()).collect(),
    };
    FLAGS.iter().map(|flag| (flag.name, value(flag))).collect()
}

/// `:9779`, `localhost:9779`, `127.0.0.1:9779` or `[::1]:9779`.
fn listen_address(text: &str) -> Option<ListenAddress> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').filter(|address| address.parse::<Ipv6Addr>().is_ok())?,
        None if host.contains(':') => return None,
        None => host,
    };
    let host = Some(host.to_owned()).filter(|host| !host.is_empty());
    Some(ListenAddress { host, port: port.parse().ok()? })
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
fn output(path: &str, served: bool) -> Result<Output, String> {
    match path {
        "" if served => Ok(Output::Nowhere),
        "" => Err("bad value \"\" for -config.write-to: want a path, or - for stdout; \
                   to write no file, serve the targets with -web.listen-address"
            .into()),
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
