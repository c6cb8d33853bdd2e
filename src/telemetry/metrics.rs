//! Metrics about the program: base units, fixed label names, and every series present from the start.

mod clusters;
mod labels;
mod series;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use self::labels::{
    Build, ByCache, ByCause, ByCluster, ByCode, ByEvent, ByOperation, ByQueue, ByReason, ByResult, ByScope, ByStage,
    WriteResult, code,
};
use self::series::{Histograms, Seconds, create, register, remove_others, set, unix_seconds};
use self::text::classic;
use super::process::Process;
use crate::events::{EventResult, QueueState};
use crate::inventory::{Attempt, Cached, Failure, Operation, Scope};
use crate::publish::{Outcome, Publication};
use crate::refresh::{Cause, Refresh};
use crate::status::Status;
use crate::targets::SkipReason;
use crate::writer::Written;

/// The prefix of every metric's name.
const PREFIX: &str = "ecs_discovery";

/// The stage of writing the output.
const WRITE: &str = "write";

/// The causes of changes learned between refreshes.
const WATCH: &str = "watch";
const EVENT: &str = "event";

/// The stage of a refresh that panicked, as a whole or in part.
const PANIC: &str = "panic";

/// The format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// OpenMetrics text.
    OpenMetrics,
    /// Prometheus's older text format.
    Classic,
}

/// The metrics.
pub(super) struct Metrics {
    registry: Registry,
    refreshes: Counter,
    refresh_failures: Family<ByStage, Counter>,
    refresh_duration: Histogram,
    refresh_interval: Family<ByScope, Seconds>,
    updates: Family<ByCause, Counter>,
    events: Family<ByEvent, Counter>,
    queue_up: Family<ByQueue, Gauge>,
    last_event: Family<ByQueue, Seconds>,
    events_missing: Family<ByScope, Gauge>,
    last_refresh: Seconds,
    last_success: Seconds,
    targets: Family<ByCluster, Gauge>,
    stale: Family<ByCluster, Seconds>,
    oldest_kept: Seconds,
    skipped: Family<ByReason, Gauge>,
    requests: Family<ByCode, Counter>,
    request_duration: Histograms<ByOperation>,
    throttles: Family<ByOperation, Counter>,
    writes: Family<ByResult, Counter>,
    cache_entries: Family<ByCache, Gauge>,
    /// Held while a refresh is counted and while metrics are rendered, so that a scrape sees all of a refresh or nothing.
    shown: Mutex<Shown>,
}

