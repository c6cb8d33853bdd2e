//! ECS: JSON 1.1 over POST, the operation in `X-Amz-Target`.

mod describe;
pub(crate) mod event;
mod list;
mod wire;

use serde_json::Value;

use crate::response::ApiError;
use crate::service::Call;
use crate::world::Cluster;

/// The maximum number of ids in a describe call and of results in a page (API reference of each operation).
const LIMIT: usize = 100;

/// The maximum number of services in a DescribeServices call.
const SERVICE_LIMIT: usize = 10;

/// Responds to an ECS call.
pub(crate) fn respond(call: &mut Call<'_>) -> Result<Value, ApiError> {
    if !call.request.body.is_object() {
        return Err(ApiError::misuse("SerializationException", "the body is not a JSON object"));
    }
    match call.request.action() {
        "ListClusters" => list::clusters(call),
        "ListTasks" => list::tasks(call),
        "DescribeTasks" => describe::tasks(call),
        "DescribeServices" => describe::services(call),
        "DescribeClusters" => describe::clusters(call),
        "DescribeContainerInstances" => describe::container_instances(call),
        "DescribeTaskDefinition" => describe::task_definition(call),
        _ => Err(ApiError::misuse("UnknownOperationException", "")),
    }
}

/// Returns the cluster of a call, given by name or ARN, or else the one named `default`.
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
