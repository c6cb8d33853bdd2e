//! From container instances to the addresses of the machines that they are, by way of EC2.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::NOT_FOUND_FOR;
use super::cache::Cache;
use super::ec2::{self, Ec2};
use super::ecs::{self, Ecs};
use crate::inventory::{
    ClusterRef, ContainerInstanceArn, Failures, Fetched, Instance, InstanceId, NoHost, Shared, Task,
};

/// An instance keeps its primary private address for life, also when stopped and started. It is looked
/// at again in case it has been terminated.
const ADDRESS_FOR: Duration = Duration::from_secs(60 * 60);

/// How many batches are asked for side by side.
const BATCHES_AT_ONCE: usize = 4;

/// The machines that tasks run on, and what is remembered of them.
pub(super) struct Hosts {
    ecs: Ecs,
    ec2: Ec2,
    /// What ECS calls the machine: `i-…`, or `mi-…` for ECS Anywhere.
    machines: Cache<ContainerInstanceArn, Shared>,
    instances: Cache<InstanceId, Instance, NoHost>,
}

impl Hosts {
    /// Begins with the machines that are known from earlier.
    pub(super) fn new(ecs: Ecs, ec2: Ec2, kept: BTreeMap<ContainerInstanceArn, Shared>) -> Self {
        let mut machines = Cache::default();
        for (arn, machine) in kept {
            machines.know(arn, machine, None);
        }
        Self { ecs, ec2, machines, instances: Cache::default() }
    }

    /// A number that grows with each machine that is learned.
    pub(super) fn learned(&self) -> u64 {
        self.machines.learned()
    }

    /// The machines that are known.
    pub(super) fn known(&self) -> BTreeMap<ContainerInstanceArn, Shared> {
        self.machines.known().map(|(arn, machine)| (arn.clone(), machine.clone())).collect()
    }

    /// The machines behind the container instances that these tasks, with their clusters, run on.
    pub(super) async fn behind(
        &mut self,
        tasks: &[(&ClusterRef, &Task)],
        failures: &mut Failures,
    ) -> HashMap<ContainerInstanceArn, Fetched<Instance, NoHost>> {
        let machines = self.machines(tasks, failures).await;
        let managed: HashSet<&ContainerInstanceArn> = tasks
            .iter()
            .filter(|(_, task)| task.on_managed_instance)
            .filter_map(|(_, task)| task.container_instance.as_ref())
            .collect();
        let mut ids: [HashSet<InstanceId>; 2] = Default::default();
        for (arn, machine) in &machines {
            if let Fetched::Known(machine) = machine
                && let Some(id) = instance_id(machine)
            {
                ids[usize::from(managed.contains(arn))].insert(id);
            }
        }
        let [ordinary, managed] = ids;
        let mut instances = self.instances_of(ordinary, false, failures).await;
        instances.extend(self.instances_of(managed, true, failures).await);
        let host = |machine: Fetched<Shared>| match machine {
            Fetched::Known(machine) => match instance_id(&machine) {
                Some(id) => instances.get(&id).cloned().unwrap_or(Fetched::Gone(NoHost::InstanceGone)),
                None => Fetched::Gone(NoHost::External),
            },
            Fetched::Gone(()) => Fetched::Gone(NoHost::ContainerInstanceGone),
            Fetched::Unknown(failure) => Fetched::Unknown(failure),
        };
        machines.into_iter().map(|(arn, machine)| (arn, host(machine))).collect()
    }

