//! What AWS says: the only place that names its SDK.
//!
//! [`Aws`] turns one round of API calls into a [`Snapshot`]. A call that fails costs what it would have
//! told and nothing else; what cannot change is not asked twice.

mod cache;
mod calls;
mod client;
mod ec2;
mod ecs;
mod failure;
mod hosts;
mod pages;
mod read;
mod region;
mod role;
mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use self::cache::Cache;
use self::calls::{Buckets, Patience};
pub use self::client::{OPERATION_TIMEOUT, StartError};
use self::ecs::Ecs;
use self::hosts::Hosts;
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

/// How many task definitions are asked for side by side; DescribeTaskDefinition takes one at a time.
const DEFINITIONS_AT_ONCE: usize = 16;

/// AWS as a source of snapshots, with what is remembered from one to the next.
pub struct Aws {
    ecs: Ecs,
    clusters: Clusters,
    needs_instance: NeedsInstance,
    definitions: Cache<TaskDefinitionArn, Arc<TaskDefinition>>,
    hosts: Hosts,
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
        Ok(Self {
            hosts: Hosts::new(ecs.clone(), ec2),
            ecs,
            clusters: config.clusters.clone(),
            needs_instance,
            definitions: Cache::default(),
            observer,
        })
    }

    /// Asks AWS for all there is to know now.
    pub async fn snapshot(&mut self) -> Snapshot {
        let mut failures = Failures::default();
        let clusters = match self.cluster_refs().await {
            Ok(clusters) => self.scan(clusters, &mut failures).await,
            Err(failure) => return Snapshot::failed(failure),
        };
        let tasks: Vec<(&ClusterRef, &Task)> = known_tasks(&clusters).collect();
        let definitions = self.definitions(&tasks, &mut failures).await;
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
        self.observer.remembers("task_definitions", self.definitions.len());
        for (cache, entries) in self.hosts.remembered() {
            self.observer.remembers(cache, entries);
        }
        Snapshot { clusters: Ok(clusters), definitions, hosts, failures }
    }

    async fn cluster_refs(&self) -> Result<Vec<ClusterRef>, Failure> {
        match &self.clusters {
            Clusters::Named(clusters) => Ok(clusters.clone()),
            Clusters::All => self.ecs.list_clusters().await,
        }
    }

    async fn scan(&self, clusters: Vec<ClusterRef>, failures: &mut Failures) -> Vec<ClusterTasks> {
        let scans = clusters.into_iter().enumerate().map(|(place, cluster)| async move {
            let listing = self.ecs.tasks_of(&cluster).await;
            (place, cluster, listing)
        });
        // Unordered, so that a cluster that hangs does not keep the next ones from their turn.
        let mut scanned: Vec<_> = stream::iter(scans).buffer_unordered(CLUSTERS_AT_ONCE).collect().await;
        scanned.sort_unstable_by_key(|(place, ..)| *place);
        let listed = scanned.into_iter().map(|(_, cluster, listing)| {
            let tasks = match listing {
                Ok(described) => Ok(described.into_listed(&cluster, failures)),
                Err(failure) => Err(failures.record(failure)),
            };
            ClusterTasks { cluster, tasks }
        });
        listed.collect()
    }

    /// The definitions of these tasks, from memory where they are known: a revision cannot change.
    async fn definitions(
        &mut self,
        tasks: &[(&ClusterRef, &Task)],
        failures: &mut Failures,
    ) -> HashMap<TaskDefinitionArn, Fetched<Arc<TaskDefinition>>> {
        let now = Instant::now();
        let wanted: HashSet<&TaskDefinitionArn> = tasks
            .iter()
            .filter(|(_, task)| !task.last_status.is_going() && !task.definition.is_daemon())
            .map(|(_, task)| &task.definition)
            .collect();
        let ecs = &self.ecs;
        let unknown = wanted.iter().copied().filter(|arn| self.definitions.get(arn, now).is_none());
        let patience = &Patience::for_rounds_of(DEFINITIONS_AT_ONCE);
        let calls = unknown.map(|arn| async move {
            let give_up = || failure::given_up("DescribeTaskDefinition", None);
            (arn, patience.call(give_up, ecs.definition(arn)).await)
        });
        let answers: Vec<_> = stream::iter(calls).buffer_unordered(DEFINITIONS_AT_ONCE).collect().await;
        let mut definitions = HashMap::with_capacity(wanted.len());
        for (arn, answer) in answers {
            match answer {
                Ok(Some(definition)) => self.definitions.know(arn.clone(), Arc::new(definition), None),
                Ok(None) => self.definitions.know_gone(arn.clone(), (), now + NOT_FOUND_FOR),
                Err(failure) => {
                    definitions.insert(arn.clone(), Fetched::Unknown(failures.record(failure)));
                }
            }
        }
        for arn in wanted {
            if let Some(known) = self.definitions.get(arn, now) {
                definitions.insert(arn.clone(), known.clone());
            }
        }
        definitions
    }
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
            Fetched::Known(task) => Some((&cluster.cluster, task)),
            _ => None,
        })
    })
}
