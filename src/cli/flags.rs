//! The one table of flags: what the parser, `-help` and the tests of the README go by.

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, Command};

use super::go::{self, Kind};

/// A flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// What it takes.
    pub value: Value,
    /// What it is where it is not given.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// What a flag takes.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// Nothing, or a boolean after `=`.
    Switch,
    /// Any text, and what to call it.
    Text(&'static str),
    /// A duration above zero in Go's syntax.
    Duration,
    /// A whole number in Go's syntax.
    Integer,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A boolean or one of these words after `=`, or nothing for true.
    SwitchOr(&'static [&'static str]),
}

const fn flag(name: &'static str, value: Value, default: &'static str, help: &'static str) -> Flag {
    Flag { name, value, default, help }
}

/// Every flag. The first twelve are the original's.
pub const FLAGS: &[Flag] = &[
    flag(
        "config.cluster",
        Value::Text("CLUSTERS"),
        "",
        "Clusters to scan: names or ARNs, with commas; empty: all of the region",
    ),
    flag(
        "config.write-to",
        Value::Text("PATH"),
        "ecs_file_sd.yml",
        "File to write; JSON where the name ends in .json, - prints to stdout, empty writes none (with -web.listen-address)",
    ),
    flag("config.scrape-interval", Value::Duration, "1m0s", "Time between refreshes"),
    flag(
        "config.scrape-times",
        Value::Integer,
        "0",
        "Number of refreshes before the program ends; 0 or less: for ever",
    ),
    flag("config.role-arn", Value::Text("ARN"), "", "Role to assume before calling AWS"),
    flag(
        "config.server-name-label",
        Value::Text("LABEL"),
        "PROMETHEUS_EXPORTER_SERVER_NAME",
        "Docker label: host to write instead of the IP address",
    ),
    flag("config.job-name-label", Value::Text("LABEL"), "PROMETHEUS_EXPORTER_JOB_NAME", "Docker label: the job"),
    flag("config.path-label", Value::Text("LABEL"), "PROMETHEUS_EXPORTER_PATH", "Docker label: the metrics path"),
    flag("config.scheme-label", Value::Text("LABEL"), "PROMETHEUS_EXPORTER_SCHEME", "Docker label: the scheme"),
    flag("config.filter-label", Value::Text("NAME[=VALUE]"), "", "Only containers with this docker label (and value)"),
    flag(
        "config.port-label",
        Value::Text("LABEL"),
        "PROMETHEUS_EXPORTER_PORT",
        "Docker label: container port to scrape, port[/path], or several with commas; without it a container is no target",
    ),
    flag(
        "config.dynamic-port-detection",
        Value::Switch,
        "false",
        "Only containers with docker label PROMETHEUS_DYNAMIC_EXPORT=1 and exactly one published port, which is scraped",
    ),
    flag(
        "config.region",
        Value::Text("REGION"),
        "",
        "AWS region; empty: from the environment, the profile, ECS or IMDS",
    ),
    flag(
        "log.level",
        Value::Word(&["error", "warn", "info", "debug"]),
        "info",
        "Least important messages to log, to stderr",
    ),
    flag("log.format", Value::Word(&["logfmt", "json"]), "logfmt", "How messages are written"),
    flag("config.external-id", Value::Text("ID"), "", "External id for -config.role-arn"),
    flag(
        "config.meta-labels",
        Value::Switch,
        "false",
        "Add __meta_ecs_* labels to each target, for relabelling; Prometheus drops them afterwards",
    ),
    flag(
        "config.describe-all",
        Value::Switch,
        "false",
        "Describe every task at every refresh, and not, in a cluster of more than 100, a tenth of those that run",
    ),
    flag(
        "config.cache",
        Value::Word(&["on", "off"]),
        "on",
        "Keep what cannot change (task definitions, instance ids) beside the file for the next start, as .NAME.cache",
    ),
    flag(
        "web.listen-address",
        Value::Text("[HOST]:PORT"),
        "",
        "Address for metrics, health, HTTP service discovery and a status page; empty: none",
    ),
    flag("web.telemetry-path", Value::Text("PATH"), "/metrics", "Path of the metrics"),
    flag(
        "explain",
        Value::SwitchOr(&["json"]),
        "false",
        "Refresh once, print why each container is or is not a target, and exit; -explain=json for machines",
    ),
    flag(
        "healthcheck",
        Value::Switch,
        "false",
        "Ask the program at -web.listen-address whether it is healthy, and exit 0 or 1",
    ),
    flag("version", Value::Switch, "false", "Print the version and exit"),
];

impl Flag {
    /// The environment variable that gives its value where the command line does not.
    pub fn environment_variable(&self) -> String {
        format!("ECS_DISCOVERY_{}", self.name.to_ascii_uppercase().replace(['.', '-'], "_"))
    }

    fn argument(&self) -> Arg {
        let (name, parser) = match self.value {
            Value::Switch => ("BOOL", ValueParser::new(go::parse_bool)),
            Value::Text(name) => (name, ValueParser::string()),
            Value::Duration => ("DURATION", ValueParser::new(go::parse_duration)),
            Value::Integer => ("N", ValueParser::new(go::parse_int)),
            Value::Word(words) => ("WORD", ValueParser::new(PossibleValuesParser::new(words))),
            Value::SwitchOr(words) => ("BOOL", ValueParser::new(go::bool_or(words))),
        };
        let argument = Arg::new(self.name).long(self.name).help(self.help).value_name(name).value_parser(parser);
        let argument = argument.action(ArgAction::Set).require_equals(true).default_value(self.default);
        argument.hide_default_value(self.default.is_empty())
    }
}

/// What the translation has to know of a flag.
pub(super) fn kind(name: &str) -> Option<Kind> {
    let flag = FLAGS.iter().find(|flag| flag.name == name)?;
    Some(if matches!(flag.value, Value::Switch | Value::SwitchOr(_)) { Kind::Bool } else { Kind::Value })
}

/// The parser of the translated command line.
pub(super) fn command() -> Command {
    Command::new("ecs-discovery")
        .about("Finds the containers on Amazon ECS that export metrics and keeps a Prometheus file_sd file of them.")
        .after_help(
            "Flags are Go's: -flag=value, --flag=value, -flag value; a switch is -flag or -flag=false.\n\
             Each is also read from the environment, where the command line does not give it: ECS_DISCOVERY_ and\n\
             its name in capitals, dots and dashes as underscores (ECS_DISCOVERY_CONFIG_CLUSTER).\n\
             Credentials are found as by every AWS SDK: environment, profile, SSO, task role, instance role.",
        )
        .help_template("{about}\n\nUsage: ecs-discovery [-FLAG=VALUE]...\n\nFlags:\n{options}{after-help}\n")
        .no_binary_name(true)
        .args_override_self(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(FLAGS.iter().map(Flag::argument))
}

/// The help text, with the flags as they are written in Go's grammar.
pub(super) fn help() -> String {
    command().render_help().to_string().replace("      --", "  -")
}
