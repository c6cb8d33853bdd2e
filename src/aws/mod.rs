//! What AWS says: the only place that names its SDK.
//!
//! [`Aws`] turns one round of API calls into a [`Snapshot`]. A call that fails costs what it would have
//! told and nothing else; what cannot change is not asked twice.

mod cache;
mod cache_file;
mod calls;
mod client;
mod clocks;
mod definitions;
mod ec2;
mod ecs;
mod failure;
mod hosts;
mod known;
mod pages;
mod read;
mod region;
mod role;
mod scan;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::unbounded_channel;

use self::cache_file::{CacheFile, Kept};
use self::calls::Buckets;
pub use self::client::{OPERATION_TIMEOUT, StartError};
use self::clocks::Clocks;
use self::definitions::{Asked, Definitions};
use self::ecs::Ecs;
use self::hosts::Hosts;
use self::known::Known;
use self::scan::{Scan, scan};
use self::watch::Watch;
pub use self::watch::{Attempt, OPERATIONS, Observer};
use crate::config::{AwsConfig, Clusters};
use crate::inventory::{
    ClusterRef, ClusterTasks, Failure, Failures, Fetched, ListedTask, Snapshot, Task, TaskDefinition, TaskDefinitionArn,
};

/// Decides from a task and its definition whether the address of its EC2 instance is needed.
pub type NeedsInstance = Box<dyn Fn(&Task, &TaskDefinition) -> bool + Send + Sync>;

/// How long a "not found" is believed. It may be no more than a record that has not got around in AWS.
const NOT_FOUND_FOR: Duration = Duration::from_secs(120);

/// How long something is remembered that no task was seen to need, while not all tasks can be seen.
const UNUSED_FOR: Duration = Duration::from_secs(60 * 60);

/// How many clusters are scanned side by side.
const CLUSTERS_AT_ONCE: usize = 8;

/// A cluster and what scanning it gave.
type Scanned = (ClusterRef, Result<Scan, Failure>);

/// AWS as a source of snapshots, with what is remembered from one to the next.
pub struct Aws {
    ecs: Ecs,
    clusters: Clusters,
    needs_instance: NeedsInstance,
    /// The tasks that need not be described every time.
    known: HashMap<ClusterRef, Known>,
    /// They are nevertheless.
    describe_all: bool,
    clocks: Clocks,
    definitions: Definitions,
    hosts: Hosts,
    /// Where what cannot change is kept, if anywhere.
    cache_file: Option<CacheFile>,
    observer: Arc<dyn Observer>,
}

impl Aws {
    /// Finds region and credentials and sets the clients up. Nothing of ECS or EC2 is called yet.
    pub async fn connect(
        config: &AwsConfig,
        needs_instance: NeedsInstance,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        let clients = client::connect(config).await?;
        let buckets = Arc::new(Buckets::default());
        let watch = Watch::new(observer.clone());
        let ecs = Ecs::new(clients.ecs, buckets.clone(), watch.clone(), config.details);
        let ec2 = ec2::Ec2::new(clients.ec2, buckets, watch, config.details);
        let (cache_file, kept) = config.cache.as_deref().map(CacheFile::open).unzip();
        let kept = kept.unwrap_or_default();
        Ok(Self {
            definitions: Definitions::new(ecs.clone(), kept.task_definitions),
            hosts: Hosts::new(ecs.clone(), ec2, kept.container_instances),
            cache_file,
            ecs,
            clusters: config.clusters.clone(),
            needs_instance,
            known: HashMap::new(),
            describe_all: config.describe_all,
            clocks: Clocks::new(config.interval),
            observer,
        })
    }

    /// Asks AWS for all there is to know now.
    pub async fn snapshot(&mut self) -> Snapshot {
        let interrupted = self.clocks.were_interrupted();
        if interrupted {
            tracing::info!("the clock jumped or the program was asleep: every task is described again");
        }
        if interrupted || self.describe_all {
            self.doubt_tasks();
        }
        let clusters = match self.cluster_refs().await {
            Ok(clusters) => clusters,
            Err(failure) => {
                self.doubt_tasks();
                return Snapshot::failed(failure);
            }
        };
        let (scanned, asked) = self.scan_and_ask(clusters).await;
        let mut failures = Failures::default();
        let clusters = self.learn_tasks(scanned, &mut failures);
        let tasks: Vec<(&ClusterRef, &Task)> = known_tasks(&clusters).collect();
        let wanted = tasks.iter().filter_map(|(_, task)| wanted_definition(task));
        let definitions = self.definitions.learn(asked, wanted, &mut failures);
        let on_instances = |(_, task): &&(&ClusterRef, &Task)| match definitions.get(&task.definition) {
            Some(Fetched::Known(definition)) => (self.needs_instance)(task, definition),
            _ => false,
        };
        let needing: Vec<_> = tasks.iter().filter(on_instances).copied().collect();
        let hosts = self.hosts.behind(&needing, &mut failures).await;
        // After a failure tasks are missing here that live on, and what they need is soon needed again.
        let unused_for = if failures.is_empty() { Duration::ZERO } else { UNUSED_FOR };
        self.definitions.forget_others(&tasks.iter().map(|(_, task)| &task.definition).collect(), unused_for);
        self.hosts.forget_others(&needing, unused_for);
        self.ecs.forget_unused();
        self.keep().await;
        self.tell_what_is_remembered();
        Snapshot { clusters: Ok(clusters), definitions, hosts, failures }
    }