    /// How much is remembered: container instances, and EC2 instances.
    pub(super) fn remembered(&self) -> [(&'static str, usize); 2] {
        [("container_instances", self.machines.len()), ("instances", self.instances.len())]
    }

    /// Forgets the machines on which none of these tasks runs and none did in the time before.
    pub(super) fn forget_others(&mut self, tasks: &[(&ClusterRef, &Task)], unused_for: Duration) {
        let referenced: HashSet<_> = tasks.iter().filter_map(|(_, task)| task.container_instance.as_ref()).collect();
        self.machines.forget_others(&referenced, unused_for);
        let now = Instant::now();
        let ids: Vec<InstanceId> = referenced
            .iter()
            .filter_map(|arn| match self.machines.get(arn, now) {
                Some(Fetched::Known(machine)) => instance_id(machine),
                _ => None,
            })
            .collect();
        self.instances.forget_others(&ids.iter().collect(), unused_for);
    }

    /// What ECS calls the machines. It cannot change while the container instance is registered.
    async fn machines(
        &mut self,
        tasks: &[(&ClusterRef, &Task)],
        failures: &mut Failures,
    ) -> HashMap<ContainerInstanceArn, Fetched<Shared>> {
        let now = Instant::now();
        let mut machines = HashMap::new();
        let mut unknown: HashMap<&ClusterRef, HashSet<&ContainerInstanceArn>> = HashMap::new();
        for (cluster, arn) in
            tasks.iter().filter_map(|(cluster, task)| Some((cluster, task.container_instance.as_ref()?)))
        {
            match self.machines.get(arn, now) {
                Some(machine) => drop(machines.insert(arn.clone(), machine.clone())),
                None => drop(unknown.entry(cluster).or_default().insert(arn)),
            }
        }
        let batches = unknown.into_iter().flat_map(|(cluster, arns)| {
            let arns: Vec<_> = arns.into_iter().collect();
            arns.chunks(ecs::BATCH).map(|batch| (cluster, batch.to_vec())).collect::<Vec<_>>()
        });
        let ecs = &self.ecs;
        let calls = batches.map(|(cluster, arns)| async move {
            let answer = ecs.container_instances(cluster, &arns).await;
            (arns, answer)
        });
        let answers: Vec<_> = stream::iter(calls).buffer_unordered(BATCHES_AT_ONCE).collect().await;
        for (arns, answer) in answers {
            match answer {
                Ok(answers) => {
                    for (arn, answer) in answers {
                        let machine = answer.unwrap_or_else(|failure| Fetched::Unknown(failures.record(failure)));
                        match &machine {
                            Fetched::Known(id) => self.machines.know(arn.clone(), id.clone(), None),
                            Fetched::Gone(()) => self.machines.know_gone(arn.clone(), (), now + NOT_FOUND_FOR),
                            Fetched::Unknown(_) => {}
                        }
                        machines.insert(arn, machine);
                    }
                }
                Err(failure) => {
                    let failure = failures.record(failure);
                    machines.extend(arns.into_iter().map(|arn| (arn.clone(), Fetched::Unknown(failure))));
                }
            }
        }
        machines
    }

    /// Instances with their addresses. Where EC2 cannot be asked, an address that has been known for longer
    /// than it should still serves.
    async fn instances_of(
        &mut self,
        ids: HashSet<InstanceId>,
        managed: bool,
        failures: &mut Failures,
    ) -> HashMap<InstanceId, Fetched<Instance, NoHost>> {
        let now = Instant::now();
        let unknown: Vec<&InstanceId> = ids.iter().filter(|id| self.instances.get(id, now).is_none()).collect();
        let ec2 = &self.ec2;
        let calls = unknown.chunks(ec2::BATCH).map(|batch| async move { (batch, ec2.hosts(batch, managed).await) });
        let answers: Vec<_> = stream::iter(calls).buffer_unordered(BATCHES_AT_ONCE).collect().await;
        let mut failed = HashMap::new();
        for (batch, answer) in answers {
            match answer {
                Ok(mut hosts) => {
                    for id in batch {
                        let id = (*id).clone();
                        match hosts.remove(&id) {
                            Some(Some(host)) => self.instances.know(id, host, Some(now + ADDRESS_FOR)),
                            Some(None) => self.instances.know_gone(id, NoHost::NoAddress, now + NOT_FOUND_FOR),
                            None => self.instances.know_gone(id, NoHost::InstanceGone, now + NOT_FOUND_FOR),
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
                    (Some(_), Some(host)) => Fetched::Known(host.clone()),
                    (Some(failure), None) => Fetched::Unknown(*failure),
                    (None, _) => self.instances.get(&id, now)?.clone(),
                };
                Some((id, known))
            })
            .collect()
    }
}

/// The EC2 instance id in what ECS calls a machine; none for an ECS Anywhere machine (`mi-…`), whose id
/// must not reach EC2.
fn instance_id(machine: &str) -> Option<InstanceId> {
    machine.starts_with("i-").then(|| machine.into())
}
