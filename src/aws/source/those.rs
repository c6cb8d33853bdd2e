//! Selects tasks.

use std::collections::HashMap;
use std::sync::Arc;

use crate::inventory::{ClusterRef, ClusterTasks, Fetched, Task, TaskDefinition, TaskDefinitionArn};

/// Decides about a task with this definition.
pub type OfTask = Arc<dyn Fn(&Task, &TaskDefinition) -> bool + Send + Sync>;

/// Returns a task's definition if it is of use and can be described.
pub(super) fn wanted_definition(task: &Task) -> Option<&TaskDefinitionArn> {
    (!task.last_status.is_stopping() && !task.definition.is_daemon()).then_some(&task.definition)
}

/// Returns those of the tasks with known definitions that this is true of.
pub(super) fn those<'a>(
    tasks: &[(&'a ClusterRef, &'a Task)],
    definitions: &HashMap<TaskDefinitionArn, Fetched<Arc<TaskDefinition>>>,
    is_one: &OfTask,
) -> Vec<(&'a ClusterRef, &'a Task)> {
    let wanted = |(_, task): &&(&ClusterRef, &Task)| match definitions.get(&task.definition) {
        Some(Fetched::Known(definition)) => is_one(task, definition),
        _ => false,
    };
    tasks.iter().filter(wanted).copied().collect()
}

pub(super) fn known_tasks(clusters: &[ClusterTasks]) -> impl Iterator<Item = (&ClusterRef, &Task)> {
    clusters.iter().flat_map(|cluster| {
        cluster.tasks.iter().flatten().filter_map(|listed| match &listed.task {
            Fetched::Known(task) => Some((&cluster.cluster, &**task)),
            _ => None,
        })
    })
}
