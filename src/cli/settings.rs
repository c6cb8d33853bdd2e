//! From parsed flags to a [`Config`].

use std::net::Ipv6Addr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;

use super::flags::{FLAGS, Flag};
use super::{queues, scopes};
use crate::config::{
    AwsConfig, Config, Interval, LabelFilter, ListenAddress, LogConfig, LogFormat, LogLevel, MetaLabels, Output,
    PortRule, RefreshConfig, Rules, WebConfig,
};
use crate::file_sd::Format;
use crate::inventory::Identity;

/// Returns the settings that the flags ask for.
pub(super) fn config(matches: &ArgMatches) -> Result<Config, String> {
    let web = web(matches)?;
    let output = output(text(matches, "config.write-to"));
    if output == Output::Nowhere && web.is_none() {
        return Err("invalid value \"\" for -config.write-to: \
                    expected a path, or - for stdout; empty requires -web.listen-address"
            .into());
    }
    let refresh = RefreshConfig {
        interval: matches.get_one("config.scrape-interval").copied().unwrap_or(Interval::Auto),
        watch: switch(matches, "config.watch"),
        limit: limit(matches.get_one::<i64>("config.scrape-times").copied().unwrap_or_default()),
    };
    let rules = rules(matches)?;
    let aws = aws(matches, &rules, refresh, &output)?;
    let max_stale = matches.get_one::<Duration>("config.max-stale").copied().filter(|limit| !limit.is_zero());
    Ok(Config { aws, rules, output, refresh, max_stale, log: log(matches), web })
}

fn aws(matches: &ArgMatches, rules: &Rules, refresh: RefreshConfig, output: &Output) -> Result<AwsConfig, String> {
    let identities = scopes::identities(text(matches, "config.role-arn"))?;
    let regions = scopes::regions(text(matches, "config.region"))?;
    let clusters = scopes::clusters(text(matches, "config.cluster"))?;
    scopes::check(&identities, &regions, &clusters)?;
    Ok(AwsConfig {
        external_id: external_id(matches, &identities)?,
        identities,
        regions,
        clusters,
        host_attribute: optional(matches, "config.host-attribute"),
        variables: variables(matches, rules),
        meta_labels: rules.meta_labels,
        // Some meta labels change while a task runs: its health, its tags.
        describe_all: switch(matches, "config.describe-all") || rules.meta_labels != MetaLabels::Off,
        interval: refresh.interval,
        events_queues: queues::queues(text(matches, "config.events-queue"))?,
        cache: cache(matches, output),
    })
}

/// Returns the names of the environment variables that may replace docker labels.
fn variables(matches: &ArgMatches, rules: &Rules) -> Vec<String> {
    if switch(matches, "config.environment-labels") { rules.label_names() } else { Vec::new() }
}

fn rules(matches: &ArgMatches) -> Result<Rules, String> {
    Ok(Rules {
        ports: port_rule(matches)?,
        server_name_label: text(matches, "config.server-name-label").into(),
        job_name_label: text(matches, "config.job-name-label").into(),
        path_label: text(matches, "config.path-label").into(),
        scheme_label: text(matches, "config.scheme-label").into(),
        meta_labels: meta_labels(text(matches, "config.meta-labels")),
    })
}

fn meta_labels(text: &str) -> MetaLabels {
    match text {
        "false" => MetaLabels::Off,
        "all" => MetaLabels::All,
        _ => MetaLabels::Free,
    }
}

fn log(matches: &ArgMatches) -> LogConfig {
    LogConfig {
        level: match text(matches, "log.level") {
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "debug" => LogLevel::Debug,
            "trace" => LogLevel::Trace,
            _ => LogLevel::Info,
        },
        format: if text(matches, "log.format") == "json" { LogFormat::Json } else { LogFormat::Logfmt },
    }
}

