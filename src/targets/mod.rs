//! From a snapshot to targets: which container, which address, which labels; otherwise the reason why not.
//!
//! Pure: no I/O, no clock, no logs.

mod host;
mod labels;
mod meta;
mod plan;
mod port;
mod skip;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::skip::{SkipReason, Skipped};

use self::labels::LabelSource;
use self::plan::{Endpoint, Plan, stopping};
use self::skip::NoTarget;
use crate::config::{MetaLabels, Rules};
use crate::file_sd::{Labels, TargetGroup};
use crate::inventory::{
    ClusterTasks, Container, FailureId, Fetched, ListedTask, Shared, Snapshot, Strings, Task, TaskArn, TaskDefinition,
};

/// What follows from one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Derived {
    /// The known targets, sorted and without duplicates.
    pub groups: Arc<Vec<TargetGroup>>,
    /// The containers that are not targets, sorted.
    pub skipped: Vec<Skipped>,
    /// The containers whose targets could not be learned this time, sorted.
    pub unknown: Vec<Unknown>,
}

/// A container, or all containers of a task, whose targets could not be learned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    /// The task.
    pub task: TaskArn,
    /// The container's name; `None` for all containers of the task.
    pub container: Option<Shared>,
    /// The failed call.
    pub failure: FailureId,
}

impl Derived {
    /// Returns the number of skipped containers for each reason.
    pub fn skipped_by_reason(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for skipped in &self.skipped {
            *counts.entry(skipped.reason.code()).or_default() += 1;
        }
        counts
    }

    /// Returns whether a container of this task may become a target within seconds.
    pub fn is_pending(&self, task: &TaskArn) -> bool {
        let first = self.skipped.partition_point(|skipped| skipped.task < *task);
        let of_task = self.skipped[first..].iter().take_while(|skipped| skipped.task == *task);
        of_task.into_iter().any(|skipped| skipped.reason.is_pending())
    }

    /// Returns whether this task has a target.
    pub fn has_target(&self, task: &TaskArn) -> bool {
        // Groups are sorted by their labels, of which the task is the first.
        let of = |group: &TargetGroup| group.labels.get("task_arn").unwrap_or_default().cmp(task.as_str());
        self.groups.binary_search_by(of).is_ok()
    }

    fn sort(&mut self) {
        let groups = Arc::make_mut(&mut self.groups);
        groups.sort_unstable();
        groups.dedup();
        self.skipped.sort_unstable();
        self.skipped.dedup();
        self.unknown.sort_unstable();
        self.unknown.dedup();
    }
}

/// Derives the targets of a snapshot.
pub fn derive(snapshot: &Snapshot, rules: &Rules) -> Derived {
    let mut derivation = Derivation { snapshot, rules, derived: Derived::default(), strings: Strings::default() };
    for cluster in &snapshot.clusters {
        for listed in cluster.tasks.iter().flatten() {
            derivation.add_task(cluster, listed);
        }
    }
    let mut derived = derivation.derived;
    derived.sort();
    derived
}

/// Returns whether a target of this task would be at the address of its EC2 instance, which EC2 must then be asked for.
pub fn needs_instance(task: &Task, definition: &TaskDefinition, rules: &Rules) -> bool {
    any_plan(task, definition, rules, |plan| plan.needs_instance())
}

/// Returns whether a container of this task is a target, as far as is known without its EC2 instance.
pub fn has_target(task: &Task, definition: &TaskDefinition, rules: &Rules) -> bool {
    any_plan(task, definition, rules, |plan| plan.has_endpoint())
}

fn any_plan(task: &Task, definition: &TaskDefinition, rules: &Rules, is_one: impl Fn(&Plan<'_>) -> bool) -> bool {
    let mut containers = task.containers.iter();
    containers.any(|container| Plan::new(task, container, definition, rules).is_ok_and(|plan| is_one(&plan)))
}

/// A derivation in progress.
struct Derivation<'a> {
    snapshot: &'a Snapshot,
    rules: &'a Rules,
    derived: Derived,
    /// Label names, and values that many targets have in common.
    strings: Strings,
}

