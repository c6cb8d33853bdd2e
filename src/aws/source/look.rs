//! A look at some tasks between two snapshots.

use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;

use super::Aws;
use super::those::{those, wanted_definition};
use crate::aws::state::isolate::isolate;
use crate::inventory::{ClusterRef, Failure, Fetched, Operation, Snapshot, Task, TaskArn};

impl Aws {
    /// Describes these tasks, and returns the snapshot with what is known of them now.
    pub(super) async fn describe_in(
        &mut self,
        base: &Snapshot,
        cluster: &ClusterRef,
        tasks: &[TaskArn],
    ) -> Result<Snapshot, Failure> {
        let call = isolate(Operation::DescribeTasks, Some(cluster), self.ecs.describe_tasks(cluster, tasks));
        let mut described = call.await?;
        let mut snapshot = base.clone();
        let mut clusters = snapshot.clusters.iter_mut();
        let scanned = clusters.find(|scanned| scanned.cluster == *cluster && scanned.tasks.is_ok());
        let Some(scanned) = scanned else { return Ok(snapshot) };
        let mut known = Vec::new();
        for arn in tasks {
            // A task that the response lacks or that cannot be converted stays what it was.
            if let Some(Ok(mut task)) = described.remove(arn) {
                if let Fetched::Known(task) = &mut task {
                    self.tasks.get(cluster).inspect(|cache| cache.share(task));
                    known.push(task.clone());
                }
                scanned.describe(arn, task);
            }
        }
        self.learn_what_they_need(&mut snapshot, cluster, &known).await;
        Ok(snapshot)
    }

    /// Adds the task definitions and the hosts of tasks to a snapshot.
    async fn learn_what_they_need(&mut self, snapshot: &mut Snapshot, cluster: &ClusterRef, tasks: &[Arc<Task>]) {
        let wanted: Vec<_> = tasks.iter().filter_map(|task| wanted_definition(task)).collect();
        let (want, receive) = unbounded_channel();
        for definition in &wanted {
            // The receiver lives until the next line but one.
            let _ = want.send((*definition).clone());
        }
        drop(want);
        let described = self.definitions.describe(receive, |_, _| {}).await;
        let definitions = self.definitions.learn(described, wanted, &mut snapshot.failures);
        snapshot.definitions.extend(definitions);
        let tasks: Vec<_> = tasks.iter().map(|task| (cluster, &**task)).collect();
        let on_instances = those(&tasks, &snapshot.definitions, &self.needs_instance);
        let hosts = self.hosts.resolve(&on_instances, &mut snapshot.failures).await;
        snapshot.hosts.extend(hosts);
        self.learn_details(snapshot, cluster, &tasks).await;
    }

    /// Adds what only meta labels need of the tasks that have targets.
    async fn learn_details(&mut self, snapshot: &mut Snapshot, cluster: &ClusterRef, tasks: &[(&ClusterRef, &Task)]) {
        let Some(details) = &mut self.details else { return };
        let with_targets = those(tasks, &snapshot.definitions, &self.has_target);
        snapshot.failures.absorb(details.learn_new(&with_targets).await);
        let scanned = snapshot.clusters.iter_mut().find(|scanned| scanned.cluster == *cluster);
        if let (Some(scanned), Some(known)) = (scanned, details.known(&with_targets).remove(cluster)) {
            scanned.details.get_or_insert_default().extend(known);
        }
    }
}
