//! The describe calls.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{LIMIT, SERVICE_LIMIT, cluster, invalid, wire};
use crate::response::ApiError;
use crate::service::Call;
use crate::world::{Cluster, ContainerInstance, Describe, Service, Task, TaskDefinition, last_segment};

pub(super) fn tasks(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (world, cluster) = (call.world, cluster(call)?);
    let wanted = ids(call, "tasks", "Tasks", LIMIT)?;
    let with_tags = call.request.texts("include").contains(&"TAGS");
    let mut found = named(&wanted, &cluster.tasks, |task| task.id.as_str());
    let (mut described, mut failures) = (Vec::new(), Vec::new());
    for id in wanted {
        let arn = world.task_arn(&cluster.name, last_segment(id));
        let task: Option<&Task> = found.remove(last_segment(id)).filter(|_| is_named_by(&arn, id));
        match task.map(|task| (task, task.describe)) {
            Some((task, Describe::Found)) => described.push(wire::task(world, &cluster.name, task, with_tags)),
            Some((_, Describe::Omitted)) => {}
            Some((_, Describe::Missing)) | None => failures.push(missing(id, arn)),
        }
    }
    Ok(lists([("tasks", described), ("failures", failures)]))
}

pub(super) fn container_instances(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (world, cluster) = (call.world, cluster(call)?);
    let wanted = ids(call, "containerInstances", "Container instances", LIMIT)?;
    let mut found = named(&wanted, &cluster.container_instances, |instance| instance.id.as_str());
    let (mut described, mut failures) = (Vec::new(), Vec::new());
    for id in wanted {
        let arn = world.container_instance_arn(&cluster.name, last_segment(id));
        let instance: Option<&ContainerInstance> = found.remove(last_segment(id)).filter(|_| is_named_by(&arn, id));
        match instance.map(|instance| (instance, instance.describe)) {
            Some((instance, Describe::Found)) => described.push(wire::container_instance(arn, instance)),
            Some((_, Describe::Omitted)) => {}
            Some((_, Describe::Missing)) | None => failures.push(missing(id, arn)),
        }
    }
    Ok(lists([("containerInstances", described), ("failures", failures)]))
}

pub(super) fn services(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (world, cluster) = (call.world, cluster(call)?);
    let wanted = ids(call, "services", "Services", SERVICE_LIMIT)?;
    let with_tags = call.request.texts("include").contains(&"TAGS");
    let mut found = named(&wanted, &cluster.services, |service| service.name.as_str());
    let (mut described, mut failures) = (Vec::new(), Vec::new());
    for id in wanted {
        let arn = world.service_arn(&cluster.name, last_segment(id));
        let service: Option<&Service> = found.remove(last_segment(id)).filter(|_| is_named_by(&arn, id));
        match service.map(|service| (service, service.describe)) {
            Some((service, Describe::Found)) => described.push(wire::service(world, &cluster.name, service, with_tags)),
            Some((_, Describe::Omitted)) => {}
            Some((_, Describe::Missing)) | None => failures.push(missing(id, arn)),
        }
    }
    Ok(lists([("services", described), ("failures", failures)]))
}

pub(super) fn clusters(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let world = call.world;
    let wanted = ids(call, "clusters", "Clusters", LIMIT)?;
    let with_tags = call.request.texts("include").contains(&"TAGS");
    let mut found = named(&wanted, &world.clusters, |cluster| cluster.name.as_str());
    let (mut described, mut failures) = (Vec::new(), Vec::new());
    for id in wanted {
        let arn = world.cluster_arn(last_segment(id));
        let cluster: Option<&Cluster> = found.remove(last_segment(id)).filter(|_| is_named_by(&arn, id));
        match cluster.map(|cluster| (cluster, cluster.describe)) {
            Some((cluster, Describe::Found)) => described.push(wire::cluster(world, cluster, with_tags)),
            Some((_, Describe::Omitted)) => {}
            Some((_, Describe::Missing)) | None => failures.push(missing(id, arn)),
        }
    }
    Ok(lists([("clusters", described), ("failures", failures)]))
}

/// Fails with ClientException for an unknown revision and for a deleted one.
pub(super) fn task_definition(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let world = call.world;
    let wanted = call.request.text("taskDefinition").unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Task definition cannot be blank."));
    }
    let arn = |definition: &TaskDefinition| world.task_definition_arn(&definition.name());
    let is_wanted = |definition: &&TaskDefinition| {
        // A quick test first: building the name of every definition is slow in large worlds.
        if !wanted.contains(&definition.family) {
            return false;
        }
        let by_name = definition.name() == wanted || (definition.family == wanted && definition.status == "ACTIVE");
        definition.status != "DELETED" && (by_name || arn(definition) == wanted)
    };
    let candidates = world.task_definitions.iter().filter(is_wanted);
    match candidates.max_by_key(|definition| definition.revision) {
        Some(definition) => {
            Ok(json!({"taskDefinition": wire::task_definition(arn(definition), definition), "tags": []}))
        }
        None => Err(ApiError::new(400, "ClientException", "Unable to describe task definition.")),
    }
}

/// Returns the ids in a list member, or the error of AWS for none or too many.
fn ids<'a>(call: &Call<'a>, member: &str, subject: &str, limit: usize) -> Result<Vec<&'a str>, ApiError> {
    let ids = call.request.texts(member);
    if ids.is_empty() {
        return Err(invalid(&format!("{subject} cannot be empty.")));
    }
    if ids.len() > limit {
        return Err(invalid(&format!("{subject} cannot be more than {limit}.")));
    }
    Ok(ids)
}

/// Returns the requested records, keyed by id, in one pass over all records.
fn named<'a, T>(wanted: &[&str], all: &'a [T], id: impl Fn(&'a T) -> &'a str) -> HashMap<&'a str, &'a T> {
    let wanted: HashSet<&str> = wanted.iter().map(|wanted| last_segment(wanted)).collect();
    all.iter().map(|record| (id(record), record)).filter(|(id, _)| wanted.contains(id)).collect()
}

/// Whether the given id names the record: a bare id may, and an ARN must be of this cluster.
fn is_named_by(arn: &str, id: &str) -> bool {
    !id.contains('/') || id == arn
}

/// Returns an object of lists without copying them, as `json!` would.
fn lists<const N: usize>(members: [(&str, Vec<Value>); N]) -> Value {
    Value::Object(members.map(|(name, list)| (name.to_owned(), Value::Array(list))).into_iter().collect())
}

fn missing(id: &str, arn: String) -> Value {
    let arn = if id.starts_with("arn:") { id.to_owned() } else { arn };
    json!({"arn": arn, "reason": "MISSING"})
}
