//! Resolves container instances to the EC2 instances behind them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::cache::{Cache, NOT_FOUND_TTL};
use super::isolate::isolate;
use super::unverified::{Unverified, report_corrected};
use crate::aws::api::ec2::{self, Ec2, ManagedInstances};
use crate::aws::api::ecs::{self, Ecs};
use crate::inventory::{
    Cached, ClusterRef, ContainerInstanceArn, Failure, Failures, Fetched, Instance, InstanceId, NoHost, Operation,
    Shared, Task,
};

/// How long an instance is cached. It keeps its primary private address for life, even when stopped and
/// started, but it may have been terminated.
const INSTANCE_TTL: Duration = Duration::from_secs(60 * 60);

/// The number of concurrent calls.
const CONCURRENCY: usize = 8;

/// Container instances by the cluster that they are in.
type ByCluster<'a> = HashMap<&'a ClusterRef, HashSet<&'a ContainerInstanceArn>>;

/// Container instances that were described with one call.
type DescribedBatch<'a> = (Vec<&'a ContainerInstanceArn>, Result<HostIds, Failure>);

/// The host id of each described container instance.
type HostIds = HashMap<ContainerInstanceArn, Result<Fetched<Shared>, Failure>>;

/// The caches of container instances and EC2 instances.
pub(in crate::aws) struct Hosts {
    ecs: Ecs,
    ec2: Ec2,
    /// The host's id: `i-…`, or `mi-…` for ECS Anywhere.
    host_ids: Cache<ContainerInstanceArn, Shared>,
    unverified: Unverified<ContainerInstanceArn>,
    instances: Cache<InstanceId, Instance, NoHost>,
}

impl Hosts {
    /// Returns caches that start with the host ids of an earlier run.
    pub(in crate::aws) fn new(ecs: Ecs, ec2: Ec2, restored: BTreeMap<ContainerInstanceArn, Shared>) -> Self {
        let unverified = Unverified::new(restored.keys().cloned());
        let mut host_ids = Cache::default();
        for (arn, id) in restored {
            host_ids.insert(arn, id, None);
        }
        Self { ecs, ec2, host_ids, unverified, instances: Cache::default() }
    }

    /// Returns a number that grows with each host id that is learned.
    pub(in crate::aws) fn generation(&self) -> u64 {
        self.host_ids.generation()
    }

    /// Returns the known host ids.
    pub(in crate::aws) fn known(&self) -> BTreeMap<ContainerInstanceArn, Shared> {
        self.host_ids.values().map(|(arn, id)| (arn.clone(), id.clone())).collect()
    }

    /// Returns the instances behind the container instances of the given tasks.
    pub(in crate::aws) async fn resolve(
        &mut self,
        tasks: &[(&ClusterRef, &Task)],
        failures: &mut Failures,
    ) -> HashMap<ContainerInstanceArn, Fetched<Instance, NoHost>> {
        self.verify_host_ids(tasks).await;
        let host_ids = self.host_ids(tasks, failures).await;
        let managed: HashSet<&ContainerInstanceArn> = tasks
            .iter()
            .filter(|(_, task)| task.on_managed_instance)
            .filter_map(|(_, task)| task.container_instance.as_ref())
            .collect();
        let (mut hidden, mut ordinary) = (HashSet::new(), HashSet::new());
        for (arn, host_id) in &host_ids {
            if let Fetched::Known(host_id) = host_id
                && let Some(id) = instance_id(host_id)
            {
                let ids = if managed.contains(arn) { &mut hidden } else { &mut ordinary };
                ids.insert(id);
            }
        }
        let mut instances = self.instances(ordinary, ManagedInstances::Hidden, failures).await;
        instances.extend(self.instances(hidden, ManagedInstances::Included, failures).await);
        let host = |host_id: Fetched<Shared>| match host_id {
            Fetched::Known(host_id) => match instance_id(&host_id) {
                Some(id) => instances.get(&id).cloned().unwrap_or(Fetched::Gone(NoHost::InstanceGone)),
                None => Fetched::Gone(NoHost::External),
            },
            Fetched::Gone(()) => Fetched::Gone(NoHost::ContainerInstanceGone),
            Fetched::Unknown(failure) => Fetched::Unknown(failure),
        };
        host_ids.into_iter().map(|(arn, host_id)| (arn, host(host_id))).collect()
    }

