//! What is known in the middle of a first snapshot.
//!
//! Task definitions are described one at a time at AWS's rate, so that hundreds of them take half a minute. Until then the
//! tasks whose definitions are known can be targets already.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::those::{OfTask, known_tasks, those};
use crate::aws::state::hosts::Hosts;
use crate::inventory::{
    ClusterRef, ClusterTasks, ContainerInstanceArn, Failures, Fetched, HostAddress, ListedTask, NoHost, Snapshot, Task,
    TaskDefinition, TaskDefinitionArn,
};

/// When the first report is made: it is in the file within a second of the program's start.
const FIRST: Duration = Duration::from_millis(850);

/// The time between two reports.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long before each report hosts are resolved, so that it has the tasks on them too: two calls, and their turn in the
/// rate limits.
const HOSTS_BEFORE: Duration = Duration::from_millis(350);

/// The addresses of container instances.
type Resolved = HashMap<ContainerInstanceArn, Fetched<HostAddress, NoHost>>;

/// The tasks and task definitions that have been described so far.
#[derive(Default)]
pub(super) struct Progress {
    tasks: RefCell<HashMap<ClusterRef, Vec<Arc<Task>>>>,
    definitions: RefCell<HashMap<TaskDefinitionArn, Arc<TaskDefinition>>>,
}

impl Progress {
    pub(super) fn task(&self, cluster: &ClusterRef, task: &Arc<Task>) {
        self.tasks.borrow_mut().entry(cluster.clone()).or_default().push(task.clone());
    }

    pub(super) fn definition(&self, arn: &TaskDefinitionArn, definition: &Arc<TaskDefinition>) {
        self.definitions.borrow_mut().insert(arn.clone(), definition.clone());
    }

    /// Reports what is known after [`FIRST`], and then every second for ever: only tasks of which everything is. Hosts are
    /// resolved meanwhile, so that a slow call for them delays only tasks that need one.
    pub(super) async fn report(&self, hosts: &mut Hosts, needs_instance: &OfTask, report: &mut dyn FnMut(Snapshot)) {
        let resolved = RefCell::<Resolved>::default();
        let first = Instant::now() + FIRST;
        let every_second = |first| {
            let mut ticks = interval_at(first, INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let resolving = async {
            let mut ticks = every_second(first - HOSTS_BEFORE);
            loop {
                ticks.tick().await;
                let snapshot = self.snapshot();
                let tasks: Vec<_> = known_tasks(&snapshot.clusters).collect();
                let on_instances = those(&tasks, &snapshot.definitions, needs_instance);
                // Failures are those of the snapshot itself, which resolves hosts again.
                let known = hosts.resolve(&on_instances, &mut Failures::default()).await;
                *resolved.borrow_mut() = known;
            }
        };
        let reporting = async {
            let mut ticks = every_second(first);
            loop {
                ticks.tick().await;
                let snapshot = self.snapshot();
                if !snapshot.definitions.is_empty() {
                    report(with_hosts(snapshot, resolved.borrow().clone(), needs_instance));
                }
            }
        };
        tokio::join!(resolving, reporting);
    }

    fn snapshot(&self) -> Snapshot {
        let definitions = self.definitions.borrow();
        let mut used = HashSet::new();
        let tasks = self.tasks.borrow();
        let clusters = tasks.iter().map(|(cluster, tasks)| {
            let known = tasks.iter().filter(|task| definitions.contains_key(&task.definition));
            let listed = known.map(|task| {
                used.insert(&task.definition);
                ListedTask { arn: task.arn.clone(), task: Fetched::Known(task.clone()) }
            });
            let mut listed: Vec<_> = listed.collect();
            listed.sort_unstable_by(|one, other| one.arn.cmp(&other.arn));
            listed.dedup_by(|one, other| one.arn == other.arn);
            ClusterTasks { cluster: cluster.clone(), tasks: Ok(listed), details: None }
        });
        let mut clusters: Vec<_> = clusters.collect();
        clusters.sort_unstable_by(|one, other| one.cluster.cmp(&other.cluster));
        let known =
            used.into_iter().filter_map(|arn| Some((arn.clone(), Fetched::Known(definitions.get(arn)?.clone()))));
        Snapshot {
            clusters,
            unlisted: None,
            definitions: known.collect(),
            hosts: HashMap::new(),
            failures: Failures::default(),
        }
    }
}

/// Returns the snapshot with these hosts and without the tasks whose hosts are not among them.
fn with_hosts(snapshot: Snapshot, hosts: Resolved, needs_instance: &OfTask) -> Snapshot {
    let known = |listed: &ListedTask| {
        let Fetched::Known(task) = &listed.task else { return false };
        let host = task.container_instance.as_ref().and_then(|arn| hosts.get(arn));
        let needed = match snapshot.definitions.get(&task.definition) {
            Some(Fetched::Known(definition)) => needs_instance(task, definition),
            _ => false,
        };
        !needed || task.container_instance.is_none() || matches!(host, Some(Fetched::Known(_) | Fetched::Gone(_)))
    };
    let of_cluster = |cluster: &ClusterTasks| ClusterTasks {
        cluster: cluster.cluster.clone(),
        tasks: cluster
            .tasks
            .as_ref()
            .map(|tasks| tasks.iter().filter(|task| known(task)).cloned().collect())
            .map_err(|failure| *failure),
        details: None,
    };
    let clusters = snapshot.clusters.iter().map(of_cluster).collect();
    Snapshot { clusters, hosts, ..snapshot }
}