/// What has series.
#[derive(Default)]
struct Shown {
    scopes: BTreeSet<ByScope>,
    codes: BTreeSet<ByCode>,
    targets: BTreeSet<ByCluster>,
    stale: BTreeSet<ByCluster>,
    /// The number of entries in the caches of each scope.
    cached: BTreeMap<(Scope, &'static str), usize>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let r = registry.sub_registry_with_prefix(PREFIX);
        let build: Family<Build, Gauge> = register(r, "build_info", "What this program was built from, always 1");
        let revision = option_env!("ECS_DISCOVERY_REVISION").unwrap_or("unknown");
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION"), revision }).set(1);
        let duration = Histogram::new(exponential_buckets(0.05, 2.0, 12));
        r.register("refresh_duration_seconds", "How long refreshes took", duration.clone());
        let new_histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.01, 2.0, 11));
        let request_duration = Family::new_with_constructor(new_histogram);
        r.register("aws_request_duration_seconds", "How long attempts to call AWS took", request_duration.clone());
        let metrics = Self {
            refreshes: register(r, "refreshes", "Refreshes that ended"),
            refresh_failures: register(r, "refresh_failures", "Refreshes in which this stage failed"),
            refresh_duration: duration,
            refresh_interval: register(r, "refresh_interval_seconds", "Time between the starts of refreshes"),
            updates: register(r, "updates", "Changes learned between refreshes"),
            events: register(r, "events", "Events received from queues"),
            queue_up: register(r, "events_queue_up", "Whether events are received from a queue and deleted"),
            last_event: register(
                r,
                "events_last_received_timestamp_seconds",
                "When a queue last had messages, 0 before",
            ),
            events_missing: register(r, "events_missing", "Whether tasks changed and no event told of it"),
            last_refresh: register(
                r,
                "last_refresh_timestamp_seconds",
                "When the last refresh began, 0 before the first",
            ),
            last_success: register(
                r,
                "last_successful_refresh_timestamp_seconds",
                "When a refresh last ended without a failure, 0 before",
            ),
            targets: register(r, "targets", "Targets in force, including last known ones"),
            stale: register(
                r,
                "cluster_stale_seconds",
                "How long a cluster has not been learned completely, 0 if it was",
            ),
            oldest_kept: register(
                r,
                "oldest_kept_target_seconds",
                "How long ago the oldest of the last known targets was learned, 0 without any",
            ),
            skipped: register(r, "containers_skipped", "Containers that are not targets"),
            requests: register(r, "aws_requests", "Attempts to call AWS"),
            request_duration,
            throttles: register(r, "aws_throttles", "Attempts that AWS throttled"),
            writes: register(r, "file_writes", "Results of writing the file, one per refresh"),
            cache_entries: register(r, "cache_entries", "Entries that are cached between refreshes"),
            shown: Mutex::default(),
            registry: Registry::default(),
        };
        let metrics = Self { registry, ..metrics };
        metrics.create_every_series();
        metrics
    }

    /// Creates every series that is not of a scope, because alerts cannot see the first event of a series that it creates.
    fn create_every_series(&self) {
        for stage in [WRITE, PANIC] {
            create(&self.refresh_failures, &ByScope::none().stage(stage));
        }
        for cause in [WATCH, EVENT] {
            create(&self.updates, &ByCause { cause });
        }
        for result in EventResult::ALL {
            create(&self.events, &ByEvent { result: result.name() });
        }
        for reason in SkipReason::CODES {
            create(&self.skipped, &ByReason { reason });
        }
        for result in [WriteResult::replaced, WriteResult::unchanged, WriteResult::failed, WriteResult::not_overwritten]
        {
            create(&self.writes, &ByResult { result });
        }
        for cache in Cached::ALL {
            create(&self.cache_entries, &ByCache { cache: cache.name() });
        }
    }

    /// Creates every series of a scope.
    fn create_scope(&self, scope: &ByScope, codes: &mut BTreeSet<ByCode>) {
        for stage in Operation::OF_REFRESHES.map(Operation::stage).into_iter().chain([PANIC]) {
            create(&self.refresh_failures, &scope.stage(stage));
        }
        // Calls to STS are made inside the SDK's credential chain, where attempts cannot be observed.
        for operation in Operation::OF_REFRESHES.into_iter().filter(|operation| *operation != Operation::AssumeRole) {
            codes.insert(self.create_operation(scope, operation));
        }
    }

    /// Creates the series of an operation in a scope, and returns that of its successes.
    fn create_operation(&self, scope: &ByScope, operation: Operation) -> ByCode {
        let ok = scope.code(operation, "ok");
        create(&self.requests, &ok);
        create(&self.request_duration, &scope.operation(operation));
        create(&self.throttles, &scope.operation(operation));
        ok
    }

    pub(super) fn refresh_started(&self, scope: &Scope) {
        let mut shown = self.shown();
        let scope = ByScope::of(scope);
        if !shown.scopes.contains(&scope) {
            self.create_scope(&scope, &mut shown.codes);
            shown.scopes.insert(scope);
        }
    }

    fn remove_scope(&self, scope: &ByScope, codes: &mut BTreeSet<ByCode>) {
        for stage in Operation::OF_REFRESHES.map(Operation::stage).into_iter().chain([PANIC]) {
            self.refresh_failures.remove(&scope.stage(stage));
        }
        for operation in Operation::OF_REFRESHES {
            self.request_duration.remove(&scope.operation(operation));
            self.throttles.remove(&scope.operation(operation));
        }
        codes.retain(|code| {
            let goes = scope.has(&code.account_id, &code.region);
            !(goes && self.requests.remove(code))
        });
        self.refresh_interval.remove(scope);
        self.events_missing.remove(scope);
    }

    /// Removes the series of scopes that are gone.
    fn count_scopes(&self, publication: &Publication, shown: &mut Shown) {
        let scopes: BTreeSet<_> = publication.refreshes.iter().map(|refresh| ByScope::of(&refresh.asked)).collect();
        if publication.outstanding > 0 {
            // The others may still come.
            return;
        }
        for scope in shown.scopes.difference(&scopes) {
            self.remove_scope(scope, &mut shown.codes);
        }
        shown.cached.retain(|(scope, _), _| scopes.contains(&ByScope::of(scope)));
        shown.scopes = scopes;
    }

    pub(super) fn panicked(&self) {
        self.refresh_failures.get_or_create(&ByScope::none().stage(PANIC)).inc();
    }

    pub(super) fn published(&self, publication: &Publication) {
        let mut shown = self.shown();
        self.count_scopes(publication, &mut shown);
        for refresh in &publication.new {
            match refresh.cause {
                Cause::Interval => {
                    self.refreshes.inc();
                    self.refresh_duration.observe(refresh.took.as_secs_f64());
                    self.count_failures(refresh);
                }
                Cause::Start => {}
                Cause::Watch => drop(self.updates.get_or_create(&ByCause { cause: WATCH }).inc()),
                Cause::Event => drop(self.updates.get_or_create(&ByCause { cause: EVENT }).inc()),
            }
        }
        let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
        for (reason, count) in publication.refreshes.iter().flat_map(|refresh| refresh.derived.skipped_by_reason()) {
            *skipped.entry(reason).or_default() += count;
        }
        for reason in SkipReason::CODES {
            set(&self.skipped, &ByReason { reason }, skipped.get(reason).copied().unwrap_or(0));
        }
        let result = match &publication.output {
            Outcome::Written(Written::Replaced(_) | Written::InPlace(_)) => Some(WriteResult::replaced),
            Outcome::Written(Written::Unchanged) => Some(WriteResult::unchanged),
            Outcome::Failed(_) => Some(WriteResult::failed),
            Outcome::NotOverwritten(_) => Some(WriteResult::not_overwritten),
            Outcome::NothingKnown => None,
        };
        if let Some(result) = result {
            self.writes.get_or_create(&ByResult { result }).inc();
        }
        if matches!(publication.output, Outcome::Failed(_)) {
            self.refresh_failures.get_or_create(&ByScope::none().stage(WRITE)).inc();
        }
        self.count_clusters(publication, &mut shown.targets);
    }

    pub(super) fn interval(&self, scope: &Scope, interval: Duration) {
        self.refresh_interval.get_or_create(&ByScope::of(scope)).set(interval.as_secs_f64());
    }

    pub(super) fn event(&self, result: EventResult) {
        self.events.get_or_create(&ByEvent { result: result.name() }).inc();
    }

    pub(super) fn events_received(&self, url: &str) {
        self.last_event.get_or_create(&ByQueue { queue: url.to_owned() }).set(unix_seconds(SystemTime::now()));
    }

    pub(super) fn queue_added(&self, url: &str, scope: &Scope) {
        let queue = ByQueue { queue: url.to_owned() };
        create(&self.last_event, &queue);
        create(&self.queue_up, &queue);
        for operation in Operation::OF_QUEUES {
            self.create_operation(&ByScope::of(scope), operation);
        }
    }

    pub(super) fn queue(&self, url: &str, state: QueueState) {
        self.queue_up.get_or_create(&ByQueue { queue: url.to_owned() }).set(i64::from(state == QueueState::Up));
    }

    pub(super) fn events_missing(&self, scope: &Scope, missing: bool) {
        self.events_missing.get_or_create(&ByScope::of(scope)).set(i64::from(missing));
    }

    fn count_failures(&self, refresh: &Refresh) {
        let mut stages: Vec<_> =
            refresh.snapshot.failures.iter().map(|(_, failure)| failure.operation.stage()).collect();
        if refresh.snapshot.failures.iter().any(|(_, failure)| failure.code == Failure::PANIC) {
            stages.push(PANIC);
        }
        stages.sort_unstable();
        stages.dedup();
        let scope = ByScope::of(&refresh.asked);
        for stage in stages {
            self.refresh_failures.get_or_create(&scope.stage(stage)).inc();
        }
    }

    fn count_clusters(&self, publication: &Publication, shown: &mut BTreeSet<ByCluster>) {
        let counts = clusters::targets(publication);
        for (cluster, count) in &counts {
            set(&self.targets, cluster, *count);
        }
        remove_others(&self.targets, shown, counts.into_keys().collect());
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn attempt(&self, attempt: &Attempt<'_>) {
        let scope = ByScope::of(attempt.scope);
        let (by_code, by_operation) =
            (scope.code(attempt.operation, code(attempt)), scope.operation(attempt.operation));
        self.requests.get_or_create(&by_code).inc();
        self.request_duration.get_or_create(&by_operation).observe(attempt.took.as_secs_f64());
        if attempt.throttled {
            self.throttles.get_or_create(&by_operation).inc();
        }
        // A queue has its series as long as the process lives, also where a scope of the same account and region goes.
        if !attempt.operation.is_of_queue() {
            self.shown().codes.insert(by_code);
        }
    }

    pub(super) fn cached(&self, scope: &Scope, cache: Cached, entries: usize) {
        let mut shown = self.shown();
        shown.cached.insert((scope.clone(), cache.name()), entries);
        let of_scopes = shown.cached.iter().filter(|((_, name), _)| *name == cache.name());
        let all = of_scopes.map(|(_, entries)| entries).sum();
        set(&self.cache_entries, &ByCache { cache: cache.name() }, all);
    }

    pub(super) fn render(&self, status: &Status, format: MetricsFormat) -> String {
        let mut shown = self.shown();
        self.last_refresh.set(status.last_refresh.map_or(0.0, unix_seconds));
        self.last_success.set(status.last_success.map_or(0.0, unix_seconds));
        let refreshes = status.publication.iter().flat_map(|publication| &publication.refreshes);
        let oldest_kept = refreshes.filter_map(|refresh| refresh.oldest_kept).min();
        self.oldest_kept.set(oldest_kept.map_or(0.0, |at| at.elapsed().as_secs_f64()));
        let stale = clusters::staleness(status);
        for (cluster, seconds) in &stale {
            self.stale.get_or_create(cluster).set(*seconds);
        }
        remove_others(&self.stale, &mut shown.stale, stale.into_keys().collect());
        let mut text = String::new();
        // Writing to memory cannot fail.
        let _ = encode(&mut text, &self.registry);
        match format {
            MetricsFormat::OpenMetrics => text,
            MetricsFormat::Classic => classic(&text),
        }
    }
}

#[cfg(test)]
mod tests;
