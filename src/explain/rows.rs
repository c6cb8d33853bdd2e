//! One row per container, or per target of a container.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use super::failures::remedy;
use crate::file_sd::TargetGroup;
use crate::filter::TargetFilter;
use crate::inventory::{
    ClusterTasks, Clusters, FailureId, Fetched, Scope, Task, TaskArn, TaskDefinition, TaskDefinitionArn,
};
use crate::refresh::Refresh;
use crate::targets::SkipReason;

/// A container and its verdict; a container with several targets has several rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The scope, if there are several.
    pub scope: Option<Scope>,
    /// The cluster's name.
    pub cluster: String,
    /// The task's group, `service:NAME` or `family:NAME`; empty if it has none.
    pub group: String,
    /// The verdict; the most useful ones sort first.
    pub verdict: Verdict,
    /// The task's id.
    pub task: String,
    /// The task definition, `FAMILY:REVISION`; empty if it is not known.
    pub definition: String,
    /// The container's name; empty if the row is about the whole task.
    pub container: String,
    /// The environment variables that count because the container lacks the docker labels of these names.
    pub variables: Vec<String>,
}

/// Whether a container is a target, and why not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Somebody who meant it to be scraped has something to fix.
    Misconfigured(SkipReason),
    /// It could not be learned.
    Unknown {
        /// What failed, and how.
        failure: String,
        /// What to do about it.
        remedy: String,
    },
    /// It is a target.
    Target(Target),
    /// It is not a target, and nothing is wrong.
    Skipped(SkipReason),
}

impl Verdict {
    /// Returns the verdict in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Misconfigured(_) => "misconfigured",
            Self::Unknown { .. } => "unknown",
            Self::Target(_) => "target",
            Self::Skipped(_) => "skipped",
        }
    }

    /// Returns the verdict's details on one line: the target, or the reason and the remedy.
    pub fn details(&self) -> String {
        match self {
            Self::Misconfigured(reason) | Self::Skipped(reason) => format!("{reason}: {}", reason.remedy()),
            Self::Unknown { failure, remedy } => format!("{failure}: {remedy}"),
            Self::Target(target) => target.details(),
        }
    }
}

/// A target as Prometheus will see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    /// The metrics path, if a docker label sets it.
    pub path: Option<String>,
    /// The scheme, if a docker label sets it.
    pub scheme: Option<String>,
    /// The job, if a docker label sets it.
    pub job: Option<String>,
    /// Whether it is a last known target, kept because a call failed.
    pub stale: bool,
}

impl Target {
    fn details(&self) -> String {
        let mut text = self.address.clone();
        for (name, value) in [("path", &self.path), ("scheme", &self.scheme), ("job", &self.job)] {
            if let Some(value) = value {
                // Writing to memory cannot fail.
                let _ = write!(text, " {name}={value}");
            }
        }
        if self.stale {
            text.push_str(" (last known)");
        }
        text
    }
}

/// Returns the selected rows of a refresh. The scope is given if there are several.
pub(super) fn rows(refresh: &Refresh, names: &Clusters<'_>, scope: Option<&Scope>, filter: &TargetFilter) -> Vec<Row> {
    let tasks = tasks(refresh, names, filter);
    let context = Context { scope, tasks, definitions: &refresh.snapshot.definitions };
    let derived: HashSet<&TargetGroup> = refresh.derived.groups.iter().collect();
    let row = |task: &str, container: Option<&str>, verdict| context.row(task, container, verdict);
    let targets = filter.select(&refresh.targets).map(|group| {
        let label = |name| group.labels.get(name);
        let verdict = Verdict::Target(target(group, &derived));
        let mut row = row(label("task_arn").unwrap_or_default(), label("container_name"), verdict);
        if row.cluster.is_empty() {
            row.cluster = label("cluster_arn").map(|arn| names.display_arn(arn)).unwrap_or_default().to_owned();
        }
        row
    });
    let is_selected = |task: &TaskArn| filter.is_empty() || context.tasks.contains_key(task.as_str());
    let skipped = refresh.derived.skipped.iter().filter(|skipped| is_selected(&skipped.task)).map(|skipped| {
        let reason = skipped.reason.clone();
        let verdict =
            if reason.is_misconfiguration() { Verdict::Misconfigured(reason) } else { Verdict::Skipped(reason) };
        row(skipped.task.as_str(), skipped.container.as_deref(), verdict)
    });
    let unknown = refresh.derived.unknown.iter().filter(|unknown| is_selected(&unknown.task)).map(|unknown| {
        let verdict = why_unknown(refresh, unknown.failure);
        row(unknown.task.as_str(), unknown.container.as_deref(), verdict)
    });
    targets.chain(skipped).chain(unknown).collect()
}

