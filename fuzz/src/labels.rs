//! Docker labels and other strings of a task, through to the file and to what people read.
//!
//! The lines of the input are, in this order: the docker labels for the port, the host, the job, the path and the scheme; the
//! image, the family, the group, the name of the container, the id of the task, the container's ARN, and a key and a value of a tag.
//!
//! Invariant: a file in YAML is read in the same way by a strict parser as the JSON: the same targets, each `HOST:PORT` with a host
//! that needs no quoting and a port from 1 to 65535, and labels with known names and the values that AWS gave. Targets are sorted,
//! each once. Neither the explanation of them nor the status page nor a metric has characters that AWS gave and that mean something
//! there.

use std::collections::BTreeSet;
use std::sync::Arc;

use ecs_discovery::explain::{self, Colour, explain};
use ecs_discovery::file_sd::{Format, TargetGroup, parse, render};
use ecs_discovery::inventory::{
    Container, ContainerDefinition, NetworkMode, Shared, Snapshot, Task, TaskDefinition, TaskDetails, TaskStatus,
};
use ecs_discovery::printable::is_unsafe;
use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use crate::input::texts;
use crate::snapshots::{self, CLUSTER, DEFINITION, settings, task_arn};

/// The docker labels that count, in the order of the input.
const DOCKER: [&str; 5] = [
    "PROMETHEUS_EXPORTER_PORT",
    "PROMETHEUS_EXPORTER_SERVER_NAME",
    "PROMETHEUS_EXPORTER_JOB_NAME",
    "PROMETHEUS_EXPORTER_PATH",
    "PROMETHEUS_EXPORTER_SCHEME",
];

/// The labels that are not `__meta_ecs_…`.
const NAMES: [&str; 11] = [
    "task_arn",
    "task_name",
    "job",
    "task_revision",
    "task_group",
    "cluster_arn",
    "container_name",
    "container_arn",
    "docker_image",
    "__metrics_path__",
    "__scheme__",
];

/// Runs the target.
pub fn run(data: &[u8]) {
    let strings = Strings::of(data);
    for meta_labels in ["false", "true"] {
        let groups = strings.targets(meta_labels);
        let written = rendered(&groups);
        assert_eq!(written.json, written.yaml, "in JSON and in YAML");
        check_order(&groups);
        for group in groups.iter() {
            strings.check(group);
        }
    }
    strings.check_explanation();
}

/// Returns the file for an input, as YAML and as JSON.
pub fn files(data: &[u8]) -> [Vec<u8>; 2] {
    let groups = Strings::of(data).targets("true");
    [Format::Yaml, Format::Json].map(|format| render(&groups, format))
}

/// What AWS gives.
struct Strings {
    docker: [String; 5],
    image: Shared,
    family: Shared,
    group: Shared,
    container: Shared,
    id: String,
    container_arn: Shared,
    tag: (Shared, Shared),
}

impl Strings {
    fn of(data: &[u8]) -> Self {
        let mut lines = texts(data);
        let mut next = || lines.next().unwrap_or_default();
        let docker = [(); 5].map(|()| next());
        let mut next = || Shared::from(next());
        let (image, family, group, container) = (next(), next(), next(), next());
        let id = next().to_string();
        Self { docker, image, family, group, container, id, container_arn: next(), tag: (next(), next()) }
    }

    fn snapshot(&self) -> Snapshot {
        let container = |ip: [u8; 4]| Container {
            name: self.container.clone(),
            arn: Some(self.container_arn.clone()),
            last_status: TaskStatus::Running,
            ipv4: Some(ip.into()),
            ..Container::default()
        };
        let task = |id: &str, ip| Task {
            arn: task_arn(id),
            cluster: Some(CLUSTER.into()),
            definition: DEFINITION.into(),
            group: Some(self.group.clone()),
            last_status: TaskStatus::Running,
            stop_requested: false,
            version: 1,
            on_managed_instance: false,
            container_instance: None,
            attachment_ipv4: None,
            containers: vec![container(ip)],
            details: Some(Box::new(TaskDetails { tags: vec![self.tag.clone()], ..TaskDetails::default() })),
        };
        let labels = DOCKER.iter().zip(&self.docker).filter(|(_, value)| !value.is_empty());
        let definition = ContainerDefinition {
            name: self.container.clone(),
            image: Some(self.image.clone()),
            docker_labels: labels.map(|(name, value)| ((*name).into(), value.as_str().into())).collect(),
            ..ContainerDefinition::default()
        };
        let definition = TaskDefinition {
            family: self.family.clone(),
            revision: 3,
            network_mode: NetworkMode::Awsvpc,
            containers: vec![definition],
        };
        snapshots::snapshot(vec![task(&self.id, [10, 0, 0, 1]), task("other", [10, 0, 0, 2])], definition)
    }

