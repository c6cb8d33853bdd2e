//! Converts a simulated world directly to a snapshot, without HTTP and the AWS SDK.
//!
//! It shares no code with `src/aws` on purpose, so that a mistake in the conversion there is not repeated here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use ecs_discovery::config::AwsConfig;
use ecs_discovery::inventory::{
    Binding, ClusterDetails, ClusterRef, ClusterTasks, Container, ContainerDefinition, Failure, Failures, Family,
    Fetched, HostAddress, Instance, InstanceDetails, ListedTask, NetworkMode, NoHost, Operation, Scope, ServiceDetails,
    Shared, Snapshot, Task, TaskDefinition, TaskDetails, TaskStatus,
};
use serde_json::{Map, Value};
use simaws::{Describe, World};

/// Returns the snapshot of a refresh without failures, with the hosts of all container instances, needed or not.
pub(crate) fn of(world: &World, config: &AwsConfig) -> Snapshot {
    let mut failures = Failures::default();
    let scope = Scope { region: world.region.as_str().into(), account: Some(world.account.as_str().into()) };
    let all = active(world).map(|cluster| ClusterRef::from(world.cluster_arn(&cluster.name).as_str()));
    let clusters = config.clusters.in_scope(&scope).with_listed(all);
    let clusters: Vec<_> = clusters
        .into_iter()
        .map(|cluster| {
            let known = active(world).find(|known| cluster.matches(&world.cluster_arn(&known.name)));
            let tasks = known.map(|known| listed(world, known)).ok_or_else(|| failures.record(no_such_cluster()));
            let details = known.map(|known| Box::new(cluster_details(world, known)));
            ClusterTasks { cluster, tasks, details }
        })
        .collect();
    let undeleted = world.task_definitions.iter().filter(|one| one.status != "DELETED");
    let registered = undeleted.map(|one| (world.task_definition_arn(&one.name()), one)).collect();
    let definitions = clusters
        .iter()
        .flat_map(|cluster| cluster.tasks.iter().flatten())
        .filter_map(|task| if let Fetched::Known(task) = &task.task { Some(task.definition.clone()) } else { None })
        .map(|arn| (arn.clone(), definition(&registered, arn.as_str(), &config.variables)))
        .collect();
    let hosts = active(world).flat_map(|cluster| {
        cluster.container_instances.iter().map(|instance| {
            let arn = world.container_instance_arn(&cluster.name, &instance.id);
            (
                arn.as_str().into(),
                host(world, instance, config.host_attribute.as_deref()).map_or_else(Fetched::Gone, Fetched::Known),
            )
        })
    });
    Snapshot { clusters, unlisted: None, definitions, hosts: hosts.collect(), failures }
}

fn active(world: &World) -> impl Iterator<Item = &simaws::Cluster> {
    world.clusters.iter().filter(|cluster| cluster.status == "ACTIVE")
}

fn no_such_cluster() -> Failure {
    Failure {
        operation: Operation::ListTasks,
        cluster: None,
        code: "ClusterNotFoundException".into(),
        message: String::new(),
        request_id: None,
        calls: 1,
        transient: false,
    }
}

fn listed(world: &World, cluster: &simaws::Cluster) -> Vec<ListedTask> {
    let tasks = cluster.tasks.iter().filter(|task| task.listed);
    let listed = tasks.map(|known| ListedTask {
        arn: world.task_arn(&cluster.name, &known.id).as_str().into(),
        task: match known.describe {
            Describe::Found => Fetched::Known(Arc::new(task(world, cluster, known))),
            Describe::Missing => Fetched::Gone(()),
            Describe::Omitted => panic!("task {} makes the refresh fail, which golden worlds cannot express", known.id),
        },
    });
    listed.collect()
}

