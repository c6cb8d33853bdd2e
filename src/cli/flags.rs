//! The table of flags, on which the parser, `-help` and the documentation are based.

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, Command};

use super::go::{self, Kind};

/// A flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// The values that it takes.
    pub value: Value,
    /// Its value if it is not set.
    pub default: &'static str,
    /// Its help text.
    pub help: &'static str,
}

/// The values that a flag takes.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// None, or a boolean after `=`.
    Switch,
    /// Any text. Holds its placeholder.
    Text(&'static str),
    /// A positive duration in Go's syntax, or `auto`.
    Interval,
    /// A duration in Go's syntax; zero for no limit.
    Limit,
    /// An integer in Go's syntax.
    Integer,
    /// One of these words.
    Word(&'static [&'static str]),
    /// None, or a boolean or one of these words after `=`.
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
        "Comma-separated list of clusters to scan: names, ARNs, or globs of either (* and ?). A leading ! excludes. Empty for all clusters.",
    ),
    flag(
        "config.write-to",
        Value::Text("PATH"),
        "ecs_file_sd.yml",
        "File to write, as JSON if its name ends in .json. Use - for stdout. Empty writes no file and requires -web.listen-address.",
    ),
    flag(
        "config.scrape-interval",
        Value::Interval,
        "1m0s",
        "Time between refreshes. auto: as short as AWS's rate limits allow with a wide margin, from 10s to 5m.",
    ),
    flag(
        "config.scrape-times",
        Value::Integer,
        "0",
        "Number of refreshes before the program exits. No limit if 0 or less.",
    ),
    flag(
        "config.role-arn",
        Value::Text("ARNS"),
        "",
        "Comma-separated list of ARNs of roles to assume, one per account; self for the process's own credentials. Empty for self.",
    ),
    flag(
        "config.server-name-label",
        Value::Text("LABEL"),
        "PROMETHEUS_EXPORTER_SERVER_NAME",
        "Docker label that sets the host, instead of the IP address.",
    ),
    flag(
        "config.job-name-label",
        Value::Text("LABEL"),
        "PROMETHEUS_EXPORTER_JOB_NAME",
        "Docker label that sets the job.",
    ),
    flag(
        "config.path-label",
        Value::Text("LABEL"),
        "PROMETHEUS_EXPORTER_PATH",
        "Docker label that sets the metrics path.",
    ),
    flag(
        "config.scheme-label",
        Value::Text("LABEL"),
        "PROMETHEUS_EXPORTER_SCHEME",
        "Docker label that sets the scheme.",
    ),
    flag(
        "config.filter-label",
        Value::Text("NAME[=VALUE]"),
        "",
        "Docker label, and optionally its value, that a container must have to be a target.",
    ),
    flag(
        "config.port-label",
        Value::Text("LABEL"),
        "PROMETHEUS_EXPORTER_PORT",
        "Docker label that sets the container port to scrape, as PORT[/PATH] or a comma-separated list of these. Containers without it are skipped.",
    ),
    flag(
        "config.dynamic-port-detection",
        Value::Switch,
        "false",
        "Scrape only containers with the docker label PROMETHEUS_DYNAMIC_EXPORT=1 and exactly one published port, at that port.",
    ),
    flag(
        "config.region",
        Value::Text("REGIONS"),
        "",
        "Comma-separated list of AWS regions. If empty, the region is taken from the environment, the profile, ECS or IMDS.",
    ),
    flag(
        "log.level",
        Value::Word(&["error", "warn", "info", "debug", "trace"]),
        "info",
        "Only log messages with the given severity or above, to stderr.",
    ),
    flag("log.format", Value::Word(&["logfmt", "json"]), "logfmt", "Output format of log messages."),
    flag("config.external-id", Value::Text("ID"), "", "External ID to assume the roles of -config.role-arn with."),
    flag(
        "config.meta-labels",
        Value::SwitchOr(&["all"]),
        "false",
        "Add __meta_ecs_* labels to each target, for relabelling. Prometheus drops them afterwards. all adds those that take further calls: of services, clusters and network interfaces.",
    ),
    flag(
        "config.environment-labels",
        Value::Switch,
        "false",
        "Where a container lacks one of these docker labels, use its environment variable of the same name.",
    ),
    flag(
        "config.host-attribute",
        Value::Text("NAME"),
        "ecs-discovery.host",
        "Attribute of container instances that sets the host in bridge and host mode, instead of an address from EC2. Empty ignores attributes.",
    ),
    flag(
        "config.describe-all",
        Value::Switch,
        "false",
        "Describe every task at every refresh. By default, clusters of more than 100 tasks have a tenth of their running tasks described at each refresh.",
    ),
    flag(
        "config.cache",
        Value::Word(&["on", "off"]),
        "on",
        "Keep what cannot change (task definitions, EC2 instance IDs) across restarts, in .NAME.cache beside the file.",
    ),
    flag(
        "config.watch",
        Value::Switch,
        "true",
        "Describe pending tasks between refreshes, so that they are targets within seconds of being up.",
    ),
    flag(
        "config.events-queue",
        Value::Text("URLS"),
        "",
        "Comma-separated list of URLs of SQS queues with ECS task events, each for this process only. Changed tasks are described at once. Refreshes continue.",
    ),
    flag(
        "config.max-stale",
        Value::Limit,
        "0s",
        "How long to keep last known targets while they cannot be read from AWS. No limit if 0s.",
    ),
    flag(
        "web.listen-address",
        Value::Text("[HOST]:PORT"),
        "",
        "Address on which to expose metrics, health, HTTP service discovery and a status page. Disabled if empty.",
    ),
    flag("web.telemetry-path", Value::Text("PATH"), "/metrics", "Path under which to expose metrics."),
    flag(
        "explain",
        Value::SwitchOr(&["json"]),
        "false",
        "Refresh once, print why each container is or is not a target, and exit. -explain=json prints JSON.",
    ),
    flag(
        "healthcheck",
        Value::Switch,
        "false",
        "Check the health of the program at -web.listen-address, and exit with 0 if it is healthy or 1 if not.",
    ),
    flag("version", Value::Switch, "false", "Print the version and exit."),
];

