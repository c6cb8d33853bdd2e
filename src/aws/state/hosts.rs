//! Resolves container instances to the hosts that their attributes name, or to the EC2 instances behind them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::cache::{Cache, NOT_FOUND_TTL};
use super::isolate::isolate;
use super::unverified::{Unverified, report_corrected};
use crate::aws::api::ec2::{self, Ec2, ManagedInstances};
use crate::aws::api::ecs::{self, Ecs};
use crate::inventory::{
    Cached, ClusterRef, ContainerInstance, ContainerInstanceArn, Failure, FailureId, Failures, Fetched, HostAddress,
    Instance, InstanceId, NoHost, Operation, Task,
};

/// How long an instance is cached. It keeps its primary private address for life, even when stopped and
/// started, but it may have been terminated.
const INSTANCE_TTL: Duration = Duration::from_secs(60 * 60);

/// The number of concurrent calls.
const CONCURRENCY: usize = 8;

/// Container instances by the cluster that they are in.
type ByCluster<'a> = HashMap<&'a ClusterRef, Vec<&'a ContainerInstanceArn>>;

/// Container instances that were described with one call.
type DescribedBatch<'a> = (Vec<&'a ContainerInstanceArn>, Result<Descriptions, Failure>);

/// What a response says of each container instance.
type Descriptions = HashMap<ContainerInstanceArn, Result<Fetched<ContainerInstance>, Failure>>;

/// The caches of container instances and EC2 instances.
pub(in crate::aws) struct Hosts {
    ecs: Ecs,
    ec2: Ec2,
    container_instances: Cache<ContainerInstanceArn, ContainerInstance>,
    /// How long a container instance is cached; `None` if nothing of it can change.
    attribute_ttl: Option<Duration>,
    unverified: Unverified<ContainerInstanceArn>,
    instances: Cache<InstanceId, Instance, NoHost>,
}

impl Hosts {
    /// Returns caches that start with the container instances of an earlier run.
    pub(in crate::aws) fn new(
        ecs: Ecs,
        ec2: Ec2,
        restored: BTreeMap<ContainerInstanceArn, ContainerInstance>,
        attribute_ttl: Option<Duration>,
    ) -> Self {
        let unverified = Unverified::new(restored.keys().cloned());
        let (mut container_instances, until) = (Cache::default(), attribute_ttl.map(|ttl| Instant::now() + ttl));
        for (arn, instance) in restored {
            container_instances.insert(arn, instance, until);
        }
        Self { ecs, ec2, container_instances, attribute_ttl, unverified, instances: Cache::default() }
    }

    /// Returns a number that grows with each container instance that is learned.
    pub(in crate::aws) fn generation(&self) -> u64 {
        self.container_instances.generation()
    }

    /// Returns the known container instances.
    pub(in crate::aws) fn known(&self) -> BTreeMap<ContainerInstanceArn, ContainerInstance> {
        self.container_instances.values().map(|(arn, instance)| (arn.clone(), instance.clone())).collect()
    }

    /// Returns the addresses of the container instances of the given tasks.
    pub(in crate::aws) async fn resolve(
        &mut self,
        tasks: &[(&ClusterRef, &Task)],
        failures: &mut Failures,
    ) -> HashMap<ContainerInstanceArn, Fetched<HostAddress, NoHost>> {
        self.verify_restored(tasks).await;
        let container_instances = self.container_instances(tasks, failures).await;
        let managed: HashSet<&ContainerInstanceArn> = tasks
            .iter()
            .filter(|(_, task)| task.on_managed_instance)
            .filter_map(|(_, task)| task.container_instance.as_ref())
            .collect();
        let (mut hidden, mut ordinary) = (HashSet::new(), HashSet::new());
        for (arn, container_instance) in &container_instances {
            if let Fetched::Known(container_instance) = container_instance
                && container_instance.host_attribute.is_none()
                && let Some(id) = instance_id(&container_instance.host_id)
            {
                let ids = if managed.contains(arn) { &mut hidden } else { &mut ordinary };
                ids.insert(id);
            }
        }
        let mut instances = self.instances(ordinary, ManagedInstances::Hidden, failures).await;
        instances.extend(self.instances(hidden, ManagedInstances::Included, failures).await);
        let of_instance = |id: &InstanceId| match instances.get(id) {
            Some(Fetched::Known(instance)) => Fetched::Known(HostAddress::Instance(instance.clone())),
            Some(Fetched::Gone(why)) => Fetched::Gone(*why),
            Some(Fetched::Unknown(failure)) => Fetched::Unknown(*failure),
            None => Fetched::Gone(NoHost::InstanceGone),
        };
        let host = |container_instance| match container_instance {
            Fetched::Known(ContainerInstance { host_attribute: Some(value), .. }) => {
                Fetched::Known(HostAddress::Attribute(value))
            }
            Fetched::Known(ContainerInstance { host_id, .. }) => {
                instance_id(&host_id).map_or(Fetched::Gone(NoHost::External), |id| of_instance(&id))
            }
            Fetched::Gone(()) => Fetched::Gone(NoHost::ContainerInstanceGone),
            Fetched::Unknown(failure) => Fetched::Unknown(failure),
        };
        container_instances.into_iter().map(|(arn, instance)| (arn, host(instance))).collect()
    }

    /// Returns the number of entries in each cache.
    pub(in crate::aws) fn sizes(&self) -> [(Cached, usize); 2] {
        [(Cached::ContainerInstances, self.container_instances.len()), (Cached::Instances, self.instances.len())]
    }