fn task(world: &World, cluster: &simaws::Cluster, task: &simaws::Task) -> Task {
    let arn = world.task_arn(&cluster.name, &task.id);
    let has = |member: &str| !removed(member, &task.extra, &task.without);
    let instance = task.container_instance.as_deref().map(|id| world.container_instance_arn(&cluster.name, id));
    Task {
        arn: arn.as_str().into(),
        cluster: has("clusterArn").then(|| world.cluster_arn(&cluster.name).as_str().into()),
        definition: world.task_definition_arn(&task.task_definition).as_str().into(),
        group: task.group.as_deref().map(Into::into),
        last_status: TaskStatus::from_aws(task.last_status.as_deref()),
        stop_requested: task.desired_status.as_deref() == Some("STOPPED"),
        version: task.version.and_then(|version| u64::try_from(version).ok()).unwrap_or(0),
        on_managed_instance: task.launch_type.as_deref() == Some("MANAGED_INSTANCES"),
        container_instance: instance.map(|arn| arn.as_str().into()),
        attachment_ipv4: task.attachments.iter().find_map(attached_ipv4),
        details: Some(Box::new(task_details(task))),
        containers: (task.containers.iter().filter(|_| has("containers")))
            .map(|one| container(&world.container_arn(&cluster.name, &task.id, &one.name), one))
            .collect(),
    }
}

/// Returns the data of a cluster for meta labels, of all services and interfaces, needed or not.
fn cluster_details(world: &World, cluster: &simaws::Cluster) -> ClusterDetails {
    let services = cluster.services.iter().filter(|service| service.describe == Describe::Found);
    let interfaces = world.network_interfaces.iter();
    ClusterDetails {
        tags: (cluster.describe == Describe::Found).then(|| tags(&cluster.tags).into()),
        services: services
            .map(|service| {
                let details =
                    ServiceDetails { status: Some(service.status.as_str().into()), tags: tags(&service.tags) };
                (service.name.as_str().into(), Arc::new(details))
            })
            .collect(),
        public_ips: interfaces
            .filter_map(|one| Some((one.network_interface_id.as_str().into(), one.public_ip.as_deref()?.into())))
            .collect(),
    }
}

fn tags(tags: &[Value]) -> Vec<(Shared, Shared)> {
    tags.iter().filter_map(|tag| Some((tag["key"].as_str()?.into(), tag["value"].as_str()?.into()))).collect()
}

/// Returns the data of a task for meta labels.
fn task_details(task: &simaws::Task) -> TaskDetails {
    let shared = |text: &Option<String>| text.as_deref().map(Shared::from);
    let interfaces = task.attachments.iter().filter(|attachment| attachment["type"] == "ElasticNetworkInterface");
    let details: Vec<&Value> = interfaces.flat_map(|attachment| attachment["details"].as_array()).flatten().collect();
    let detail = |name: &str| details.iter().find(|detail| detail["name"] == name)?["value"].as_str().map(Shared::from);
    TaskDetails {
        availability_zone: shared(&task.availability_zone),
        subnet_id: detail("subnetId"),
        network_interface: detail("networkInterfaceId"),
        launch_type: shared(&task.launch_type),
        desired_status: shared(&task.desired_status),
        last_status: shared(&task.last_status),
        health_status: shared(&task.health_status),
        platform_family: shared(&task.platform_family),
        platform_version: shared(&task.platform_version),
        capacity_provider: shared(&task.capacity_provider_name),
        started_by: shared(&task.started_by),
        tags: tags(task.tags.as_deref().unwrap_or_default()),
    }
}

fn removed(member: &str, extra: &Map<String, Value>, without: &[String]) -> bool {
    extra.get(member).is_some_and(Value::is_null) || without.iter().any(|name| name == member)
}

fn attached_ipv4(attachment: &Value) -> Option<Ipv4Addr> {
    let details = attachment["details"].as_array().filter(|_| attachment["type"] == "ElasticNetworkInterface")?;
    details.iter().filter(|detail| detail["name"] == "privateIPv4Address").find_map(|detail| read(&detail["value"]))
}

