//! ListClusters and ListTasks.

use serde_json::{Value, json};

use super::{LIMIT, cluster, invalid};
use crate::paging::{Page, Wanted};
use crate::response::ApiError;
use crate::service::Call;
use crate::world::Task;

pub(super) fn clusters(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let world = call.world;
    let list = || {
        let active = world.clusters.iter().filter(|cluster| cluster.status == "ACTIVE");
        active.map(|cluster| world.cluster_arn(&cluster.name)).collect()
    };
    let page = page(call, "clusters", list)?;
    Ok(with_token(json!({"clusterArns": page.items}), page.next))
}

/// Lists tasks of any last status, as AWS does. Without a `desiredStatus`, AWS lists the tasks with desired status
/// RUNNING; here `listed` decides, so that a world can have a task that stops between the list and the describe call.
pub(super) fn tasks(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (world, cluster) = (call.world, cluster(call)?);
    reject_unknown_filters(call)?;
    let wanted = call.request.text("desiredStatus");
    let is_listed =
        |task: &&Task| task.listed && wanted.is_none_or(|wanted| task.desired_status.as_deref() == Some(wanted));
    let list = || cluster.tasks.iter().filter(is_listed).map(|task| world.task_arn(&cluster.name, &task.id)).collect();
    let listing = format!("tasks {} {}", cluster.name, wanted.unwrap_or_default());
    let page = page(call, &listing, list)?;
    Ok(with_token(json!({"taskArns": page.items}), page.next))
}

/// Rejects members that simaws does not implement: ignoring a filter would list too many tasks unnoticed.
fn reject_unknown_filters(call: &Call<'_>) -> Result<(), ApiError> {
    const KNOWN: [&str; 4] = ["cluster", "desiredStatus", "maxResults", "nextToken"];
    let members = call.request.body.as_object().into_iter().flatten();
    match members.map(|(name, _)| name).find(|name| !KNOWN.contains(&name.as_str())) {
        Some(name) => Err(invalid(&format!("simaws does not implement the member {name} of ListTasks"))),
        None => Ok(()),
    }
}

fn page(call: &mut Call<'_>, listing: &str, list: impl FnOnce() -> Vec<String>) -> Result<Page, ApiError> {
    let size = match call.request.body.get("maxResults") {
        None | Some(Value::Null) => LIMIT,
        Some(size) => within_limit(size).ok_or_else(|| invalid("maxResults must be between 1 and 100."))?,
    };
    let token = call.request.text("nextToken");
    let listing = format!("{} {listing}", call.scope);
    let wanted = Wanted { listing: &listing, token, size: call.page_size(size), fault: call.page_fault };
    call.tokens.page(wanted, list).ok_or_else(|| invalid("Invalid token."))
}

fn within_limit(size: &Value) -> Option<usize> {
    let size = usize::try_from(size.as_u64()?).ok()?;
    (1..=LIMIT).contains(&size).then_some(size)
}

fn with_token(mut body: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        body["nextToken"] = Value::String(next);
    }
    body
}