    /// Evicts hosts on which none of the given tasks runs and none ran for `unused_for`.
    pub(in crate::aws) fn evict_unused(&mut self, tasks: &[(&ClusterRef, &Task)], unused_for: Duration) {
        let referenced: HashSet<_> = tasks.iter().filter_map(|(_, task)| task.container_instance.as_ref()).collect();
        self.container_instances.evict_unused(&referenced, unused_for);
        self.unverified.retain(|arn| self.container_instances.last_known(arn).is_some());
        let known = referenced.iter().filter_map(|arn| self.container_instances.last_known(arn));
        let ids: Vec<InstanceId> = known.filter_map(|instance| instance_id(&instance.host_id)).collect();
        self.instances.evict_unused(&ids.iter().collect(), unused_for);
    }

    /// Returns the tasks' container instances. While ECS cannot be asked, an expired entry still serves.
    async fn container_instances(
        &mut self,
        tasks: &[(&ClusterRef, &Task)],
        failures: &mut Failures,
    ) -> HashMap<ContainerInstanceArn, Fetched<ContainerInstance>> {
        let now = Instant::now();
        let (mut known, unknown) = self.cached_container_instances(tasks, now);
        for (arns, response) in self.describe_container_instances(unknown).await {
            let mut response = response.map_err(|failure| failures.record(failure));
            for arn in arns {
                let described = match response.as_mut().map(|described| described.remove(arn)) {
                    Ok(described) => described.unwrap_or(Ok(Fetched::Gone(()))).map_err(|one| failures.record(one)),
                    Err(failure) => Err(*failure),
                };
                known.insert(arn.clone(), self.learn(arn, described, now));
            }
        }
        known
    }

    async fn describe_container_instances<'a>(&self, arns: ByCluster<'a>) -> Vec<DescribedBatch<'a>> {
        let batches = arns.into_iter().flat_map(|(cluster, arns)| {
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

    /// Compares a part of the restored container instances with AWS. A failed call changes nothing, and a later refresh
    /// makes it again.
    async fn verify_restored(&mut self, tasks: &[(&ClusterRef, &Task)]) {
        let (due, mut unverified) = (self.unverified.due(), HashMap::<_, BTreeSet<_>>::new());
        for (cluster, task) in tasks {
            if let Some(arn) = task.container_instance.as_ref().filter(|arn| due.contains(arn)) {
                unverified.entry(*cluster).or_default().insert(arn);
            }
        }
        let unverified = unverified.into_iter().map(|(cluster, arns)| (cluster, arns.into_iter().collect())).collect();
        let responses = self.describe_container_instances(unverified).await;
        let described = responses.into_iter().filter_map(|(_, response)| response.ok()).flatten();
        let described = described.filter_map(|(arn, instance)| Some((arn, instance.ok()?)));
        let compared = described.filter_map(|(arn, instance)| self.correct(&arn, instance).then_some(arn)).collect();
        self.unverified.settle(&compared);
    }

    /// Replaces a restored container instance with AWS's. Returns whether AWS knows it or knows that there is none.
    fn correct(&mut self, arn: &ContainerInstanceArn, described: Fetched<ContainerInstance>) -> bool {
        if let Fetched::Unknown(_) = described {
            return false;
        }
        let restored = self.container_instances.last_known(arn).map(|restored| restored.host_id.clone());
        let current = self.learn(arn, Ok(described), Instant::now());
        // Unlike the id, an attribute may have changed since the file was written.
        if !matches!(&current, Fetched::Known(current) if Some(&current.host_id) == restored.as_ref()) {
            report_corrected(arn);
        }
        true
    }

    /// Caches a described container instance, and returns what is known of it.
    fn learn(
        &mut self,
        arn: &ContainerInstanceArn,
        described: Result<Fetched<ContainerInstance>, FailureId>,
        now: Instant,
    ) -> Fetched<ContainerInstance> {
        match described {
            Ok(Fetched::Known(instance)) => {
                let until = self.attribute_ttl.map(|ttl| now + ttl);
                self.container_instances.insert(arn.clone(), instance.clone(), until);
                Fetched::Known(instance)
            }
            Ok(gone) => {
                self.container_instances.insert_gone(arn.clone(), (), now + NOT_FOUND_TTL);
                gone
            }
            Err(failure) => {
                self.container_instances.last_known(arn).cloned().map_or(Fetched::Unknown(failure), Fetched::Known)
            }
        }
    }

    /// Splits the tasks' container instances into cached ones and, by cluster, those to describe. Calls that are made
    /// anyway are filled up with cached ones, so that those of a cluster expire together and not in a call each.
    fn cached_container_instances<'a>(
        &self,
        tasks: &[(&'a ClusterRef, &'a Task)],
        now: Instant,
    ) -> (HashMap<ContainerInstanceArn, Fetched<ContainerInstance>>, ByCluster<'a>) {
        let mut cached = HashMap::new();
        let (mut unknown, mut others): (HashMap<_, BTreeSet<_>>, HashMap<_, BTreeSet<_>>) = Default::default();
        for (cluster, task) in tasks {
            let Some(arn) = &task.container_instance else { continue };
            match self.container_instances.get(arn, now) {
                Some(instance) => {
                    cached.insert(arn.clone(), instance.clone());
                    others.entry(*cluster).or_default().insert(arn);
                }
                None => drop(unknown.entry(*cluster).or_default().insert(arn)),
            }
        }
        let filled = unknown.into_iter().map(|(cluster, arns)| {
            let free = arns.len().next_multiple_of(ecs::BATCH) - arns.len();
            let free = if self.attribute_ttl.is_some() { free } else { 0 };
            let others = others.remove(cluster).unwrap_or_default();
            (cluster, arns.into_iter().chain(others.into_iter().take(free)).collect())
        });
        let filled = filled.collect();
        (cached, filled)
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

#[cfg(test)]
mod tests;
