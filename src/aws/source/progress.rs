//! What is known in the middle of a first snapshot.
//!
//! Task definitions are described one at a time at AWS's rate, so that hundreds of them take half a minute. Until then the
//! tasks whose definitions are known can be targets already.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::those::{OfTask, known_tasks, those};
use crate::aws::state::hosts::Hosts;
use crate::inventory::{
    ClusterRef, ClusterTasks, Failures, Fetched, ListedTask, Snapshot, Task, TaskDefinition, TaskDefinitionArn,
};

/// The time between two reports.
const INTERVAL: Duration = Duration::from_secs(1);

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

    /// Reports every second, for ever, what is known: only tasks of which everything is.
    pub(super) async fn report(&self, hosts: &mut Hosts, needs_instance: &OfTask, report: &mut dyn FnMut(Snapshot)) {
        loop {
            sleep(INTERVAL).await;
            let mut snapshot = self.snapshot();
            if snapshot.definitions.is_empty() {
                continue;
            }
            let clusters = std::mem::take(&mut snapshot.clusters);
            let tasks: Vec<_> = known_tasks(&clusters).collect();
            let on_instances = those(&tasks, &snapshot.definitions, needs_instance);
            // Failures are those of the snapshot itself, which resolves hosts again.
            snapshot.hosts = hosts.resolve(&on_instances, &mut Failures::default()).await;
            let known = |host| matches!(host, &Fetched::Known(_) | &Fetched::Gone(_));
            let is_known = |task: &Task| {
                task.container_instance.as_ref().is_none_or(|arn| snapshot.hosts.get(arn).is_none_or(known))
            };
            let clusters = clusters.iter().map(|cluster| ClusterTasks {
                cluster: cluster.cluster.clone(),
                tasks: cluster.tasks.as_ref().map_err(|failure| *failure).map(|tasks| {
                    let known =
                        tasks.iter().filter(|listed| matches!(&listed.task, Fetched::Known(task) if is_known(task)));
                    known.cloned().collect()
                }),
                details: None,
            });
            snapshot.clusters = clusters.collect();
            report(snapshot);
        }
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