    /// Returns the number of entries in each cache.
    pub(in crate::aws) fn sizes(&self) -> [(Cached, usize); 2] {
        [(Cached::ContainerInstances, self.host_ids.len()), (Cached::Instances, self.instances.len())]
    }

    /// Evicts hosts on which none of the given tasks runs and none ran for `unused_for`.
    pub(in crate::aws) fn evict_unused(&mut self, tasks: &[(&ClusterRef, &Task)], unused_for: Duration) {
        let referenced: HashSet<_> = tasks.iter().filter_map(|(_, task)| task.container_instance.as_ref()).collect();
        self.host_ids.evict_unused(&referenced, unused_for);
        self.unverified.retain(|arn| self.host_ids.last_known(arn).is_some());
        let now = Instant::now();
        let ids: Vec<InstanceId> = referenced
            .iter()
            .filter_map(|arn| match self.host_ids.get(arn, now) {
                Some(Fetched::Known(host_id)) => instance_id(host_id),
                _ => None,
            })
            .collect();
        self.instances.evict_unused(&ids.iter().collect(), unused_for);
    }

    /// Returns the host ids of the tasks' container instances, which cannot change while the container instance is
    /// registered.
    async fn host_ids(
        &mut self,
        tasks: &[(&ClusterRef, &Task)],
        failures: &mut Failures,
    ) -> HashMap<ContainerInstanceArn, Fetched<Shared>> {
        let now = Instant::now();
        let (mut host_ids, unknown) = self.cached_host_ids(tasks, now);
        for (arns, response) in self.describe_container_instances(unknown).await {
            let described = match response {
                Ok(described) => described,
                Err(failure) => {
                    let failure = failures.record(failure);
                    host_ids.extend(arns.into_iter().map(|arn| (arn.clone(), Fetched::Unknown(failure))));
                    continue;
                }
            };
            for (arn, host_id) in described {
                let host_id = host_id.unwrap_or_else(|failure| Fetched::Unknown(failures.record(failure)));
                match &host_id {
                    Fetched::Known(id) => self.host_ids.insert(arn.clone(), id.clone(), None),
                    Fetched::Gone(()) => self.host_ids.insert_gone(arn.clone(), (), now + NOT_FOUND_TTL),
                    Fetched::Unknown(_) => {}
                }
                host_ids.insert(arn, host_id);
            }
        }
        host_ids
    }

