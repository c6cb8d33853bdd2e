//! The public addresses of network interfaces. Each is described once, and cached as long as its task.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::calls::Calls;
use super::rotation::WITHIN;
use crate::aws::api::ec2::{BATCH, Ec2, ManagedInstances};
use crate::aws::state::cache::Cache;
use crate::inventory::{Failures, Fetched, Operation, Shared, Task};

/// The network interfaces of tasks that have targets.
pub(super) struct Interfaces {
    ec2: Ec2,
    cache: Cache<Shared, Option<Shared>>,
}

impl Interfaces {
    pub(super) fn new(ec2: Ec2) -> Self {
        Self { ec2, cache: Cache::default() }
    }

    /// Describes the network interfaces of these tasks that are new.
    pub(super) async fn learn(&mut self, tasks: &[&Task], start: Instant) -> Failures {
        let mut failures = Failures::default();
        let mut new: BTreeMap<bool, BTreeSet<Shared>> = BTreeMap::new();
        for task in tasks {
            if let Some(id) = interface(task).filter(|id| self.cache.get(id, start).is_none()) {
                new.entry(task.on_managed_instance).or_default().insert(id.clone());
            }
        }
        let batches = new.into_iter().map(|(managed, ids)| {
            let ids: Vec<Shared> = ids.into_iter().collect();
            (managed, ids.chunks(BATCH).map(<[Shared]>::to_vec).collect())
        });
        let (calls, ec2) = (Calls::new(Operation::DescribeNetworkInterfaces, start), &self.ec2);
        let call = |managed: bool, ids: &[Shared]| {
            let ids = ids.to_vec();
            let managed = if managed { ManagedInstances::Included } else { ManagedInstances::Hidden };
            async move { ec2.describe_network_interfaces(&ids, managed).await }
        };
        for ((_, ids), response) in calls.groups(batches.collect(), call).await {
            match response {
                Ok(mut described) => {
                    for id in ids {
                        match described.remove(&id) {
                            Some(public) => self.cache.insert(id, public, None),
                            None => self.cache.insert_gone(id, (), start + WITHIN),
                        }
                    }
                }
                Err(failure) => drop(failures.record(failure)),
            }
        }
        failures
    }

    /// Returns the public address of a task's network interface.
    pub(super) fn public_ip(&self, task: &Task, now: Instant) -> Option<(Shared, Shared)> {
        let id = interface(task)?;
        match self.cache.get(id, now)? {
            Fetched::Known(Some(public)) => Some((id.clone(), public.clone())),
            _ => None,
        }
    }

    /// Evicts network interfaces that none of these tasks has and none had for `unused_for`.
    pub(super) fn evict_unused(&mut self, tasks: &[&Task], unused_for: Duration) {
        let referenced = tasks.iter().filter_map(|task| interface(task)).collect();
        self.cache.evict_unused(&referenced, unused_for);
    }
}

fn interface(task: &Task) -> Option<&Shared> {
    task.details.as_ref()?.network_interface.as_ref()
}