/// Returns the path of the cache file: beside the output file, with a name that no `file_sd` pattern of Prometheus
/// matches.
fn cache(matches: &ArgMatches, output: &Output) -> Option<PathBuf> {
    let Output::File { path, .. } = output else { return None };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name()?);
    name.push(".cache");
    (text(matches, "config.cache") == "on").then(|| path.with_file_name(name))
}

fn external_id(matches: &ArgMatches, identities: &[Identity]) -> Result<Option<String>, String> {
    let external_id = optional(matches, "config.external-id");
    if external_id.is_some() && identities.iter().all(|identity| identity.role().is_none()) {
        return Err("-config.external-id requires a role in -config.role-arn".into());
    }
    Ok(external_id)
}

/// The paths of the other endpoints.
const RESERVED: [&str; 4] = ["/", "/targets", "/-/healthy", "/-/ready"];

/// Returns the settings of the web endpoints, if they are enabled.
pub(super) fn web(matches: &ArgMatches) -> Result<Option<WebConfig>, String> {
    let telemetry_path = text(matches, "web.telemetry-path").to_owned();
    if !telemetry_path.starts_with('/') || RESERVED.contains(&telemetry_path.as_str()) {
        return Err(format!(
            "invalid value {telemetry_path:?} for -web.telemetry-path: expected an unused path such as /metrics"
        ));
    }
    let address = text(matches, "web.listen-address").trim();
    if address.is_empty() {
        return Ok(None);
    }
    let listen = listen_address(address)
        .ok_or_else(|| format!("invalid value {address:?} for -web.listen-address: expected :PORT or HOST:PORT"))?;
    Ok(Some(WebConfig { listen, telemetry_path, flags: shown(matches) }))
}

/// Returns every flag with its value, for display.
fn shown(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let value = |flag: &Flag| match flag.name {
        // Knowing a role's external ID is part of being able to assume it.
        "config.external-id" if !text(matches, flag.name).is_empty() => "(set)".into(),
        name => matches.get_raw(name).into_iter().flatten().map(|raw| raw.to_string_lossy()).collect(),
    };
    FLAGS.iter().map(|flag| (flag.name, value(flag))).collect()
}

/// Parses `:10779`, `localhost:10779`, `127.0.0.1:10779` or `[::1]:10779`.
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

fn port_rule(matches: &ArgMatches) -> Result<PortRule, String> {
    let filter = label_filter(text(matches, "config.filter-label"))?;
    if switch(matches, "config.dynamic-port-detection") {
        return Ok(PortRule::OnlyPublished);
    }
    Ok(PortRule::Label { name: text(matches, "config.port-label").into(), filter })
}

/// Parses `NAME[=VALUE]`, split at the first `=`.
pub(super) fn label_filter(filter: &str) -> Result<Option<LabelFilter>, String> {
    let (name, value) = match filter.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (filter, None),
    };
    match (name, &value) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err(format!("invalid value {filter:?} for -config.filter-label: expected NAME or NAME=VALUE")),
        _ => Ok(Some(LabelFilter { name: name.into(), value })),
    }
}

pub(super) fn output(path: &str) -> Output {
    match path {
        "" => Output::Nowhere,
        // A device cannot be replaced like a file.
        "-" | "/dev/stdout" => Output::Stdout,
        _ => Output::File { format: Format::of(path.as_ref()), path: PathBuf::from(path) },
    }
}

fn limit(times: i64) -> Option<NonZeroU64> {
    u64::try_from(times).ok().and_then(NonZeroU64::new)
}

pub(super) fn text<'a>(matches: &'a ArgMatches, flag: &str) -> &'a str {
    matches.get_one::<String>(flag).map_or("", String::as_str)
}

fn optional(matches: &ArgMatches, flag: &str) -> Option<String> {
    Some(text(matches, flag).trim()).filter(|text| !text.is_empty()).map(String::from)
}

pub(super) fn switch(matches: &ArgMatches, flag: &str) -> bool {
    matches.get_one::<bool>(flag).copied().unwrap_or_default()
}