fn container(arn: &str, container: &simaws::Container) -> Container {
    let arn = container.container_arn.as_deref().unwrap_or(arn);
    let has_arn = !removed("containerArn", &container.extra, &container.without);
    let interfaces = &container.network_interfaces;
    Container {
        name: container.name.as_str().into(),
        arn: has_arn.then(|| arn.into()),
        last_status: TaskStatus::from_aws(container.last_status.as_deref()),
        ipv4: interfaces.iter().find_map(|interface| read(&interface["privateIpv4Address"])),
        ipv6: interfaces.iter().find_map(|interface| read(&interface["ipv6Address"])),
        bindings: container.network_bindings.iter().map(binding).collect(),
    }
}

fn read<T: FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

fn binding(row: &Value) -> Binding {
    let container_ports = ports(&row["containerPort"], &row["containerPortRange"]);
    Binding {
        tcp: row["protocol"] == "tcp",
        family: read::<IpAddr>(&row["bindIP"]).map(Family::from),
        container_ports,
        first_host_port: *ports(&row["hostPort"], &row["hostPortRange"]).start(),
    }
}

fn ports(port: &Value, range: &Value) -> RangeInclusive<u16> {
    let one = |text: &str| text.parse().expect("bindings of golden worlds have valid ports");
    match range.as_str().map(|range| range.split_once('-').unwrap_or((range, range))) {
        Some((first, last)) => one(first)..=one(last),
        None => one(&port.to_string())..=one(&port.to_string()),
    }
}

fn definition(
    registered: &HashMap<String, &simaws::TaskDefinition>,
    arn: &str,
    variables: &[String],
) -> Fetched<Arc<TaskDefinition>> {
    let Some(known) = registered.get(arn) else { return Fetched::Gone(()) };
    Fetched::Known(Arc::new(TaskDefinition {
        family: known.family.as_str().into(),
        revision: i32::try_from(known.revision).unwrap(),
        network_mode: NetworkMode::from_aws(known.network_mode.as_deref()),
        containers: known.container_definitions.iter().map(|one| container_definition(one, variables)).collect(),
    }))
}

fn container_definition(container: &simaws::ContainerDefinition, variables: &[String]) -> ContainerDefinition {
    let labels = container.docker_labels.iter();
    let environment = container.environment.iter().map(|one| (one["name"].as_str(), one["value"].as_str()));
    let kept = environment.filter_map(|(name, value)| Some((name?, value?)));
    ContainerDefinition {
        name: container.name.as_str().into(),
        image: container.image.as_deref().map(Into::into),
        docker_labels: labels.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
        variables: kept
            .filter(|(name, _)| variables.iter().any(|wanted| wanted == name))
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    }
}

fn host(
    world: &World,
    container_instance: &simaws::ContainerInstance,
    attribute: Option<&str>,
) -> Result<HostAddress, NoHost> {
    let id = container_instance.ec2_instance_id.as_deref().filter(|_| container_instance.describe == Describe::Found);
    let id = id.ok_or(NoHost::ContainerInstanceGone)?;
    let named = container_instance.attributes.iter().find(|one| one["name"].as_str() == attribute);
    let value = named.and_then(|one| one["value"].as_str()).unwrap_or_default().trim();
    if !value.is_empty() {
        return Ok(HostAddress::Attribute(value.into()));
    }
    if id.starts_with("mi-") {
        return Err(NoHost::External);
    }
    let instance = world.instances.iter().find(|instance| instance.instance_id == id).ok_or(NoHost::InstanceGone)?;
    let address = instance.private_ip_address.as_ref().or(instance.ipv6_address.as_ref()).ok_or(NoHost::NoAddress)?;
    let address = address.parse().expect("instances of golden worlds have valid addresses");
    Ok(HostAddress::Instance(Instance { address, details: Some(Arc::new(instance_details(instance))) }))
}

/// Returns the data of an instance for meta labels.
fn instance_details(instance: &simaws::Instance) -> InstanceDetails {
    let shared = |text: &Option<String>| text.as_deref().map(Shared::from);
    InstanceDetails {
        instance_id: instance.instance_id.as_str().into(),
        instance_type: shared(&instance.instance_type),
        private_ip: shared(&instance.private_ip_address),
        public_ip: shared(&instance.public_ip_address),
        subnet_id: None,
        tags: instance.tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect(),
    }
}