impl<'a> Derivation<'a> {
    /// Adds a task that was listed in this cluster.
    fn add_task(&mut self, cluster: &ClusterTasks, listed: &ListedTask) {
        let task = match &listed.task {
            Fetched::Known(task) => task,
            Fetched::Gone(()) => return self.record(&listed.arn, None, NoTarget::Skipped(SkipReason::TaskGone)),
            Fetched::Unknown(failure) => return self.record(&listed.arn, None, NoTarget::Unknown(*failure)),
        };
        let definition = match self.definition(task) {
            Err(why @ NoTarget::Unknown(_)) => return self.record(&listed.arn, None, why),
            definition => definition,
        };
        for container in &task.containers {
            let plan = definition
                .clone()
                .and_then(|definition| Plan::new(task, container, definition, self.rules).map_err(NoTarget::Skipped));
            match plan {
                Ok(plan) => self.add_container(cluster, task, container, &plan),
                Err(why) => self.record(&listed.arn, Some(container), why),
            }
        }
    }

    /// Returns a task's definition, or why its containers are not targets without one.
    fn definition(&self, task: &Task) -> Result<&'a TaskDefinition, NoTarget> {
        let why = match self.snapshot.definitions.get(&task.definition) {
            _ if task.definition.is_daemon() => NoTarget::Skipped(SkipReason::DaemonTask),
            Some(Fetched::Known(definition)) => return Ok(definition),
            Some(Fetched::Unknown(failure)) => NoTarget::Unknown(*failure),
            Some(Fetched::Gone(())) | None => NoTarget::Skipped(SkipReason::TaskDefinitionGone),
        };
        // The targets of a stopping task go, whatever its definition says.
        Err(stopping(task).map_or(why, NoTarget::Skipped))
    }

    fn add_container(&mut self, cluster: &ClusterTasks, task: &Task, container: &Container, plan: &Plan<'_>) {
        for endpoint in &plan.endpoints {
            let endpoint = endpoint.as_ref().map_err(|reason| NoTarget::Skipped(reason.clone()));
            match endpoint.and_then(|endpoint| self.target_group(cluster, task, container, plan, endpoint)) {
                Ok(group) => Arc::make_mut(&mut self.derived.groups).push(group),
                Err(why) => self.record(&task.arn, Some(container), why),
            }
        }
    }

    fn target_group(
        &mut self,
        cluster: &ClusterTasks,
        task: &Task,
        container: &Container,
        plan: &Plan<'_>,
        endpoint: &Endpoint<'_>,
    ) -> Result<TargetGroup, NoTarget> {
        let (host, instance) = plan.at.host(task, &self.snapshot.hosts)?;
        let port = endpoint.port.at(host.family());
        let port = port.ok_or(NoTarget::Skipped(SkipReason::PortNotPublished(endpoint.container_port)))?;
        let source = LabelSource { cluster: &cluster.cluster, task, container, plan, endpoint, host: &host, instance };
        let mut labels: Vec<_> = source.labels(self.rules, &mut self.strings).collect();
        if self.rules.meta_labels != MetaLabels::Off {
            let details = cluster.details.as_deref().filter(|_| self.rules.meta_labels == MetaLabels::All);
            labels.extend(meta::labels(&source, details).map(|(name, value)| (self.strings.share(&name), value)));
        }
        let labels = Labels::new(labels, &mut self.strings);
        Ok(TargetGroup { targets: [format!("{host}:{port}").into()].into(), labels })
    }

    fn record(&mut self, task: &TaskArn, container: Option<&Container>, why: NoTarget) {
        let (task, container) = (task.clone(), container.map(|container| container.name.clone()));
        match why {
            NoTarget::Skipped(reason) => self.derived.skipped.push(Skipped { task, container, reason }),
            NoTarget::Unknown(failure) => self.derived.unknown.push(Unknown { task, container, failure }),
        }
    }
}
