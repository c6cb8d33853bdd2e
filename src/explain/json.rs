//! An explanation for programs.

use serde::Serialize;
use std::collections::BTreeMap;

use super::explanation::{self, Explanation};
use super::rows::{Row, Verdict};
use crate::inventory;
use crate::printable::escape_json;

#[derive(Serialize)]
struct Document<'a> {
    targets: usize,
    skipped: &'a BTreeMap<&'static str, usize>,
    clusters: Vec<Cluster<'a>>,
    failures: &'a [String],
    containers: Vec<Container<'a>>,
}

#[derive(Serialize)]
struct Cluster<'a> {
    #[serde(flatten)]
    scope: Scope<'a>,
    name: &'a str,
    read: bool,
}

fn cluster(cluster: &explanation::Cluster) -> Cluster<'_> {
    Cluster { scope: scope(cluster.scope.as_ref()), name: &cluster.name, read: cluster.complete }
}

#[derive(Default, Serialize)]
struct Scope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
}

fn scope(scope: Option<&inventory::Scope>) -> Scope<'_> {
    let account = scope.and_then(|scope| scope.account.as_deref());
    Scope { account, region: scope.map(|scope| &*scope.region) }
}

#[derive(Default, Serialize)]
struct Container<'a> {
    #[serde(flatten)]
    scope: Scope<'a>,
    cluster: &'a str,
    group: &'a str,
    task: &'a str,
    task_definition: &'a str,
    container: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    environment_labels: &'a [String],
}

/// Renders an explanation as a JSON document and a newline. Members that do not apply are absent.
pub fn json(explanation: &Explanation) -> String {
    let document = Document {
        targets: explanation.targets,
        skipped: &explanation.skipped,
        clusters: explanation.clusters.iter().map(cluster).collect(),
        failures: &explanation.failures,
        containers: explanation.rows.iter().map(container).collect(),
    };
    // Serialising strings, numbers and booleans to memory cannot fail.
    let json = serde_json::to_string_pretty(&document).unwrap_or_default() + "\n";
    escape_json(&json).into_owned()
}

fn container(row: &Row) -> Container<'_> {
    let place = Container {
        scope: scope(row.scope.as_ref()),
        cluster: &row.cluster,
        group: &row.group,
        task: &row.task,
        task_definition: &row.definition,
        container: &row.container,
        verdict: row.verdict.word(),
        environment_labels: &row.variables,
        ..Container::default()
    };
    match &row.verdict {
        Verdict::Target(target) => Container {
            target: Some(&target.address),
            metrics_path: target.path.as_deref(),
            scheme: target.scheme.as_deref(),
            job: target.job.as_deref(),
            stale: Some(target.stale),
            ..place
        },
        Verdict::Unknown { failure, remedy } => {
            Container { text: Some(failure.clone()), remedy: Some(remedy), ..place }
        }
        Verdict::Misconfigured(reason) | Verdict::Skipped(reason) => Container {
            reason: Some(reason.code()),
            text: Some(reason.to_string()),
            remedy: Some(reason.remedy()),
            ..place
        },
    }
}