impl Flag {
    /// Returns the environment variable that sets the flag if the command line does not.
    pub fn environment_variable(&self) -> String {
        format!("ECS_DISCOVERY_{}", self.name.to_ascii_uppercase().replace(['.', '-'], "_"))
    }

    fn argument(&self) -> Arg {
        let (name, parser) = match self.value {
            Value::Switch => ("BOOL", ValueParser::new(go::parse_bool)),
            Value::Text(name) => (name, ValueParser::string()),
            Value::Interval => ("DURATION", ValueParser::new(go::parse_interval)),
            Value::Limit => ("DURATION", ValueParser::new(go::parse_limit)),
            Value::Integer => ("N", ValueParser::new(go::parse_int)),
            Value::Word(words) => ("WORD", ValueParser::new(PossibleValuesParser::new(words))),
            Value::SwitchOr(words) => ("BOOL", ValueParser::new(go::bool_or(words))),
        };
        let argument = Arg::new(self.name).long(self.name).help(self.help).value_name(name).value_parser(parser);
        let argument = argument.action(ArgAction::Set).require_equals(true).default_value(self.default);
        argument.hide_default_value(self.default.is_empty())
    }
}

/// Returns how a flag takes its value; `None` for an unknown flag.
pub(super) fn kind(name: &str) -> Option<Kind> {
    let flag = FLAGS.iter().find(|flag| flag.name == name)?;
    Some(if matches!(flag.value, Value::Switch | Value::SwitchOr(_)) { Kind::Bool } else { Kind::Value })
}

/// Returns the parser of the translated command line.
pub(super) fn command() -> Command {
    Command::new("ecs-discovery")
        .about("Finds the containers on Amazon ECS that export metrics and keeps a Prometheus file_sd file of them.")
        .after_help(
            "Flags may be written as -flag=value, --flag=value or -flag value; boolean flags as -flag or -flag=false.\n\
             A flag that is not given is taken from the environment variable ECS_DISCOVERY_<FLAG>, in upper case and\n\
             with underscores for dots and dashes, such as ECS_DISCOVERY_CONFIG_CLUSTER.\n\
             Credentials are found as in every AWS SDK: environment, profile, SSO, task role, instance role.",
        )
        .help_template("{about}\n\nUsage: ecs-discovery [-FLAG=VALUE]...\n\nFlags:\n{options}{after-help}\n")
        .no_binary_name(true)
        .args_override_self(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(FLAGS.iter().map(Flag::argument))
}

/// Returns the help text, with flags in Go's grammar.
pub(super) fn help() -> String {
    command().render_help().to_string().replace("      --", "  -")
}
