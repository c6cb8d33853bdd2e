//! Task definitions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Shared;

/// A task definition revision, which never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// Its family.
    pub family: Shared,
    /// Its revision.
    pub revision: i32,
    /// Where its containers are reached.
    pub network_mode: NetworkMode,
    /// Its containers.
    pub containers: Vec<ContainerDefinition>,
}

impl TaskDefinition {
    /// The definition of the container with this name.
    pub fn container(&self, name: &str) -> Option<&ContainerDefinition> {
        self.containers.iter().find(|container| *container.name == *name)
    }
}

/// A container of a task definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerDefinition {
    /// Its name.
    pub name: Shared,
    /// Its image, as the definition names it.
    pub image: Option<Shared>,
    /// Its docker labels.
    pub docker_labels: BTreeMap<Shared, Shared>,
}

impl ContainerDefinition {
    /// The value of a docker label. An empty name is that of none: so is a setting that names one turned off.
    pub fn docker_label(&self, name: &str) -> Option<&Shared> {
        self.docker_labels.get(name).filter(|_| !name.is_empty())
    }
}

/// How a task's containers are reached (API reference, `TaskDefinition.networkMode`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum NetworkMode {
    /// At the task's own network interface.
    Awsvpc,
    /// At the host, where ports are published. What an absent mode and Windows' `default` mean, too.
    Bridge,
    /// At the host, at the container's own ports.
    Host,
    /// Not at all.
    None,
    /// A mode that this program does not know.
    Other(Shared),
}

impl NetworkMode {
    /// The mode in AWS's word; the default's where it was absent.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Awsvpc => "awsvpc",
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
            Self::Other(other) => other,
        }
    }

    /// Reads AWS's word.
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