    async fn cluster_refs(&self) -> Result<Vec<ClusterRef>, Failure> {
        match &self.clusters {
            Clusters::Named(clusters) => Ok(clusters.clone()),
            Clusters::All => self.ecs.list_clusters().await,
        }
    }

    /// Scans the clusters side by side, and asks for the definitions of their tasks meanwhile.
    async fn scan_and_ask(&self, clusters: Vec<ClusterRef>) -> (Vec<Scanned>, Asked) {
        let (want, wanted) = unbounded_channel();
        let none = Known::default();
        let (none, ecs, known) = (&none, &self.ecs, &self.known);
        let scanning = async move {
            let show = |task: &Task| {
                if let Some(definition) = wanted_definition(task) {
                    // Somebody listens for as long as there are scans.
                    let _ = want.send(definition.clone());
                }
            };
            let show = &show;
            let scans = clusters.into_iter().enumerate().map(|(place, cluster)| async move {
                let known = known.get(&cluster).unwrap_or(none);
                let scan = scan(ecs, &cluster, known, show).await;
                (place, (cluster, scan))
            });
            // Unordered, so that a cluster that hangs does not keep the next ones from their turn.
            let mut scanned: Vec<_> = stream::iter(scans).buffer_unordered(CLUSTERS_AT_ONCE).collect().await;
            scanned.sort_unstable_by_key(|(place, _)| *place);
            scanned.into_iter().map(|(_, scanned)| scanned).collect()
        };
        tokio::join!(scanning, self.definitions.ask(wanted))
    }

    fn learn_tasks(&mut self, scanned: Vec<Scanned>, failures: &mut Failures) -> Vec<ClusterTasks> {
        let mut before = std::mem::take(&mut self.known);
        let learned = scanned.into_iter().map(|(cluster, scan)| {
            let mut known = before.remove(&cluster).unwrap_or_default();
            let tasks = match scan {
                Ok(scan) => Ok(scan.into_listed(&cluster, &mut known, failures)),
                Err(failure) => {
                    known.doubt();
                    Err(failures.record(failure))
                }
            };
            self.known.insert(cluster.clone(), known);
            ClusterTasks { cluster, tasks }
        });
        learned.collect()
    }

    /// Has every task described when its cluster is scanned next.
    fn doubt_tasks(&mut self) {
        self.known.values_mut().for_each(Known::doubt);
    }

    /// Keeps what cannot change for the next start.
    async fn keep(&mut self) {
        let (definitions, hosts) = (&self.definitions, &self.hosts);
        if let Some(file) = &mut self.cache_file {
            let learned = definitions.learned() + hosts.learned();
            let kept = || Kept { task_definitions: definitions.known(), container_instances: hosts.known() };
            file.keep(learned, kept).await;
        }
    }

    fn tell_what_is_remembered(&self) {
        let tasks = self.known.values().map(Known::len).sum();
        self.observer.remembers("tasks", tasks);
        self.observer.remembers("task_definitions", self.definitions.len());
        for (cache, entries) in self.hosts.remembered() {
            self.observer.remembers(cache, entries);
        }
    }
}

/// A task's definition, where it is of use and can be had.
fn wanted_definition(task: &Task) -> Option<&TaskDefinitionArn> {
    (!task.last_status.is_going() && !task.definition.is_daemon()).then_some(&task.definition)
}

impl crate::daemon::Source for Aws {
    async fn snapshot(&mut self) -> Snapshot {
        // Boxed: the SDK's futures are nested so deep that rustc's layout query would overflow further up.
        Box::pin(Aws::snapshot(self)).await
    }
}

fn known_tasks(clusters: &[ClusterTasks]) -> impl Iterator<Item = (&ClusterRef, &Task)> {
    clusters.iter().flat_map(|cluster| {
        cluster.tasks.iter().flatten().filter_map(|listed: &ListedTask| match &listed.task {
            Fetched::Known(task) => Some((&cluster.cluster, &**task)),
            _ => None,
        })
    })
}
