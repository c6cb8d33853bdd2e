//! Metrics about the program itself: base units, fixed label names, every series there from the start.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

use super::Board;
use super::process::Process;
use crate::aws::{Attempt, OPERATIONS};
use crate::daemon::{Outcome, Refresh};
use crate::targets::SkipReason;
use crate::writer::Written;

/// What every metric's name begins with.
const PREFIX: &str = "ecs_discovery";

/// Where a refresh can fail, by what `refresh_failures_total` calls it.
const STAGES: [(&str, &str); 7] = [
    ("AssumeRole", "assume_role"),
    ("ListClusters", "list_clusters"),
    ("ListTasks", "list_tasks"),
    ("DescribeTasks", "describe_tasks"),
    ("DescribeTaskDefinition", "describe_task_definition"),
    ("DescribeContainerInstances", "describe_container_instances"),
    ("DescribeInstances", "describe_instances"),
];

/// The stage of putting the targets out.
const WRITE: &str = "write";

/// No stage, but what ended a refresh just as well.
const PANIC: &str = "panic";

/// The caches.
const CACHES: [&str; 4] = ["tasks", "task_definitions", "container_instances", "instances"];

/// An error code longer than this, or with other characters than codes have, is not one.
const LONGEST_CODE: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
    revision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStage {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCluster {
    cluster: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    service: &'static str,
    operation: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOperation {
    service: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCache {
    cache: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: WriteResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)] // written as they are named
enum WriteResult {
    replaced,
    unchanged,
    failed,
    left_alone,
}

type Seconds = Gauge<f64, AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The metrics and what they are counted from.
pub(super) struct Metrics {
    registry: Registry,
    refreshes: Counter,
    refresh_failures: Family<ByStage, Counter>,
    refresh_duration: Histogram,
    last_refresh: Seconds,
    last_success: Seconds,
    targets: Family<ByCluster, Gauge>,
    stale: Family<ByCluster, Seconds>,
    skipped: Family<ByReason, Gauge>,
    requests: Family<ByCode, Counter>,
    request_duration: Histograms<ByOperation>,
    throttles: Family<ByOperation, Counter>,
    writes: Family<ByResult, Counter>,
    cache_entries: Family<ByCache, Gauge>,
    /// When each cluster was last fully learned, or first seen where it never was; and whether it is stale now.
    freshness: Mutex<HashMap<String, Freshness>>,
}

#[derive(Clone, Copy)]
struct Freshness {
    as_of: Instant,
    stale: bool,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let r = registry.sub_registry_with_prefix(PREFIX);
        let build: Family<Build, Gauge> = added(r, "build_info", "What this program was built from, always 1");
        let revision = option_env!("ECS_DISCOVERY_REVISION").unwrap_or("unknown");
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION"), revision }).set(1);
        let duration = Histogram::new(exponential_buckets(0.05, 2.0, 12));
        r.register("refresh_duration_seconds", "How long refreshes took", duration.clone());
        let new_histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.01, 2.0, 11));
        let request_duration = Family::new_with_constructor(new_histogram);
        r.register("aws_request_duration_seconds", "How long attempts to call AWS took", request_duration.clone());
        let metrics = Self {
            refreshes: added(r, "refreshes", "Refreshes that ended"),
            refresh_failures: added(r, "refresh_failures", "Refreshes in which this stage failed"),
            refresh_duration: duration,
            last_refresh: added(r, "last_refresh_timestamp_seconds", "When the last refresh began, 0 before the first"),
            last_success: added(
                r,
                "last_successful_refresh_timestamp_seconds",
                "When a refresh last ended without a failure, 0 before",
            ),
            targets: added(r, "targets", "Targets in force, earlier ones that stand in included"),
            stale: added(
                r,
                "cluster_stale_seconds",
                "For how long a cluster could not be learned in full, 0 when it was",
            ),
            skipped: added(r, "containers_skipped", "Containers that are no targets"),
            requests: added(r, "aws_requests", "Attempts to call AWS"),
            request_duration,
            throttles: added(r, "aws_throttles", "Attempts that AWS throttled"),
            writes: added(r, "file_writes", "What became of the file at each refresh"),
            cache_entries: added(r, "cache_entries", "What is remembered between refreshes"),
            freshness: Mutex::default(),
            registry: Registry::default(),
        };
        let metrics = Self { registry, ..metrics };
        metrics.start_every_series();
        metrics
    }

    /// A series that appears only with its first event cannot be alerted on.
    fn start_every_series(&self) {
        for stage in STAGES.iter().map(|(_, stage)| *stage).chain([WRITE, PANIC]) {
            start(&self.refresh_failures, &ByStage { stage });
        }
        for reason in SkipReason::CODES {
            start(&self.skipped, &ByReason { reason });
        }
        for (service, operation) in OPERATIONS {
            start(&self.requests, &ByCode { service, operation, code: "ok".into() });
            start(&self.request_duration, &ByOperation { service, operation });
            start(&self.throttles, &ByOperation { service, operation });
        }
        for result in [WriteResult::replaced, WriteResult::unchanged, WriteResult::failed, WriteResult::left_alone] {
            start(&self.writes, &ByResult { result });
        }
        for cache in CACHES {
            start(&self.cache_entries, &ByCache { cache });
        }
    }

    /// So many panics before this process.
    pub(super) fn panicked(&self, times: u64) {
        self.refresh_failures.get_or_create(&ByStage { stage: PANIC }).inc_by(times);
    }

    pub(super) fn refreshed(&self, refresh: &Refresh) {
        self.refreshes.inc();
        self.refresh_duration.observe(refresh.took.as_secs_f64());
        self.count_failures(refresh);
        for reason in SkipReason::CODES {
            self.skipped.get_or_create(&ByReason { reason }).set(0);
        }
        for skipped in &refresh.derived.skipped {
            self.skipped.get_or_create(&ByReason { reason: skipped.reason.code() }).inc();
        }
        let result = match &refresh.output {
            Outcome::Written(Written::Replaced) => Some(WriteResult::replaced),
            Outcome::Written(Written::Unchanged) => Some(WriteResult::unchanged),
            Outcome::Failed(_) => Some(WriteResult::failed),
            Outcome::LeftAlone(_) => Some(WriteResult::left_alone),
            Outcome::NothingKnown => None,
        };
        if let Some(result) = result {
            self.writes.get_or_create(&ByResult { result }).inc();
        }
        self.count_clusters(refresh);
    }

    fn count_failures(&self, refresh: &Refresh) {
        let mut stages: Vec<&str> = refresh
            .snapshot
            .failures
            .iter()
            .filter_map(|(_, failure)| STAGES.iter().find(|(operation, _)| *operation == failure.operation))
            .map(|(_, stage)| *stage)
            .collect();
        if matches!(refresh.output, Outcome::Failed(_)) {
            stages.push(WRITE);
        }
        stages.sort_unstable();
        stages.dedup();
        for stage in stages {
            let known = STAGES.iter().map(|(_, stage)| *stage).chain([WRITE]).find(|known| *known == stage);
            if let Some(stage) = known {
                self.refresh_failures.get_or_create(&ByStage { stage }).inc();
            }
        }
    }

    /// Sets the clusters' series anew: those of clusters that are gone go with them.
    fn count_clusters(&self, refresh: &Refresh) {
        let mut freshness = self.freshness.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match &refresh.snapshot.clusters {
            Ok(_) => {
                let states = clusters(refresh);
                freshness.retain(|cluster, _| states.iter().any(|(name, _)| name == cluster));
                for (cluster, fresh) in states {
                    let known = freshness.entry(cluster).or_insert(Freshness { as_of: now, stale: !fresh });
                    known.stale = !fresh;
                    if fresh {
                        known.as_of = now;
                    }
                }
            }
            Err(_) => freshness.values_mut().for_each(|known| known.stale = true),
        }
        self.targets.clear();
        for cluster in freshness.keys() {
            start(&self.targets, &ByCluster { cluster: cluster.clone() });
        }
        if refresh.in_force() {
            for group in refresh.targets.iter() {
                let cluster =
                    group.labels.get("cluster_arn").and_then(|arn| arn.rsplit('/').next()).unwrap_or_default();
                self.targets.get_or_create(&ByCluster { cluster: cluster.to_owned() }).inc();
            }
        }
    }

    pub(super) fn attempt(&self, attempt: &Attempt<'_>) {
        let (service, operation) = (attempt.service, attempt.operation);
        let looks_like_one = attempt.code.len() <= LONGEST_CODE
            && attempt.code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        let code = if looks_like_one { attempt.code } else { "other" };
        self.requests.get_or_create(&ByCode { service, operation, code: code.to_owned() }).inc();
        self.request_duration.get_or_create(&ByOperation { service, operation }).observe(attempt.took.as_secs_f64());
        if attempt.throttled {
            self.throttles.get_or_create(&ByOperation { service, operation }).inc();
        }
    }

    pub(super) fn remembers(&self, cache: &'static str, entries: usize) {
        self.cache_entries.get_or_create(&ByCache { cache }).set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    pub(super) fn render(&self, board: &Board, openmetrics: bool) -> String {
        self.last_refresh.set(board.attempted.map_or(0.0, unix_seconds));
        self.last_success.set(board.succeeded.map_or(0.0, unix_seconds));
        self.stale.clear();
        for (cluster, known) in self.freshness.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let stale = if known.stale { known.as_of.elapsed().as_secs_f64() } else { 0.0 };
            self.stale.get_or_create(&ByCluster { cluster: cluster.clone() }).set(stale);
        }
        let mut text = String::new();
        // Writing to memory has nothing that can fail.
        let _ = encode(&mut text, &self.registry);
        if openmetrics { text } else { classic(&text) }
    }
}

