//! What the command line asked for, typed: no string here is left to interpret.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use crate::file_sd::Format;
use crate::inventory::ClusterRef;

/// All settings of the program.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where and as whom to ask AWS.
    pub aws: AwsConfig,
    /// Which containers become which targets.
    pub rules: Rules,
    /// Where the targets go.
    pub output: Output,
    /// When to refresh.
    pub refresh: RefreshConfig,
    /// What to log.
    pub log: LogConfig,
    /// Where to answer requests, where asked to.
    pub web: Option<WebConfig>,
}

/// Where to answer requests.
#[derive(Clone, Debug, PartialEq)]
pub struct WebConfig {
    /// The address to listen at.
    pub listen: ListenAddress,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// The flags in force with their values, secrets apart, to be shown.
    pub flags: Vec<(&'static str, String)>,
}

/// `host:port`, or `:port` for every address of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenAddress {
    /// A host name or an address; none for every address.
    pub host: Option<String>,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

/// Where and as whom to ask AWS.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsConfig {
    /// The clusters to scan.
    pub clusters: Clusters,
    /// The region, where it is not left to the environment.
    pub region: Option<String>,
    /// The role to assume before calling AWS.
    pub role: Option<Role>,
    /// Whether to keep what only [`Rules::meta_labels`] needs.
    pub details: Details,
    /// Whether to describe every task at every refresh, also those that cannot have changed.
    pub describe_all: bool,
    /// From the start of one refresh to the start of the next.
    pub interval: Duration,
    /// The file in which to keep what cannot change for the next start; none to keep nothing.
    pub cache: Option<PathBuf>,
}

/// What to keep of what AWS reports beyond targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Details {
    /// Everything that meta labels need.
    Kept,
    /// Nothing.
    Dropped,
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// The external id that its trust policy asks for.
    pub external_id: Option<String>,
}

/// The clusters to scan.
#[derive(Clone, Debug, PartialEq)]
pub enum Clusters {
    /// Every cluster that ListClusters lists.
    All,
    /// These; at least one, and none twice.
    Named(Vec<ClusterRef>),
}

/// The names of the docker labels that say what to scrape, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How the ports to scrape are found.
    pub ports: PortRule,
    /// Docker label: the host to write instead of the IP address.
    pub server_name_label: String,
    /// Docker label: `job`.
    pub job_name_label: String,
    /// Docker label: `__metrics_path__`.
    pub path_label: String,
    /// Docker label: `__scheme__`.
    pub scheme_label: String,
    /// Whether to add `__meta_ecs_*` labels.
    pub meta_labels: bool,
}

/// How the ports to scrape are found.
#[derive(Clone, Debug, PartialEq)]
pub enum PortRule {
    /// A docker label names them.
    Label {
        /// The docker label's name.
        name: String,
        /// Only containers with this docker label too.
        filter: Option<LabelFilter>,
    },
    /// The only published port of a container with the docker label [`DYNAMIC_PORT_LABEL`] = `1`.
    OnlyPublished,
}

/// The docker label that opts a container in to [`PortRule::OnlyPublished`].
pub const DYNAMIC_PORT_LABEL: &str = "PROMETHEUS_DYNAMIC_EXPORT";

/// A docker label that has to be there, and the value that it has to have.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelFilter {
    /// The docker label's name.
    pub name: String,
    /// Its value, where that matters.
    pub value: Option<String>,
}

/// Where the targets go.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Nowhere: the targets are only served over HTTP.
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

/// When to refresh. (The drop-in flags call a refresh a scrape.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RefreshConfig {
    /// From the start of one refresh to the start of the next.
    pub interval: Duration,
    /// How many refreshes there are before the program ends; none: for ever.
    pub limit: Option<NonZeroU64>,
}

/// What to log, to stderr.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogConfig {
    /// The least important messages to show.
    pub level: LogLevel,
    /// How a message is written.
    pub format: LogFormat,
}

/// How important a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value` pairs on a line.
    Logfmt,
    /// A JSON object on a line.
    Json,
}
