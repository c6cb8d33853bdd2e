//! The settings of the program, typed: every value is parsed and validated.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use crate::file_sd::Format;
use crate::inventory::{Identity, Selection, Shared};

/// All settings of the program.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Access to AWS, and what to scan.
    pub aws: AwsConfig,
    /// How containers become targets.
    pub rules: Rules,
    /// Where to write the targets.
    pub output: Output,
    /// When to refresh.
    pub refresh: RefreshConfig,
    /// How long last known targets are kept; `None` for no limit.
    pub max_stale: Option<Duration>,
    /// What to log.
    pub log: LogConfig,
    /// The web endpoints, if enabled.
    pub web: Option<WebConfig>,
}

/// The web endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct WebConfig {
    /// The address to listen on.
    pub listen: ListenAddress,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// Every flag with its value, for display; secrets are left out.
    pub flags: Vec<(&'static str, String)>,
}

/// An address to listen on: `HOST:PORT`, or `:PORT` for all interfaces.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenAddress {
    /// A host name or an IP address; `None` for all interfaces.
    pub host: Option<String>,
    /// The port; 0 for any free port.
    pub port: u16,
}

/// Access to AWS, and what to scan.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsConfig {
    /// Whose credentials to use: at least one, each once, and no two roles of one account.
    pub identities: Vec<Identity>,
    /// The external ID that the trust policies of the roles require.
    pub external_id: Option<String>,
    /// The regions, each once; none to take one from the environment.
    pub regions: Vec<Shared>,
    /// The clusters to scan.
    pub clusters: Selection,
    /// The meta labels whose data to keep: those of [`Rules::meta_labels`].
    pub meta_labels: MetaLabels,
    /// The attribute of container instances that names their host; `None` to ask EC2 for all of them.
    pub host_attribute: Option<String>,
    /// The environment variables of containers to keep, sorted; none unless variables may replace docker labels.
    pub variables: Vec<String>,
    /// Whether to describe every task at every refresh, including those that cannot have changed.
    pub describe_all: bool,
    /// The time from the start of one refresh to the start of the next.
    pub interval: Interval,
    /// The queues of events; none to only poll.
    pub events_queues: Vec<Queue>,
    /// The file that keeps what cannot change across restarts; `None` to keep nothing.
    pub cache: Option<PathBuf>,
}

/// An SQS queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its URL.
    pub url: String,
    /// Its region; `None` for that of the process.
    pub region: Option<Shared>,
    /// Its account, if the URL names one.
    pub account: Option<Shared>,
    /// Where to send calls for it; `None` for the usual place of the region.
    pub endpoint: Option<String>,
}

/// Which `__meta_ecs_*` labels to add to targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetaLabels {
    /// None.
    Off,
    /// Those that take no further calls.
    Free,
    /// All of them, including those of services, clusters and network interfaces.
    All,
}

/// How containers become targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How to find the ports to scrape.
    pub ports: PortRule,
    /// The docker label that holds the host to write instead of the IP address.
    pub server_name_label: String,
    /// The docker label that sets `job`.
    pub job_name_label: String,
    /// The docker label that sets `__metrics_path__`.
    pub path_label: String,
    /// The docker label that sets `__scheme__`.
    pub scheme_label: String,
    /// Which `__meta_ecs_*` labels to add.
    pub meta_labels: MetaLabels,
}

impl Rules {
    /// Returns the names of all docker labels that count, sorted.
    pub fn label_names(&self) -> Vec<String> {
        let of_ports = match &self.ports {
            PortRule::Label { name, filter } => vec![name.as_str(), filter.as_ref().map_or("", |filter| &filter.name)],
            PortRule::OnlyPublished => vec![DYNAMIC_PORT_LABEL],
        };
        let others = [&self.server_name_label, &self.job_name_label, &self.path_label, &self.scheme_label];
        let names = of_ports.into_iter().chain(others.map(String::as_str)).filter(|name| !name.is_empty());
        let names: BTreeSet<String> = names.map(String::from).collect();
        names.into_iter().collect()
    }
}

/// How to find the ports to scrape.
#[derive(Clone, Debug, PartialEq)]
pub enum PortRule {
    /// A docker label lists them.
    Label {
        /// The docker label's name.
        name: String,
        /// The docker label that a container must have in addition.
        filter: Option<LabelFilter>,
    },
    /// It is the only published port of a container with the docker label [`DYNAMIC_PORT_LABEL`] = `1`.
    OnlyPublished,
}

/// The docker label that enables [`PortRule::OnlyPublished`] for a container.
pub const DYNAMIC_PORT_LABEL: &str = "PROMETHEUS_DYNAMIC_EXPORT";

/// A docker label that a container must have.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelFilter {
    /// The docker label's name.
    pub name: String,
    /// The value that it must have; `None` for any.
    pub value: Option<String>,
}

/// Where to write the targets.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Nowhere: targets are only served over HTTP.
    Nowhere,
    /// Standard output, as YAML.
    Stdout,
    /// A file that is replaced atomically.
    File {
        /// Its path.
        path: PathBuf,
        /// Its format.
        format: Format,
    },
}

/// When to refresh. (The original's flags call a refresh a scrape.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RefreshConfig {
    /// The time from the start of one refresh to the start of the next.
    pub interval: Interval,
    /// Whether to look at pending tasks between refreshes.
    pub watch: bool,
    /// The number of refreshes before the program exits; `None` for no limit.
    pub limit: Option<NonZeroU64>,
}

/// The time from the start of one refresh to the start of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// The shortest with which the calls of a scope stay far below AWS's rate limits.
    Auto,
    /// This long.
    Every(Duration),
}

impl Interval {
    /// The longest that [`Auto`](Self::Auto) can be.
    pub const LONGEST_AUTO: Duration = Duration::from_secs(300);

    /// Returns the longest that it can be.
    pub fn longest(self) -> Duration {
        match self {
            Self::Auto => Self::LONGEST_AUTO,
            Self::Every(interval) => interval,
        }
    }
}

/// What to log to stderr.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogConfig {
    /// The least severe level to log.
    pub level: LogLevel,
    /// The format of a message.
    pub format: LogFormat,
}

/// A log level, from the most severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The format of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value` pairs on one line.
    Logfmt,
    /// A JSON object on one line.
    Json,
}
