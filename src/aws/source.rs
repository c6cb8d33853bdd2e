//! One round of API calls, as a [`Snapshot`].
//!
//! A failed call loses only its own data; what cannot change is not asked twice. How long failing calls delay a round is
//! limited: see [`circuit_breaker`](super::api::circuit_breaker).

mod look;
mod progress;
mod scan_all;
mod those;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use self::progress::Progress;
use self::scan_all::{Scanned, scan_all};
pub use self::those::OfTask;
use self::those::{known_tasks, those, wanted_definition};
use super::api::ec2::Ec2;
use super::api::ecs::Ecs;
use super::api::errors::SKIPPED;
use super::api::sqs::Sqs;
use super::api::{Caller, Reporter};
use super::connect::{self, Connected, Login, Offline, StartError};
use super::state::cache_file::{Contents, LearnedWith};
use super::state::clocks::Clocks;
use super::state::definitions::{Definitions, Described};
use super::state::details::Details;
use super::state::hosts::Hosts;
use super::state::isolate::isolate_evaluation;
use super::state::shared_file::SharedFile;
use super::state::tasks::TaskCache;
use crate::config::{AwsConfig, MetaLabels};
use crate::inventory::{
    Cached, ClusterRef, ClusterTasks, Failure, FailureId, Failures, InScope, Observer, Operation, Scope, Snapshot,
    Source, Task, TaskArn,
};

/// How long cache entries that no task needs are kept while not all tasks can be seen.
const UNUSED_TTL: Duration = Duration::from_secs(60 * 60);

/// Within what time a changed attribute of a container instance takes effect.
const ATTRIBUTES_WITHIN: Duration = Duration::from_secs(10 * 60);

/// AWS in one scope, as a source of snapshots.
pub struct Aws {
    scope: Arc<Scope>,
    caller: Caller,
    ecs: Ecs,
    clusters: InScope,
    /// The credentials, until they have been waited for.
    login: Option<Login>,
    /// Whether the address of a task's EC2 instance is needed.
    needs_instance: OfTask,
    /// Whether a task has targets.
    has_target: OfTask,
    tasks: HashMap<ClusterRef, TaskCache>,
    /// The clusters for which calls failed in the last refresh.
    failed: HashSet<ClusterRef>,
    /// Whether to ignore the task caches.
    describe_all: bool,
    clocks: Clocks,
    definitions: Definitions,
    hosts: Hosts,
    /// What only some meta labels need, if they are enabled.
    details: Option<Details>,
    /// The settings that decide what the caches hold.
    learned_with: LearnedWith,
    cache_file: Option<SharedFile>,
    observer: Arc<dyn Observer>,
}

impl Aws {
    /// Finds regions and credentials, and returns a source for each scope and the queues of events. Calls neither ECS nor EC2.
    pub async fn connect(
        config: &AwsConfig,
        needs_instance: OfTask,
        has_target: OfTask,
        observer: Arc<dyn Observer>,
    ) -> Result<(Vec<Self>, Vec<Sqs>), StartError> {
        let (connected, queues) = connect::connect(config, &observer).await?;
        let (mut files, restored) = match config.cache.clone() {
            Some(path) => SharedFile::open(path, LearnedWith::from(config), connected.len()).await,
            None => (Vec::new(), Contents::default()),
        };
        files.reverse();
        let sources = connected.into_iter().map(|connected| {
            let restored = restored.of_scope(&connected.scope);
            Self::new(
                connected,
                config,
                restored,
                files.pop(),
                [&needs_instance, &has_target].map(Arc::clone),
                observer.clone(),
            )
        });
        Ok((sources.collect(), queues))
    }

    /// Returns a source of a scope whose calls a test responds to. `cache_file` is what the cache file holds.
    pub fn offline(
        offline: &Offline,
        scope: Scope,
        config: &AwsConfig,
        cache_file: &[u8],
        of_task: [OfTask; 2],
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (clients, login) = offline.connect(&scope);
        let clusters = config.clusters.in_scope(&scope);
        let restored = Contents::of_file(cache_file).learned_with(&LearnedWith::from(config)).of_scope(&scope);
        Self::new(Connected { scope, clusters, clients, login }, config, restored, None, of_task, observer)
    }

