//! What a task finds on its link-local address: the task metadata endpoint, version 4, and its credentials.

use serde_json::{Value, json};

use crate::service::Call;
use crate::time::expiration;

/// Answers a GET of one of the two.
pub(crate) fn answer(call: &Call<'_>) -> Value {
    if call.request.operation == "metadata:task" { task(call) } else { credentials(call) }
}

/// `/v4/ID/task`: the task of that id, else one of the first cluster that answers to any name.
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
