//! Worlds and their parts.

use simaws::{Cluster, Container, ContainerInstance, Instance, Task, TaskDefinition, World};

/// The docker label with the port, which makes a container a target.
pub(crate) const PORT_LABEL: &str = "PROMETHEUS_EXPORTER_PORT";

/// Returns a task definition whose container `app` exports metrics on port 9102.
pub(crate) fn exporter(family: &str, revision: i64, network_mode: &str) -> TaskDefinition {
    TaskDefinition::new(family, revision, network_mode).container("app", &[(PORT_LABEL, "9102")])
}

/// Returns a running task on Fargate whose container `app` has this address.
pub(crate) fn on_fargate(id: &str, definition: &str, ip: &str) -> Task {
    Task::fargate(id, definition).container("app", ip)
}

/// Returns a running task in bridge mode whose port 9102 is published as `host_port`.
pub(crate) fn on_bridge(id: &str, definition: &str, container_instance: &str, host_port: u16) -> Task {
    Task::ec2(id, definition, container_instance).with_container(Container::new("app").binding(9102, host_port))
}

/// Returns the cluster `prod` with this many tasks of `web:1` on Fargate, at port 9102 of [`address`].
pub(crate) fn fargate(tasks: usize) -> World {
    let mut prod = Cluster::new("prod");
    for n in 0..tasks {
        prod.add_task(on_fargate(&format!("web-{n}"), "web:1", &address(n)));
    }
    World::default().with_cluster(prod).with_task_definition(exporter("web", 1, "awsvpc"))
}

/// Adds the cluster `prod`, whose tasks on Fargate have a task definition each.
pub(crate) fn with_definitions(mut world: World, definitions: usize) -> World {
    let mut prod = Cluster::new("prod");
    for n in 0..definitions {
        world.add_task_definition(exporter(&format!("web-{n}"), 1, "awsvpc"));
        prod.add_task(on_fargate(&format!("task-{n}"), &format!("web-{n}:1"), &address(n)));
    }
    world.with_cluster(prod)
}

/// Returns the address of the nth task of [`fargate`] and of [`with_definitions`].
pub(crate) fn address(n: usize) -> String {
    format!("10.0.{}.{}", n / 250, n % 250 + 1)
}

/// The targets of `web-1`, `shop-1`, `api-1` and `bus-1` in [`two_clusters`].
pub(crate) const WEB: &str = "10.0.1.1:9102";
pub(crate) const SHOP: &str = "10.0.2.1:9102";
pub(crate) const API: &str = "10.1.0.1:32768";
pub(crate) const BUS: &str = "10.1.0.2:32769";

/// All targets of [`two_clusters`].
pub(crate) const TWO_CLUSTERS: [&str; 4] = [WEB, SHOP, API, BUS];

/// Returns the clusters `prod` (`web-1` on Fargate, `api-1` in bridge mode) and `other` (`shop-1` on Fargate, `bus-1`
/// in bridge mode).
pub(crate) fn two_clusters() -> World {
    let prod = Cluster::new("prod")
        .with_task(on_fargate("web-1", "web:1", "10.0.1.1"))
        .with_task(on_bridge("api-1", "api:1", "ci-1", 32768))
        .with_container_instance(ContainerInstance::new("ci-1", "i-1"));
    let other = Cluster::new("other")
        .with_task(on_fargate("shop-1", "shop:1", "10.0.2.1"))
        .with_task(on_bridge("bus-1", "bus:1", "ci-2", 32769))
        .with_container_instance(ContainerInstance::new("ci-2", "i-2"));
    World::default()
        .with_cluster(prod)
        .with_cluster(other)
        .with_task_definition(exporter("web", 1, "awsvpc"))
        .with_task_definition(exporter("api", 1, "bridge"))
        .with_task_definition(exporter("shop", 1, "awsvpc"))
        .with_task_definition(exporter("bus", 1, "bridge"))
        .with_instance(Instance::new("i-1", "10.1.0.1"))
        .with_instance(Instance::new("i-2", "10.1.0.2"))
}