/// Tasks by ARN, each with the name of the cluster in which it was listed.
type Tasks<'a> = HashMap<&'a str, (&'a str, Option<&'a Task>)>;

/// Returns the tasks that a filter can select.
fn tasks<'a>(refresh: &'a Refresh, names: &Clusters<'_>, filter: &TargetFilter) -> Tasks<'a> {
    let can_select = |cluster: &&ClusterTasks| filter.can_select(&refresh.scope, Some(&cluster.cluster));
    let listed = refresh.snapshot.clusters.iter().filter(can_select).flat_map(|cluster| {
        let (name, tasks) = (names.display(&cluster.cluster), cluster.tasks.iter().flatten());
        tasks.filter_map(move |listed| {
            let task = match &listed.task {
                Fetched::Known(task) => Some(&**task),
                _ => None,
            };
            filter.can_select_task(task).then_some((listed.arn.as_str(), (name, task)))
        })
    });
    listed.collect()
}

/// What is known of the tasks that rows are about.
struct Context<'a> {
    scope: Option<&'a Scope>,
    tasks: Tasks<'a>,
    definitions: &'a HashMap<TaskDefinitionArn, Fetched<Arc<TaskDefinition>>>,
}

impl Context<'_> {
    fn row(&self, task: &str, container: Option<&str>, verdict: Verdict) -> Row {
        let (cluster, known) = self.tasks.get(task).copied().unwrap_or_default();
        let group = known.and_then(|task| task.group.as_deref());
        Row {
            scope: self.scope.cloned(),
            cluster: cluster.to_owned(),
            group: group.unwrap_or_default().to_owned(),
            verdict,
            task: task.rsplit('/').next().unwrap_or(task).to_owned(),
            definition: known.map(|task| task.definition.name().to_owned()).unwrap_or_default(),
            container: container.unwrap_or_default().to_owned(),
            variables: known.zip(container).map(|(task, name)| self.variables(task, name)).unwrap_or_default(),
        }
    }

    fn variables(&self, task: &Task, container: &str) -> Vec<String> {
        let Some(Fetched::Known(definition)) = self.definitions.get(&task.definition) else { return Vec::new() };
        let container = definition.container(container);
        container.iter().flat_map(|container| container.variables_in_use()).map(|name| name.to_string()).collect()
    }
}

fn target(group: &TargetGroup, derived: &HashSet<&TargetGroup>) -> Target {
    let label = |name| group.labels.get(name).map(String::from);
    Target {
        address: group.targets.join(" "),
        path: label("__metrics_path__"),
        scheme: label("__scheme__"),
        job: label("job"),
        stale: !derived.contains(group),
    }
}

fn why_unknown(refresh: &Refresh, id: FailureId) -> Verdict {
    let failure = refresh.snapshot.failures.iter().find(|(known, _)| *known == id).map(|(_, failure)| failure);
    Verdict::Unknown {
        failure: failure.map(|failure| format!("{}: {}", failure.operation, failure.code)).unwrap_or_default(),
        remedy: failure.map(remedy).unwrap_or_default(),
    }
}