    async fn describe_container_instances<'a>(&self, arns: ByCluster<'a>) -> Vec<DescribedBatch<'a>> {
        let batches = arns.into_iter().flat_map(|(cluster, arns)| {
            let arns: Vec<_> = arns.into_iter().collect();
            arns.chunks(ecs::BATCH).map(|batch| (cluster, batch.to_vec())).collect::<Vec<_>>()
        });
        let ecs = &self.ecs;
        let calls = batches.map(|(cluster, arns)| async move {
            let call = ecs.describe_container_instances(cluster, &arns);
            let response = isolate(Operation::DescribeContainerInstances, Some(cluster), call).await;
            (arns, response)
        });
        stream::iter(calls).buffer_unordered(CONCURRENCY).collect().await
    }

    /// Compares a part of the restored host ids with AWS. A failed call changes nothing, and a later refresh makes it
    /// again.
    async fn verify_host_ids(&mut self, tasks: &[(&ClusterRef, &Task)]) {
        let (due, mut unverified) = (self.unverified.due(), ByCluster::new());
        for (cluster, task) in tasks {
            if let Some(arn) = task.container_instance.as_ref().filter(|arn| due.contains(arn)) {
                unverified.entry(*cluster).or_default().insert(arn);
            }
        }
        let responses = self.describe_container_instances(unverified).await;
        let described = responses.into_iter().filter_map(|(_, response)| response.ok()).flatten();
        let described = described.filter_map(|(arn, host_id)| Some((arn, host_id.ok()?)));
        let compared =
            described.filter_map(|(arn, host_id)| self.correct_host_id(&arn, host_id).then_some(arn)).collect();
        self.unverified.settle(&compared);
    }

    /// Replaces a restored host id with AWS's. Returns whether AWS knows it or knows that there is none.
    fn correct_host_id(&mut self, arn: &ContainerInstanceArn, host_id: Fetched<Shared>) -> bool {
        match host_id {
            Fetched::Unknown(_) => return false,
            Fetched::Known(id) if self.host_ids.last_known(arn) == Some(&id) => return true,
            Fetched::Known(id) => self.host_ids.insert(arn.clone(), id, None),
            Fetched::Gone(()) => self.host_ids.insert_gone(arn.clone(), (), Instant::now() + NOT_FOUND_TTL),
        }
        report_corrected(arn);
        true
    }

    /// Splits the tasks' container instances into cached ones and, by cluster, the others.
    fn cached_host_ids<'a>(
        &self,
        tasks: &[(&'a ClusterRef, &'a Task)],
        now: Instant,
    ) -> (HashMap<ContainerInstanceArn, Fetched<Shared>>, ByCluster<'a>) {
        let mut cached = HashMap::new();
        let mut unknown = ByCluster::new();
        for (cluster, task) in tasks {
            let Some(arn) = &task.container_instance else { continue };
            match self.host_ids.get(arn, now) {
                Some(host_id) => drop(cached.insert(arn.clone(), host_id.clone())),
                None => drop(unknown.entry(*cluster).or_default().insert(arn)),
            }
        }
        (cached, unknown)
    }

    /// Returns instances by id. While EC2 cannot be asked, an expired entry still serves.
    async fn instances(
        &mut self,
        ids: HashSet<InstanceId>,
        managed: ManagedInstances,
        failures: &mut Failures,
    ) -> HashMap<InstanceId, Fetched<Instance, NoHost>> {
        let now = Instant::now();
        let unknown: Vec<&InstanceId> = ids.iter().filter(|id| self.instances.get(id, now).is_none()).collect();
        let ec2 = &self.ec2;
        let calls = unknown.chunks(ec2::BATCH).map(|batch| async move {
            let call = ec2.describe_instances(batch, managed);
            (batch, isolate(Operation::DescribeInstances, None, call).await)
        });
        let responses: Vec<_> = stream::iter(calls).buffer_unordered(CONCURRENCY).collect().await;
        let mut failed = HashMap::new();
        for (batch, response) in responses {
            match response {
                Ok(mut described) => {
                    for id in batch {
                        let id = (*id).clone();
                        match described.remove(&id) {
                            Some(Some(instance)) => self.instances.insert(id, instance, Some(now + INSTANCE_TTL)),
                            Some(None) => self.instances.insert_gone(id, NoHost::NoAddress, now + NOT_FOUND_TTL),
                            None => self.instances.insert_gone(id, NoHost::InstanceGone, now + NOT_FOUND_TTL),
                        }
                    }
                }
                Err(failure) => {
                    let failure = failures.record(failure);
                    failed.extend(batch.iter().map(|id| ((*id).clone(), failure)));
                }
            }
        }
        ids.into_iter()
            .filter_map(|id| {
                let known = match (failed.get(&id), self.instances.last_known(&id)) {
                    (Some(_), Some(instance)) => Fetched::Known(instance.clone()),
                    (Some(failure), None) => Fetched::Unknown(*failure),
                    (None, _) => self.instances.get(&id, now)?.clone(),
                };
                Some((id, known))
            })
            .collect()
    }
}

/// Returns the EC2 instance id in a host id; `None` for an ECS Anywhere host (`mi-…`), whose id EC2 refuses.
fn instance_id(host_id: &str) -> Option<InstanceId> {
    host_id.starts_with("i-").then(|| host_id.into())
}