    fn new(
        connected: Connected,
        config: &AwsConfig,
        restored: Contents,
        cache_file: Option<SharedFile>,
        [needs_instance, has_target]: [OfTask; 2],
        observer: Arc<dyn Observer>,
    ) -> Self {
        let Connected { scope, clusters, clients, login } = connected;
        let scope = Arc::new(scope);
        let observer = login.observed_by(observer);
        let caller = Caller::new(Reporter::new(scope.clone(), observer.clone()));
        let ecs = Ecs::new(clients.ecs, caller.clone(), config);
        let ec2 = Ec2::new(clients.ec2, caller.clone(), config.meta_labels);
        let Contents { learned_with, task_definitions, container_instances } = restored;
        Self {
            scope,
            details: (config.meta_labels == MetaLabels::All).then(|| Details::new(ecs.clone(), ec2.clone())),
            definitions: Definitions::new(ecs.clone(), task_definitions),
            hosts: Hosts::new(ecs.clone(), ec2, container_instances, attribute_ttl(config)),
            learned_with,
            cache_file,
            caller,
            ecs,
            clusters,
            login: Some(login),
            needs_instance,
            has_target,
            tasks: HashMap::new(),
            failed: HashSet::new(),
            describe_all: config.describe_all,
            clocks: Clocks::new(config.interval.longest()),
            observer,
        }
    }

    async fn take_snapshot(&mut self, report: Option<&mut dyn FnMut(Snapshot)>) -> Snapshot {
        self.caller.start_refresh();
        let jumped = self.clocks.start();
        if jumped {
            tracing::info!("clock jump or suspend detected: re-describing all tasks");
        }
        if jumped || self.describe_all {
            self.invalidate_tasks();
        }
        let mut failures = Failures::default();
        let listed = self.list_clusters().await;
        let unlisted = listed.as_ref().err().map(|failure| failures.record(failure.clone()));
        if unlisted.is_some() {
            tracing::debug!("clusters not listed: re-describing all tasks at the next refresh");
            self.invalidate_tasks();
        }
        let (scanned, described) = self.scan(self.clusters.with_listed(listed.unwrap_or_default()), report).await;
        let mut clusters = self.learn_tasks(scanned, unlisted, &mut failures);
        let tasks: Vec<(&ClusterRef, &Task)> = known_tasks(&clusters).collect();
        let wanted = tasks.iter().filter_map(|(_, task)| wanted_definition(task));
        let definitions = self.definitions.learn(described, wanted, &mut failures);
        let on_instances = those(&tasks, &definitions, &self.needs_instance);
        // No target waits for details, and none depends on them: their failures have no part in what follows.
        let with_targets = self.details.as_ref().map(|_| those(&tasks, &definitions, &self.has_target));
        let with_targets = with_targets.unwrap_or_default();
        let learn_details = async {
            match &mut self.details {
                Some(details) => details.learn(&with_targets).await,
                None => Failures::default(),
            }
        };
        let (hosts, of_details) = tokio::join!(self.hosts.resolve(&on_instances, &mut failures), learn_details);
        // After a failure some running tasks are missing here; what they use will be needed again.
        let unused_for = if failures.is_empty() { Duration::ZERO } else { UNUSED_TTL };
        self.definitions.evict_unused(&tasks.iter().map(|(_, task)| &task.definition).collect(), unused_for);
        self.hosts.evict_unused(&on_instances, unused_for);
        if let Some(details) = &mut self.details {
            details.evict_unused(&with_targets, unused_for);
            let mut known = details.known(&with_targets);
            for cluster in &mut clusters {
                cluster.details = known.remove(&cluster.cluster).map(Box::new);
            }
        }
        failures.absorb(of_details);
        self.ecs.evict_unused();
        self.write_cache_file();
        self.report_cache_sizes();
        Snapshot { clusters, unlisted, definitions, hosts, failures }
    }

    /// Lists the clusters of the scope, unless all that are to be scanned are known by name.
    async fn list_clusters(&self) -> Result<Vec<ClusterRef>, Failure> {
        if self.clusters.listed.is_some() { self.ecs.list_clusters().await } else { Ok(Vec::new()) }
    }

