//! ECS: JSON 1.1 over POST, the operation in `X-Amz-Target`.

mod describe;
mod list;
mod wire;

use serde_json::Value;

use crate::answer::ApiError;
use crate::service::Call;
use crate::world::Cluster;

/// The most ids a describe call and the most results a page may have (the API reference of each operation).
const LIMIT: usize = 100;

/// Answers an ECS call.
pub(crate) fn answer(call: &mut Call<'_>) -> Result<Value, ApiError> {
    if !call.request.body.is_object() {
        return Err(ApiError::misuse("SerializationException", "the body is no JSON object"));
    }
    match call.request.action() {
        "ListClusters" => list::clusters(call),
        "ListTasks" => list::tasks(call),
        "DescribeTasks" => describe::tasks(call),
        "DescribeContainerInstances" => describe::container_instances(call),
        "DescribeTaskDefinition" => describe::task_definition(call),
        _ => Err(ApiError::misuse("UnknownOperationException", "")),
    }
}

/// The cluster a call is for: by name or ARN, else the one named `default`.
fn cluster<'a>(call: &Call<'a>) -> Result<&'a Cluster, ApiError> {
    let name = call.request.cluster().unwrap_or("default");
    let given = call.request.text("cluster").unwrap_or_default();
    let other_account_or_region = given.starts_with("arn:") && given != call.world.cluster_arn(name);
    let cluster = call.world.cluster(name).filter(|cluster| cluster.status == "ACTIVE");
    cluster
        .filter(|_| !other_account_or_region)
        .ok_or_else(|| ApiError::new(400, "ClusterNotFoundException", "Cluster not found."))
}

fn invalid(message: &str) -> ApiError {
    ApiError::misuse("InvalidParameterException", message)
}