    fn targets(&self, meta_labels: &str) -> Arc<Vec<TargetGroup>> {
        let config = settings(&[&format!("-config.meta-labels={meta_labels}")]);
        ecs_discovery::targets::derive(&self.snapshot(), &config.rules).groups
    }

    /// Each label has the value that AWS gave.
    fn check(&self, group: &TargetGroup) {
        let [target] = &*group.targets else { panic!("{group:?}") };
        check_target(target);
        let names: Vec<&str> = group.labels.iter().map(|(name, _)| name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        for name in names {
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            assert!(NAMES.contains(&name) || (name.starts_with("__meta_ecs_") && is_name), "{name:?}");
        }
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let [_, _, job, path, scheme] = self.docker.each_ref().map(|label| some(label));
        for (name, expected) in [
            ("job", job),
            ("__scheme__", scheme),
            ("task_group", Some(self.group.to_string())),
            ("task_name", Some(self.family.to_string())),
            ("docker_image", Some(self.image.to_string())),
            ("container_name", Some(self.container.to_string())),
            ("container_arn", Some(self.container_arn.to_string())),
        ] {
            assert_eq!(group.labels.get(name).map(String::from), expected, "{name}");
        }
        // The path may be in the port's label.
        let found = group.labels.get("__metrics_path__").map(String::from);
        assert!(found == path || found.is_some_and(|found| self.docker[0].contains(&found)));
        let task = group.labels.get("task_arn");
        assert!([self.id.as_str(), "other"].iter().any(|id| task == Some(task_arn(id).as_str())), "{task:?}");
    }

    fn check_explanation(&self) {
        let config = settings(&["-config.meta-labels=true"]);
        let explanation = explain(&snapshots::publish(self.snapshot(), &config));
        let text = explain::text(&explanation, Colour::Never);
        assert!(!text.contains(|c| c != '\n' && is_unsafe(c)), "{text:?}");
        let json = explain::json(&explanation);
        assert!(!json.contains(|c| c != '\n' && is_unsafe(c)), "{json:?}");
        serde_json::from_str::<Json>(&json).expect("JSON");
    }
}

fn check_target(target: &str) {
    let (host, port) = target.rsplit_once(':').expect("HOST:PORT");
    assert!(port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port), "{target:?}");
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_address = host != inside && inside.parse::<std::net::Ipv6Addr>().is_ok();
    let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    assert!(is_address || is_name, "{target:?}");
}

fn check_order(groups: &[TargetGroup]) {
    assert!(groups.is_sorted(), "{groups:?}");
    assert!(groups.windows(2).all(|two| two[0] != two[1]), "{groups:?}");
}

/// What a file says, as parsers other than this program's read it.
struct Read {
    json: Json,
    yaml: Json,
}

fn rendered(groups: &[TargetGroup]) -> Read {
    let [yaml, json] = [Format::Yaml, Format::Json].map(|format| render(groups, format));
    assert_eq!(parse(&yaml, Format::Yaml).as_deref(), Ok(groups));
    let read: Yaml = serde_yaml::from_slice(&yaml).expect("YAML");
    #[cfg(fuzzing)]
    assert_eq!(second_opinion(std::str::from_utf8(&yaml).unwrap()), strings(&read), "YAML 1.2");
    Read { json: serde_json::from_slice(&json).expect("JSON"), yaml: strings(&read) }
}

/// Converts a document that has only lists, maps and strings.
fn strings(yaml: &Yaml) -> Json {
    match yaml {
        Yaml::String(text) => text.as_str().into(),
        Yaml::Sequence(items) => items.iter().map(strings).collect(),
        Yaml::Mapping(pairs) => {
            Json::Object(pairs.iter().map(|(name, value)| (name.as_str().unwrap().into(), strings(value))).collect())
        }
        other => panic!("not a string: {other:?}"),
    }
}

/// Does the same with a parser of YAML 1.2 that shares no code with the other.
#[cfg(fuzzing)]
fn second_opinion(text: &str) -> Json {
    use yaml_rust2::{Yaml, YamlLoader};

    fn strings(yaml: &Yaml) -> Json {
        match yaml {
            Yaml::String(text) => text.as_str().into(),
            Yaml::Array(items) => items.iter().map(strings).collect(),
            Yaml::Hash(pairs) => {
                let pair = |(name, value): (&Yaml, &Yaml)| (name.as_str().unwrap().to_owned(), strings(value));
                Json::Object(pairs.iter().map(pair).collect())
            }
            other => panic!("not a string: {other:?}"),
        }
    }

    let [document] = &YamlLoader::load_from_str(text).expect("YAML")[..] else { panic!("one document") };
    strings(document)
}