    /// Scans the clusters concurrently, and meanwhile describes the definitions of their tasks. Passes what is known so far
    /// to `report` every second.
    async fn scan(
        &mut self,
        clusters: Vec<ClusterRef>,
        report: Option<&mut dyn FnMut(Snapshot)>,
    ) -> (Vec<Scanned>, Described) {
        let progress = report.is_some().then(Progress::default);
        let Self { ecs, tasks, failed, definitions, hosts, needs_instance, .. } = self;
        let scanning = scan_all(ecs, tasks, failed, clusters, definitions, progress.as_ref());
        match (report, &progress) {
            (Some(report), Some(progress)) => tokio::select! {
                scanned = scanning => scanned,
                () = progress.report(hosts, needs_instance, report) => unreachable!("it never ends"),
            },
            _ => scanning.await,
        }
    }

    fn learn_tasks(
        &mut self,
        scanned: Vec<Scanned>,
        unlisted: Option<FailureId>,
        failures: &mut Failures,
    ) -> Vec<ClusterTasks> {
        let mut before = std::mem::take(&mut self.tasks);
        let failed = |(_, scan): &&Scanned| match scan {
            Ok(scan) => scan.has_failures(),
            Err(failure) => failure.code != SKIPPED,
        };
        self.failed = scanned.iter().filter(failed).map(|(cluster, _)| cluster.clone()).collect();
        let learned = scanned.into_iter().map(|(cluster, scan)| {
            let mut cache = before.remove(&cluster).unwrap_or_default();
            let listed = scan.and_then(|scan| {
                let evaluate = || scan.into_listed(&cluster, &mut cache, failures);
                isolate_evaluation(Operation::DescribeTasks, Some(&cluster), evaluate)
            });
            let tasks = match listed {
                Ok(listed) => Ok(listed),
                Err(failure) => {
                    tracing::debug!(%cluster, "cluster not listed: re-describing all its tasks at the next refresh");
                    cache.invalidate();
                    if failure.code == Failure::PANIC {
                        // It may have left the cache inconsistent.
                        cache = TaskCache::default();
                    }
                    Err(failures.record(failure))
                }
            };
            self.tasks.insert(cluster.clone(), cache);
            ClusterTasks { cluster, tasks, details: None }
        });
        let learned = learned.collect();
        if unlisted.is_some() {
            // These clusters may still exist.
            self.tasks.extend(before);
        }
        learned
    }

    fn invalidate_tasks(&mut self) {
        self.tasks.values_mut().for_each(TaskCache::invalidate);
    }

    fn write_cache_file(&self) {
        let (definitions, hosts, learned_with) = (&self.definitions, &self.hosts, &self.learned_with);
        if let Some(file) = &self.cache_file {
            let generation = definitions.generation() + hosts.generation();
            let contents = || Contents {
                learned_with: learned_with.clone(),
                task_definitions: definitions.known(),
                container_instances: hosts.known(),
            };
            file.write(generation, contents);
        }
    }

    fn report_cache_sizes(&self) {
        let tasks = self.tasks.values().map(TaskCache::len).sum();
        self.observer.cached(&self.scope, Cached::Tasks, tasks);
        self.observer.cached(&self.scope, Cached::TaskDefinitions, self.definitions.len());
        for (cache, entries) in self.hosts.sizes() {
            self.observer.cached(&self.scope, cache, entries);
        }
    }
}

impl Source for Aws {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn covers(&self, cluster_arn: &str) -> bool {
        self.scope.contains(cluster_arn) && self.clusters.selects(cluster_arn)
    }

    async fn snapshot(&mut self, report: Option<&mut dyn FnMut(Snapshot)>) -> Snapshot {
        if let Some(login) = self.login.take() {
            // Before it ends, a refresh would fail only because STS is slow.
            login.wait().await;
        }
        // Boxed: the SDK's futures nest so deeply that rustc's layout query would overflow in callers.
        let snapshot = Box::pin(self.take_snapshot(report)).await;
        self.clocks.end();
        snapshot
    }

    async fn look(&mut self, base: &Snapshot, cluster: &ClusterRef, tasks: &[TaskArn]) -> Result<Snapshot, Failure> {
        Box::pin(self.describe_in(base, cluster, tasks)).await
    }

    fn calls(&self) -> Vec<u32> {
        self.caller.calls()
    }
}

/// Returns how long a container instance is cached, whose host attribute may change at any time: so that a refresh
/// within [`ATTRIBUTES_WITHIN`] notices. It is cached permanently if the attribute does not count.
fn attribute_ttl(config: &AwsConfig) -> Option<Duration> {
    config.host_attribute.as_ref().map(|_| ATTRIBUTES_WITHIN.saturating_sub(config.interval.longest()))
}
