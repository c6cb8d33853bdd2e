//! A task definition revision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

fn active() -> String {
    "ACTIVE".to_owned()
}

/// One revision of a task definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinition {
    /// Its family.
    pub family: String,
    /// Its revision.
    pub revision: i64,
    /// The network mode: `awsvpc`, `bridge`, `host`, `none`, `default`, or absent for the default of the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<String>,
    /// Its containers.
    #[serde(default)]
    pub container_definitions: Vec<ContainerDefinition>,
    /// For example `FARGATE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires_compatibilities: Vec<String>,
    /// The status, by default `ACTIVE`. A `DELETED` revision is treated as if it did not exist.
    #[serde(default = "active")]
    pub status: String,
    /// Members to omit on the wire, such as `containerDefinitions`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Additional members on the wire. They override the ones above; null removes a member.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Default for TaskDefinition {
    fn default() -> Self {
        Self {
            family: String::new(),
            revision: 1,
            network_mode: None,
            container_definitions: Vec::new(),
            requires_compatibilities: Vec::new(),
            status: active(),
            without: Vec::new(),
            extra: Map::new(),
        }
    }
}

impl TaskDefinition {
    /// Returns an active revision. An empty network mode is an absent one.
    pub fn new(family: &str, revision: i64, network_mode: &str) -> Self {
        Self {
            family: family.to_owned(),
            revision,
            network_mode: (!network_mode.is_empty()).then(|| network_mode.to_owned()),
            ..Self::default()
        }
    }

    /// Adds a container with these docker labels.
    #[must_use]
    pub fn container(self, name: &str, docker_labels: &[(&str, &str)]) -> Self {
        self.with_container(ContainerDefinition::new(name, docker_labels))
    }

    /// Adds a container definition.
    #[must_use]
    pub fn with_container(mut self, container: ContainerDefinition) -> Self {
        self.container_definitions.push(container);
        self
    }

    /// Returns `FAMILY:REVISION`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.family, self.revision)
    }

    /// Sets an additional member on the wire; null removes it.
    #[must_use]
    pub fn member(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}

/// A container in a task definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerDefinition {
    /// Its name.
    pub name: String,
    /// Its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Its docker labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub docker_labels: BTreeMap<String, String>,
    /// Its environment variables in AWS's format (`name`, `value`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<Value>,
    /// Port mappings in AWS's format.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub port_mappings: Vec<Value>,
    /// Members to omit on the wire, such as `portMappings`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Additional members on the wire. They override the ones above; null removes a member.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ContainerDefinition {
    /// Returns a container of the image `NAME:latest` with these docker labels.
    pub fn new(name: &str, docker_labels: &[(&str, &str)]) -> Self {
        let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
        Self {
            name: name.to_owned(),
            image: Some(format!("{name}:latest")),
            docker_labels: docker_labels.iter().map(owned).collect(),
            ..Self::default()
        }
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push(json!({"name": name, "value": value}));
        self
    }

    /// Sets the image.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        self.image = Some(image.to_owned());
        self
    }

    /// Sets an additional member on the wire; null removes it.
    #[must_use]
    pub fn member(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}
