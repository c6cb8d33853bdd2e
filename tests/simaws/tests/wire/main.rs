//! The simulated AWS as seen by a client on a socket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod client;
mod control;
mod ec2;
mod ecs;
mod faults;
mod lives;
mod scopes;
mod sts;

use simaws::{Cluster, Container, ContainerInstance, Instance, SimAws, Task, TaskDefinition, World};

/// Returns two clusters, one of them with `web` on Fargate and `api` on an instance.
fn world() -> World {
    let prod = Cluster::new("prod")
        .with_task(Task::fargate("t1", "web:3").container("app", "10.0.0.1").group("service:web").tag("team", "x"))
        .with_task(Task::ec2("t2", "api:1", "ci1").with_container(Container::new("api").binding(8080, 32768)))
        .with_container_instance(ContainerInstance::new("ci1", "i-1"));
    World::default()
        .with_cluster(prod)
        .with_cluster(Cluster::new("empty"))
        .with_task_definition(
            TaskDefinition::new("web", 3, "awsvpc").container("app", &[("PROMETHEUS_EXPORTER_PORT", "9102")]),
        )
        .with_task_definition(TaskDefinition::new("api", 1, "bridge").container("api", &[]))
        .with_instance(Instance::new("i-1", "10.1.0.1").tag("Name", "a<b"))
        .with_instance(Instance::new("i-2", "10.1.0.2").managed())
}

fn start(world: World) -> SimAws {
    SimAws::start_blocking(world).unwrap()
}
