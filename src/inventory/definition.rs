//! Task definitions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::strings::Shared;

/// A task definition revision, which is immutable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// Its family.
    pub family: Shared,
    /// Its revision.
    pub revision: i32,
    /// How its containers are reached.
    pub network_mode: NetworkMode,
    /// Its containers.
    pub containers: Vec<ContainerDefinition>,
}

impl TaskDefinition {
    /// Returns the definition of the container with this name.
    pub fn container(&self, name: &str) -> Option<&ContainerDefinition> {
        self.containers.iter().find(|container| *container.name == *name)
    }
}

/// A container of a task definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerDefinition {
    /// Its name.
    pub name: Shared,
    /// Its image, as written in the definition.
    pub image: Option<Shared>,
    /// Its docker labels.
    pub docker_labels: BTreeMap<Shared, Shared>,
    /// Those of its environment variables that may replace docker labels; all others are dropped at once.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<Shared, Shared>,
}

impl ContainerDefinition {
    /// Returns the value of a docker label, or else of the kept environment variable of that name. An empty name never
    /// matches, so that an empty label flag turns the feature off.
    pub fn label(&self, name: &str) -> Option<&Shared> {
        self.docker_labels.get(name).or_else(|| self.variables.get(name)).filter(|_| !name.is_empty())
    }

    /// Returns the names of the kept environment variables that stand in for a docker label.
    pub fn variables_in_use(&self) -> impl Iterator<Item = &Shared> {
        self.variables.keys().filter(|name| !self.docker_labels.contains_key(*name))
    }
}

/// A network mode (ECS API Reference, `TaskDefinition.networkMode`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum NetworkMode {
    /// Containers are reached at the task's own network interface.
    Awsvpc,
    /// Containers are reached at the host's published ports. An absent mode and Windows' `default` mean the same.
    Bridge,
    /// Containers are reached at the host, at their own ports.
    Host,
    /// Containers cannot be reached.
    None,
    /// A mode that this program does not know.
    Other(Shared),
}

impl NetworkMode {
    /// Returns AWS's word for the mode; `bridge` for an absent one.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Awsvpc => "awsvpc",
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
            Self::Other(other) => other,
        }
    }

    /// Converts AWS's word.
    pub fn from_aws(word: Option<&str>) -> Self {
        match word {
            None | Some("" | "bridge" | "default") => Self::Bridge,
            Some("awsvpc") => Self::Awsvpc,
            Some("host") => Self::Host,
            Some("none") => Self::None,
            Some(other) => Self::Other(other.into()),
        }
    }
}

impl From<String> for NetworkMode {
    fn from(word: String) -> Self {
        Self::from_aws(Some(&word))
    }
}

impl From<NetworkMode> for String {
    fn from(mode: NetworkMode) -> Self {
        mode.as_str().into()
    }
}
