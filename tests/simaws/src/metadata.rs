//! The endpoints on link-local addresses: a task's metadata (version 4) and credentials, and an instance's metadata.

use serde_json::{Value, json};

use crate::service::Call;
use crate::session;
use crate::time::expiration;

/// The lifetime of the session tokens of instance metadata, in seconds.
pub(crate) const TOKEN_LIFETIME: &str = "21600";

/// The name of the instance's role.
const INSTANCE_ROLE: &str = "simaws-instance";

/// Returns the operation of a request for instance metadata ("Instance metadata categories" in the EC2 user guide).
pub(crate) fn instance_operation(method: &str, path: &str) -> Option<&'static str> {
    match (method, path.strip_prefix("/latest/")?) {
        ("PUT", "api/token") => Some("imds:token"),
        ("GET", "meta-data/placement/region") => Some("imds:region"),
        ("GET", "meta-data/iam/security-credentials/") => Some("imds:role"),
        ("GET", "meta-data/iam/security-credentials/simaws-instance") => Some("imds:credentials"),
        _ => None,
    }
}

/// Responds to a request for any of the endpoints.
pub(crate) fn respond(call: &Call<'_>) -> String {
    match call.request.operation.as_str() {
        "metadata:task" => task(call).to_string(),
        "imds:token" => "simulated-token".to_owned(),
        "imds:region" => call.world.region.clone(),
        "imds:role" => INSTANCE_ROLE.to_owned(),
        "imds:credentials" => credentials(call, INSTANCE_ROLE).to_string(),
        _ => credentials(call, "simaws-task").to_string(),
    }
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

/// Instance metadata has the code and no ARN, but clients ignore what they do not know.
fn credentials(call: &Call<'_>, role: &str) -> Value {
    json!({
        "Code": "Success",
        "RoleArn": format!("arn:{}:iam::{}:role/{role}", call.world.partition(), call.world.account),
        "AccessKeyId": format!("ASIA-{role}"),
        "SecretAccessKey": "simulated-secret",
        "Token": session::token(call),
        "Expiration": expiration(call.options.credentials_lifetime),
    })
}
