//! The expected targets of a world, and those in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::Path;

use simaws::{Task, World};

use crate::world::PORT;

/// Returns the targets of a world: the container `app` of every task.
pub(crate) fn targets(world: &World) -> BTreeSet<String> {
    iter::once(world).chain(&world.others).flat_map(targets_of_scope).collect()
}

fn targets_of_scope(world: &World) -> Vec<String> {
    let hosts = hosts(world);
    let tasks = world.clusters.iter().flat_map(|cluster| &cluster.tasks);
    tasks.filter_map(|task| target(task, &hosts)).collect()
}

/// The address of each container instance.
pub(crate) type Hosts<'a> = BTreeMap<&'a str, &'a str>;

/// Returns the addresses of the container instances of a scope.
pub(crate) fn hosts(world: &World) -> Hosts<'_> {
    let addresses: BTreeMap<&str, &str> = world
        .instances
        .iter()
        .filter_map(|instance| Some((instance.instance_id.as_str(), instance.private_ip_address.as_deref()?)))
        .collect();
    world
        .clusters
        .iter()
        .flat_map(|cluster| &cluster.container_instances)
        .filter_map(|host| Some((host.id.as_str(), *addresses.get(host.ec2_instance_id.as_deref()?)?)))
        .collect()
}

/// Returns the target of a task.
pub(crate) fn target(task: &Task, hosts: &Hosts<'_>) -> Option<String> {
    let app = task.containers.first()?;
    match &task.container_instance {
        Some(instance) => {
            let binding = app.network_bindings.iter().find(|binding| binding["containerPort"] == PORT)?;
            Some(format!("{}:{}", hosts.get(instance.as_str())?, binding["hostPort"]))
        }
        None => Some(format!("{}:{PORT}", app.network_interfaces.first()?["privateIpv4Address"].as_str()?)),
    }
}

/// Returns the targets in a file.
pub(crate) fn targets_in(file: &Path) -> std::io::Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(file)?;
    Ok(text.lines().filter_map(|line| line.strip_prefix("  - ")).map(str::to_owned).collect())
}
