//! Why each container of the scanned clusters is or is not a target. Pure: from a refresh to rows, and
//! from rows to text or JSON.

mod json;
mod text;

use std::collections::{BTreeMap, HashMap, HashSet};

pub use self::json::json;
pub use self::text::text;
use crate::daemon::Refresh;
use crate::file_sd::TargetGroup;
use crate::inventory::{ClusterTasks, Failure, FailureId, Fetched, Task};
use crate::targets::SkipReason;

/// One container and what became of it; a container with several targets has several rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The cluster's name.
    pub cluster: String,
    /// The task's group, `service:NAME` or `family:NAME`; empty where it has none.
    pub group: String,
    /// What became of it; the most useful comes first.
    pub verdict: Verdict,
    /// The task's id.
    pub task: String,
    /// The task definition, `FAMILY:REVISION`; empty where it is not known.
    pub definition: String,
    /// The container's name; empty where the task could not be looked into.
    pub container: String,
}

/// What became of a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Whoever meant it to be scraped has something to mend.
    Mistake(SkipReason),
    /// It could not be learned.
    Unknown {
        /// What failed, and how.
        failure: String,
        /// What to do about it.
        remedy: String,
    },
    /// It is a target.
    Target(Target),
    /// It is none, and nothing is wrong.
    Skipped(SkipReason),
}

/// A target as Prometheus will see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    /// The metrics path, where a docker label sets it.
    pub path: Option<String>,
    /// The scheme, likewise.
    pub scheme: Option<String>,
    /// The job, likewise.
    pub job: Option<String>,
    /// Whether it is an earlier one that stands in for what could not be learned.
    pub stale: bool,
}

/// A refresh, explained.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// Every container, sorted.
    pub rows: Vec<Row>,
    /// How many targets there are.
    pub targets: usize,
    /// How many containers were skipped, by the reason's code.
    pub skipped: BTreeMap<&'static str, usize>,
    /// The scanned clusters, and whether each could be read.
    pub clusters: Vec<(String, bool)>,
    /// Whether it is known which clusters there are, and every one of them could be read.
    pub complete: bool,
    /// What failed, in a line each.
    pub failures: Vec<String>,
}

/// Explains a refresh.
pub fn explain(refresh: &Refresh) -> Explanation {
    let tasks = known_tasks(refresh);
    let learned: HashSet<&TargetGroup> = refresh.derived.groups.iter().collect();
    let row = |task: &str, container: Option<&str>, verdict| row(&tasks, task, container, verdict);
    let targets = refresh.targets.iter().map(|group| {
        let label = |name| group.labels.get(name);
        let verdict = Verdict::Target(target(group, !learned.contains(group)));
        let mut row = row(label("task_arn").unwrap_or_default(), label("container_name"), verdict);
        if row.cluster.is_empty() {
            row.cluster = last_part(label("cluster_arn").unwrap_or_default()).to_owned();
        }
        row
    });
    let skipped = refresh.derived.skipped.iter().map(|skipped| {
        let reason = skipped.reason.clone();
        let verdict = if reason.is_misconfiguration() { Verdict::Mistake(reason) } else { Verdict::Skipped(reason) };
        row(skipped.task.as_str(), skipped.container.as_deref(), verdict)
    });
    let unknown = refresh.derived.unknown.iter().map(|unknown| {
        let verdict = why_unknown(refresh, unknown.failure);
        row(unknown.task.as_str(), unknown.container.as_deref(), verdict)
    });
    let mut rows: Vec<Row> = targets.chain(skipped).chain(unknown).collect();
    rows.sort_unstable();
    let scanned = refresh.snapshot.clusters.iter().flatten();
    let clusters: Vec<_> = scanned.map(|cluster| (cluster.cluster.name().to_owned(), is_read(cluster))).collect();
    Explanation {
        rows,
        targets: refresh.targets.len(),
        skipped: refresh.derived.skipped_by_reason(),
        complete: refresh.snapshot.clusters.is_ok() && clusters.iter().all(|(_, read)| *read),
        clusters,
        failures: refresh.snapshot.failures.iter().map(|(_, failure)| in_a_line(failure)).collect(),
    }
}

/// Whether all tasks of a cluster have been listed and described.
fn is_read(cluster: &ClusterTasks) -> bool {
    let tasks = cluster.tasks.as_ref();
    tasks.is_ok_and(|tasks| !tasks.iter().any(|task| matches!(task.task, Fetched::Unknown(_))))
}

/// A failure in a line, with what to do where that can be told.
pub fn in_a_line(failure: &Failure) -> String {
    let Failure { operation, code, message, .. } = failure;
    let place = failure.cluster.as_ref().map(|cluster| format!(" of cluster {}", cluster.name())).unwrap_or_default();
    let request = failure.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
    format!("{operation}{place}: {code}: {message}{request}: {}", remedy(failure))
}

/// Tasks by ARN, each with the name of the cluster in which it was listed.
type Tasks<'a> = HashMap<&'a str, (&'a str, Option<&'a Task>)>;

fn known_tasks(refresh: &Refresh) -> Tasks<'_> {
    let clusters = refresh.snapshot.clusters.iter().flatten();
    let listed = clusters.flat_map(|cluster| {
        let tasks = cluster.tasks.iter().flatten();
        tasks.map(|listed| {
            let task = match &listed.task {
                Fetched::Known(task) => Some(&**task),
                _ => None,
            };
            (listed.arn.as_str(), (cluster.cluster.name(), task))
        })
    });
    listed.collect()
}

fn row(tasks: &Tasks<'_>, task: &str, container: Option<&str>, verdict: Verdict) -> Row {
    let (cluster, known) = tasks.get(task).copied().unwrap_or_default();
    let group = known.and_then(|task| task.group.as_deref());
    Row {
        cluster: cluster.to_owned(),
        group: group.unwrap_or_default().to_owned(),
        verdict,
        task: last_part(task).to_owned(),
        definition: known.map(|task| task.definition.name().to_owned()).unwrap_or_default(),
        container: container.unwrap_or_default().to_owned(),
    }
}

fn target(group: &TargetGroup, stale: bool) -> Target {
    let label = |name| group.labels.get(name).map(String::from);
    Target {
        address: group.targets.join(" "),
        path: label("__metrics_path__"),
        scheme: label("__scheme__"),
        job: label("job"),
        stale,
    }
}

fn why_unknown(refresh: &Refresh, id: FailureId) -> Verdict {
    let failure = refresh.snapshot.failures.iter().find(|(known, _)| *known == id).map(|(_, failure)| failure);
    Verdict::Unknown {
        failure: failure.map(|failure| format!("{}: {}", failure.operation, failure.code)).unwrap_or_default(),
        remedy: failure.map(remedy).unwrap_or_default(),
    }
}

/// What to do about a failure.
fn remedy(failure: &Failure) -> String {
    let denied = ["AccessDenied", "Unauthorized"].iter().any(|word| failure.code.starts_with(word));
    match (failure.operation, failure.code.as_str()) {
        ("DescribeInstances", _) if denied => "allow ec2:DescribeInstances".into(),
        ("AssumeRole", _) if denied => "allow sts:AssumeRole here, and trust us in the role".into(),
        (operation, _) if denied => format!("allow ecs:{operation}"),
        (_, "ClusterNotFoundException") => "check -config.cluster and -config.region".into(),
        _ if failure.transient => "wait: it is tried again at every refresh".into(),
        _ => "look at the message".into(),
    }
}

fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