/// Makes a series appear before there is anything to count.
fn start<L, M, C>(family: &Family<L, M, C>, labels: &L)
where
    L: Clone + Hash + Eq,
    C: MetricConstructor<M>,
{
    drop(family.get_or_create(labels));
}

/// Each scanned cluster's name, and whether everything in it could be learned.
fn clusters(refresh: &Refresh) -> Vec<(String, bool)> {
    let scanned = refresh.snapshot.clusters.iter().flatten();
    scanned.map(|cluster| (cluster.cluster.name().to_owned(), refresh.knows_all_of(cluster))).collect()
}

fn added<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// From OpenMetrics to the older text format, which names a counter with its suffix in the comments too
/// and knows neither units nor an end mark.
fn classic(openmetrics: &str) -> String {
    let lines: Vec<&str> = openmetrics.lines().collect();
    let counters: Vec<&str> =
        lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(openmetrics.len() + 1024);
    for line in lines {
        let comment = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        let name = comment.and_then(|rest| rest.split(' ').next());
        match name.filter(|name| counters.contains(name)) {
            _ if line == "# EOF" || line.starts_with("# UNIT ") => continue,
            Some(name) => text.push_str(&line.replacen(name, &format!("{name}_total"), 1)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_format_has_counters_by_their_full_names() {
        let openmetrics = "# HELP p_tries Tries of p_tries.\n\
                           # TYPE p_tries counter\n\
                           p_tries_total{of=\"p_tries\"} 1\n\
                           # HELP p_tries_now Tries.\n\
                           # TYPE p_tries_now gauge\n\
                           # UNIT p_tries_now seconds\n\
                           p_tries_now 2.5\n\
                           # EOF\n";
        let expected = "# HELP p_tries_total Tries of p_tries.\n\
                        # TYPE p_tries_total counter\n\
                        p_tries_total{of=\"p_tries\"} 1\n\
                        # HELP p_tries_now Tries.\n\
                        # TYPE p_tries_now gauge\n\
                        p_tries_now 2.5\n";
        assert_eq!(classic(openmetrics), expected);
    }
}
