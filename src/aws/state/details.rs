//! What `-config.meta-labels=all` adds: services, clusters and network interfaces.
//!
//! No target depends on them. A failed call leaves the labels as last known, and a refresh waits for these calls only
//! for a few seconds.

mod calls;
mod interfaces;
mod rotation;
mod services;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use self::interfaces::Interfaces;
use self::rotation::{Plan, Wanted};
use self::services::{Clusters, Services};
use crate::aws::api::ec2::Ec2;
use crate::aws::api::ecs::Ecs;
use crate::inventory::{ClusterDetails, ClusterRef, Failures, Shared, Task};

/// A task that has targets, with the cluster in which it was listed.
type InCluster<'a> = (&'a ClusterRef, &'a Task);

/// The caches of services, clusters and network interfaces.
pub(in crate::aws) struct Details {
    services: Services,
    clusters: Clusters,
    interfaces: Interfaces,
}

impl Details {
    pub(in crate::aws) fn new(ecs: Ecs, ec2: Ec2) -> Self {
        Self { services: Services::new(ecs.clone()), clusters: Clusters::new(ecs), interfaces: Interfaces::new(ec2) }
    }

    /// Makes the calls that are due for these tasks, which all have targets.
    pub(in crate::aws) async fn learn(&mut self, tasks: &[InCluster<'_>]) -> Failures {
        let start = Instant::now();
        let services = self.services.rotation.plan(&wanted_services(tasks), start);
        let clusters = self.clusters.rotation.plan(&wanted_clusters(tasks), start);
        self.make(services, clusters, tasks, start).await
    }

    /// Makes the calls for what is new with these tasks, which are some of those that have targets.
    pub(in crate::aws) async fn learn_new(&mut self, tasks: &[InCluster<'_>]) -> Failures {
        let services = self.services.rotation.plan_new(&wanted_services(tasks));
        let clusters = self.clusters.rotation.plan_new(&wanted_clusters(tasks));
        self.make(services, clusters, tasks, Instant::now()).await
    }

    async fn make(
        &mut self,
        services: Plan<ClusterRef, Shared>,
        clusters: Plan<(), ClusterRef>,
        tasks: &[InCluster<'_>],
        start: Instant,
    ) -> Failures {
        let tasks: Vec<&Task> = tasks.iter().map(|(_, task)| *task).collect();
        let (mut failures, of_clusters, of_interfaces) = tokio::join!(
            self.services.learn(services, start),
            self.clusters.learn(clusters, start),
            self.interfaces.learn(&tasks, start),
        );
        failures.absorb(of_clusters);
        failures.absorb(of_interfaces);
        failures
    }

    /// Returns what is known of the clusters that these tasks were listed in.
    pub(in crate::aws) fn known(&self, tasks: &[InCluster<'_>]) -> HashMap<ClusterRef, ClusterDetails> {
        let now = Instant::now();
        let tags: HashMap<_, _> = self.clusters.rotation.known(&()).collect();
        let mut known: HashMap<ClusterRef, ClusterDetails> = HashMap::new();
        for (cluster, task) in tasks {
            if !known.contains_key(*cluster) {
                let services = self.services.rotation.known(cluster);
                let services = services.map(|(name, service)| (name.clone(), service.clone())).collect();
                let tags = tags.get(cluster).map(|tags| (*tags).clone());
                known.insert((*cluster).clone(), ClusterDetails { tags, services, public_ips: HashMap::new() });
            }
            if let Some(details) = known.get_mut(*cluster) {
                details.public_ips.extend(self.interfaces.public_ip(task, now));
            }
        }
        known
    }

    /// Evicts what none of these tasks needs and none needed for `unused_for`.
    pub(in crate::aws) fn evict_unused(&mut self, tasks: &[InCluster<'_>], unused_for: Duration) {
        let now = Instant::now();
        self.services.rotation.evict_unused(&wanted_services(tasks), unused_for, now);
        self.clusters.rotation.evict_unused(&wanted_clusters(tasks), unused_for, now);
        let tasks: Vec<&Task> = tasks.iter().map(|(_, task)| *task).collect();
        self.interfaces.evict_unused(&tasks, unused_for);
    }
}

/// Returns the services of these tasks, as their groups name them: ListServices is not needed.
fn wanted_services(tasks: &[InCluster<'_>]) -> Wanted<ClusterRef, Shared> {
    let mut wanted = Wanted::<ClusterRef, Shared>::new();
    for (cluster, task) in tasks {
        let Some(service) = task.service() else { continue };
        if !wanted.contains_key(*cluster) {
            wanted.insert((*cluster).clone(), Default::default());
        }
        if let Some(services) = wanted.get_mut(*cluster)
            && !services.contains(service)
        {
            services.insert(service.into());
        }
    }
    wanted
}

fn wanted_clusters(tasks: &[InCluster<'_>]) -> Wanted<(), ClusterRef> {
    let mut wanted = Wanted::<(), ClusterRef>::new();
    for (cluster, _) in tasks {
        let clusters = wanted.entry(()).or_default();
        if !clusters.contains(*cluster) {
            clusters.insert((*cluster).clone());
        }
    }
    wanted
}
