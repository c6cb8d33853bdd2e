//! Converts the records of the world to the wire format of ECS.

use serde_json::{Map, Value, json};

use crate::world::{Cluster, Container, ContainerDefinition, ContainerInstance, Service, Task, TaskDefinition, World};

pub(super) fn task(world: &World, cluster: &str, task: &Task, with_tags: bool) -> Value {
    let containers = task.containers.iter().map(|one| container(world, cluster, task, one)).collect();
    let instance = task.container_instance.as_deref().map(|id| world.container_instance_arn(cluster, id));
    let tags = task.tags.clone().filter(|_| with_tags).unwrap_or_default();
    let mut members = json!({
        "attachments": task.attachments,
        "availabilityZone": task.availability_zone,
        "capacityProviderName": task.capacity_provider_name,
        "clusterArn": world.cluster_arn(cluster),
        "connectivity": task.connectivity,
        "containerInstanceArn": instance,
        "desiredStatus": task.desired_status,
        "group": task.group,
        "healthStatus": task.health_status,
        "lastStatus": task.last_status,
        "launchType": task.launch_type,
        "platformFamily": task.platform_family,
        "platformVersion": task.platform_version,
        "startedBy": task.started_by,
        "tags": tags,
        "taskArn": world.task_arn(cluster, &task.id),
        "taskDefinitionArn": world.task_definition_arn(&task.task_definition),
        "version": task.version,
    });
    // Moved in here, because `json!` would copy them.
    members["containers"] = containers;
    finished(members, &task.extra, &task.without)
}

fn container(world: &World, cluster: &str, task: &Task, container: &Container) -> Value {
    let arn = || world.container_arn(cluster, &task.id, &container.name);
    let members = json!({
        "containerArn": container.container_arn.clone().unwrap_or_else(arn),
        "lastStatus": container.last_status,
        "name": container.name,
        "networkBindings": container.network_bindings,
        "networkInterfaces": container.network_interfaces,
        "taskArn": world.task_arn(cluster, &task.id),
    });
    finished(members, &container.extra, &container.without)
}

pub(super) fn service(world: &World, cluster: &str, service: &Service, with_tags: bool) -> Value {
    let members = json!({
        "clusterArn": world.cluster_arn(cluster),
        "serviceArn": world.service_arn(cluster, &service.name),
        "serviceName": service.name,
        "status": service.status,
        "tags": if with_tags { service.tags.as_slice() } else { &[] },
    });
    finished(members, &service.extra, &service.without)
}

pub(super) fn cluster(world: &World, cluster: &Cluster, with_tags: bool) -> Value {
    json!({
        "clusterArn": world.cluster_arn(&cluster.name),
        "clusterName": cluster.name,
        "status": cluster.status,
        "tags": if with_tags { cluster.tags.as_slice() } else { &[] },
    })
}

pub(super) fn container_instance(arn: String, instance: &ContainerInstance) -> Value {
    let members = json!({
        "agentConnected": true,
        "attributes": some_if_any(&instance.attributes),
        "containerInstanceArn": arn,
        "ec2InstanceId": instance.ec2_instance_id,
        "status": "ACTIVE",
    });
    finished(members, &instance.extra, &instance.without)
}

pub(super) fn task_definition(arn: String, definition: &TaskDefinition) -> Value {
    let containers: Vec<_> = definition.container_definitions.iter().map(container_definition).collect();
    let members = json!({
        "containerDefinitions": containers,
        "family": definition.family,
        "networkMode": definition.network_mode,
        "requiresCompatibilities": some_if_any(&definition.requires_compatibilities),
        "revision": definition.revision,
        "status": definition.status,
        "taskDefinitionArn": arn,
    });
    finished(members, &definition.extra, &definition.without)
}

fn container_definition(container: &ContainerDefinition) -> Value {
    let labels = (!container.docker_labels.is_empty()).then_some(&container.docker_labels);
    let members = json!({
        "dockerLabels": labels,
        "environment": some_if_any(&container.environment),
        "essential": true,
        "image": container.image,
        "name": container.name,
        "portMappings": container.port_mappings,
    });
    finished(members, &container.extra, &container.without)
}

fn some_if_any<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// Overrides members with `extra`, and removes those that are null or in `without`: AWS omits absent members.
fn finished(members: Value, extra: &Map<String, Value>, without: &[String]) -> Value {
    let Value::Object(mut members) = members else { return members };
    members.extend(extra.clone());
    members.retain(|name, value| !value.is_null() && !without.contains(name));
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_and_extra_members_reach_the_wire() {
        let one: Task = serde_json::from_str(
            r#"{"id":"t","taskDefinition":"web:3","lastStatus":null,"clusterArn":null,"cpu":"256","without":["containers"]}"#,
        )
        .unwrap();
        let wire = task(&World::default(), "prod", &one, false);
        let members: Vec<_> = wire.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["attachments", "cpu", "desiredStatus", "launchType", "tags", "taskArn", "taskDefinitionArn"];
        assert_eq!(members, expected);
        assert_eq!(wire["taskArn"], "arn:aws:ecs:us-east-1:123456789012:task/prod/t");
    }

    #[test]
    fn container_arns_are_derived_from_the_task() {
        let one = Task::ec2("t", "web:3", "ci").with_container(Container::new("app").binding(8080, 32768));
        let wire = task(&World::default(), "prod", &one, false);
        let container = &wire["containers"][0];
        assert_eq!(container["containerArn"], "arn:aws:ecs:us-east-1:123456789012:container/prod/t/app");
        assert_eq!(container["networkBindings"][0]["hostPort"], 32768);
        assert_eq!(wire["containerInstanceArn"], "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/ci");
    }
}
