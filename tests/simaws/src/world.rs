//! What exists in the simulated account: plain records a test builds or a JSON file holds.
//!
//! The member names are AWS's (camelCase). Ids and `family:revision` stand in for ARNs; `crate::ecs`
//! and `crate::ec2` turn them into what goes over the wire.

mod arn;
mod cluster;
mod instance;
mod task;
mod task_definition;

pub use cluster::{Cluster, ContainerInstance};
pub use instance::Instance;
pub use task::{Container, Describe, Task};
pub use task_definition::{ContainerDefinition, TaskDefinition};

use serde::{Deserialize, Serialize};

pub(crate) use arn::last_segment;

/// One account in one region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct World {
    /// The region of every ARN.
    pub region: String,
    /// The account of every ARN.
    pub account: String,
    /// The ECS clusters, in the order ListClusters gives them.
    pub clusters: Vec<Cluster>,
    /// The registered task definition revisions.
    pub task_definitions: Vec<TaskDefinition>,
    /// The EC2 instances.
    pub instances: Vec<Instance>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            clusters: Vec::new(),
            task_definitions: Vec::new(),
            instances: Vec::new(),
        }
    }
}

impl World {
    /// Reads a world file; unknown members are refused where AWS's own cannot be meant.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The world as a world file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// This world with one more cluster.
    #[must_use]
    pub fn with_cluster(mut self, cluster: Cluster) -> Self {
        self.add_cluster(cluster);
        self
    }

    /// This world with one more task definition revision.
    #[must_use]
    pub fn with_task_definition(mut self, definition: TaskDefinition) -> Self {
        self.add_task_definition(definition);
        self
    }

    /// This world with one more EC2 instance.
    #[must_use]
    pub fn with_instance(mut self, instance: Instance) -> Self {
        self.add_instance(instance);
        self
    }

    /// Adds a cluster.
    pub fn add_cluster(&mut self, cluster: Cluster) -> &mut Self {
        self.clusters.push(cluster);
        self
    }

    /// Adds a task definition revision.
    pub fn add_task_definition(&mut self, definition: TaskDefinition) -> &mut Self {
        self.task_definitions.push(definition);
        self
    }

    /// Adds an EC2 instance.
    pub fn add_instance(&mut self, instance: Instance) -> &mut Self {
        self.instances.push(instance);
        self
    }

    /// The cluster of this name, if there is one.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.name == name)
    }

    /// The cluster of this name.
    ///
    /// # Panics
    /// When there is none: the test means another world.
    pub fn cluster_mut(&mut self, name: &str) -> &mut Cluster {
        self.clusters
            .iter_mut()
            .find(|cluster| cluster.name == name)
            .unwrap_or_else(|| panic!("the simulated world has no cluster {name:?}"))
    }

    /// The task definition revision of this family.
    ///
    /// # Panics
    /// When there is none: the test means another world.
    pub fn task_definition_mut(&mut self, family: &str, revision: i64) -> &mut TaskDefinition {
        self.task_definitions
            .iter_mut()
            .find(|definition| definition.family == family && definition.revision == revision)
            .unwrap_or_else(|| panic!("the simulated world has no task definition {family}:{revision}"))
    }

    /// The EC2 instance of this id.
    ///
    /// # Panics
    /// When there is none: the test means another world.
    pub fn instance_mut(&mut self, id: &str) -> &mut Instance {
        self.instances
            .iter_mut()
            .find(|instance| instance.instance_id == id)
            .unwrap_or_else(|| panic!("the simulated world has no instance {id:?}"))
    }
}
