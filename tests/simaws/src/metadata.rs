//! The endpoints on the link-local address of a task: task metadata version 4, and credentials.

use serde_json::{Value, json};

use crate::service::Call;
use crate::time::expiration;

/// Responds to a GET request for either endpoint.
pub(crate) fn respond(call: &Call<'_>) -> Value {
    if call.request.operation == "metadata:task" { task(call) } else { credentials(call) }
}

/// Responds to `/v4/ID/task` with the task of that id, or else with a made-up task of the first cluster.
fn task(call: &Call<'_>) -> Value {
    let world = call.world;
    let id = call.request.path.split('/').nth(2).unwrap_or_default();
    let known = world.clusters.iter().find_map(|cluster| {
        let task = cluster.tasks.iter().find(|task| task.id == id)?;
        Some((cluster.name.as_str(), task.task_definition.as_str()))
    });
    let first = world.clusters.first().map_or("default", |cluster| cluster.name.as_str());
    let (cluster, definition) = known.unwrap_or((first, "sidecar:1"));
    let name = crate::world::last_segment(definition);
    let (family, revision) = name.rsplit_once(':').unwrap_or((name, "1"));
    json!({
        "Cluster": world.cluster_arn(cluster),
        "TaskARN": world.task_arn(cluster, id),
        "Family": family,
        "Revision": revision,
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
    })
}

fn credentials(call: &Call<'_>) -> Value {
    json!({
        "RoleArn": format!("arn:{}:iam::{}:role/simaws-task", call.world.partition(), call.world.account),
        "AccessKeyId": "ASIA-simaws-task",
        "SecretAccessKey": "simulated-secret",
        "Token": format!("simulated-session-{}", call.request_id),
        "Expiration": expiration(call.options.credentials_lifetime),
    })
}
