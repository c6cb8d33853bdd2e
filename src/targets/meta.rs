//! `__meta_ecs_*` labels, for relabelling: Prometheus drops them afterwards.
//!
//! Names and meanings are those of Prometheus's own ECS discovery where it has them (Prometheus documentation,
//! "Configuration", `<aws_sd_config>`, role ecs), so that relabelling rules work with both. Those that take
//! further calls are added only on request: `service_status`, `tag_cluster_*`, `tag_service_*`, `public_ip`.

use std::collections::BTreeMap;

use super::host::Host;
use super::labels::LabelSource;
use super::plan::{At, task_address};
use crate::inventory::{ClusterDetails, InstanceDetails, Shared, TaskDetails};

/// The longest label name in bytes. YAML limits the keys of a block mapping to 1,024 characters, and a longer one would
/// make the whole file invalid.
const LONGEST_NAME: usize = 1_000;

/// Returns the meta labels of one target, sorted by name; with `cluster`, also those that take further calls.
pub(super) fn labels(
    source: &LabelSource<'_>,
    cluster: Option<&ClusterDetails>,
) -> impl Iterator<Item = (String, Shared)> + use<> {
    let mut meta = Meta::default();
    of_task(&mut meta, source);
    if let Some(details) = &source.task.details {
        of_details(&mut meta, details);
    }
    of_container(&mut meta, source);
    let address = match (&source.plan.at, source.host) {
        (At::Instance, Host::Address(address)) => Some(*address),
        _ => task_address(source.task, source.container),
    };
    meta.put("ip_address", address.map(|address| address.to_string().into()));
    if let Some(details) = source.instance.and_then(|instance| instance.details.as_deref()) {
        of_instance(&mut meta, details);
    }
    if let Some(cluster) = cluster {
        of_cluster(&mut meta, source, cluster);
    }
    meta.0.into_iter()
}

/// Labels by name. If sanitising makes two names equal, the first label stays: AWS's own come first, then tags and
/// docker labels in the order of their keys.
#[derive(Default)]
struct Meta(BTreeMap<String, Shared>);

impl Meta {
    fn put(&mut self, name: &str, value: Option<Shared>) {
        if let Some(value) = value {
            let name = format!("__meta_ecs_{name}");
            if name.len() <= LONGEST_NAME {
                self.0.entry(name).or_insert(value);
            }
        }
    }

    /// Puts a label for each pair, with its key sanitised.
    fn put_all<'a>(&mut self, prefix: &str, pairs: impl IntoIterator<Item = (&'a Shared, &'a Shared)>) {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_unstable();
        for (key, value) in pairs {
            self.put(&format!("{prefix}{}", sanitised(key)), Some(value.clone()));
        }
    }
}

fn of_task(meta: &mut Meta, source: &LabelSource<'_>) {
    let (task, definition) = (source.task, source.plan.definition);
    let cluster_arn = source.cluster_arn();
    let cluster = cluster_arn.as_deref().and_then(|arn| arn.rsplit_once(":cluster/")).map(|(_, name)| name.into());
    let service = task.service();
    meta.put("cluster", cluster);
    meta.put("cluster_arn", cluster_arn);
    meta.put("service", service.map(Shared::from));
    meta.put("service_arn", service.and_then(|name| task.arn.service(name)).map(Shared::from));
    meta.put("task_group", task.group.clone());
    meta.put("task_arn", Some(task.arn.shared()));
    meta.put("task_definition", Some(task.definition.shared()));
    meta.put("task_definition_family", Some(definition.family.clone()));
    meta.put("task_definition_revision", Some(definition.revision.to_string().into()));
    meta.put("region", task.arn.region().map(Shared::from));
    meta.put("account_id", task.arn.account().map(Shared::from));
    meta.put("network_mode", Some(definition.network_mode.as_str().into()));
    meta.put("container_instance_arn", task.container_instance.as_ref().map(|arn| arn.shared()));
}

fn of_details(meta: &mut Meta, details: &TaskDetails) {
    meta.put("availability_zone", details.availability_zone.clone());
    meta.put("subnet_id", details.subnet_id.clone());
    meta.put("launch_type", details.launch_type.clone());
    meta.put("desired_status", details.desired_status.clone());
    meta.put("last_status", details.last_status.clone());
    meta.put("health_status", details.health_status.clone());
    meta.put("platform_family", details.platform_family.clone());
    meta.put("platform_version", details.platform_version.clone());
    meta.put("capacity_provider", details.capacity_provider.clone());
    meta.put("started_by", details.started_by.clone());
    meta.put_all("tag_task_", details.tags.iter().map(|(key, value)| (key, value)));
}

fn of_container(meta: &mut Meta, source: &LabelSource<'_>) {
    let definition = source.plan.container_definition;
    meta.put("container_name", Some(source.container.name.clone()));
    meta.put("container_image", definition.image.clone());
    meta.put("container_port", Some(source.endpoint.container_port.to_string().into()));
    meta.put_all("container_label_", &definition.docker_labels);
}

fn of_instance(meta: &mut Meta, details: &InstanceDetails) {
    meta.put("subnet_id", details.subnet_id.clone());
    meta.put("ec2_instance_id", Some(details.instance_id.clone()));
    meta.put("ec2_instance_type", details.instance_type.clone());
    meta.put("ec2_instance_private_ip", details.private_ip.clone());
    meta.put("ec2_instance_public_ip", details.public_ip.clone());
    meta.put_all("tag_ec2_", details.tags.iter().map(|(key, value)| (key, value)));
}

fn of_cluster(meta: &mut Meta, source: &LabelSource<'_>, cluster: &ClusterDetails) {
    let task = source.task;
    if let Some(service) = task.service().and_then(|name| cluster.services.get(name)) {
        meta.put("service_status", service.status.clone());
        meta.put_all("tag_service_", service.tags.iter().map(|(key, value)| (key, value)));
    }
    meta.put_all("tag_cluster_", cluster.tags.iter().flat_map(|tags| tags.iter()).map(|(key, value)| (key, value)));
    // As in Prometheus: the address of the task's own interface, or without one that of its instance.
    let interface = task.details.as_ref().and_then(|details| details.network_interface.as_ref());
    let public_ip = match interface {
        Some(interface) => cluster.public_ips.get(interface).cloned(),
        None => source.instance.and_then(|instance| instance.details.as_ref()?.public_ip.clone()),
    };
    meta.put("public_ip", public_ip);
}

/// Replaces every character outside `[a-zA-Z0-9_]` with an underscore, as Prometheus does.
fn sanitised(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_go_to_the_first_key() {
        let pair = |key: &str, value: &str| (Shared::from(key), Shared::from(value));
        let mut meta = Meta::default();
        let tags = [pair("a-b", "dash"), pair("a.b", "dot"), pair("a b", "blank"), pair("é", "accent")];
        meta.put_all("tag_task_", tags.iter().rev().map(|(key, value)| (key, value)));
        let labels: Vec<_> = meta.0.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
        assert_eq!(labels, [("__meta_ecs_tag_task__", "accent"), ("__meta_ecs_tag_task_a_b", "blank")]);
    }
}
