//! The contents of the simulated account: plain records, built by a test or read from JSON.
//!
//! The member names are AWS's (camelCase). The records have ids and `family:revision` instead of ARNs; `crate::ecs` and
//! `crate::ec2` convert them to the wire formats.

mod arn;
mod cluster;
mod instance;
mod task;
mod task_definition;

pub use cluster::{Cluster, ContainerInstance, Service};
pub use instance::{Instance, NetworkInterface};
pub use task::{Container, Describe, Task};
pub use task_definition::{ContainerDefinition, TaskDefinition};

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub(crate) use arn::last_segment;

use crate::scope::Scope;

/// The contents of one account in one region, and of others.
///
/// Calls that no assumed role signed are for this account. Without others, calls for any account and region are for this
/// one; otherwise there is nothing in an account and region that has no world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct World {
    /// The region of every ARN.
    pub region: String,
    /// The account of every ARN.
    pub account: String,
    /// The ECS clusters, in the order of ListClusters.
    pub clusters: Vec<Cluster>,
    /// The registered task definition revisions.
    pub task_definitions: Vec<TaskDefinition>,
    /// The EC2 instances.
    pub instances: Vec<Instance>,
    /// The contents of other accounts and regions, which have no others themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<World>,
    /// The network interfaces of tasks, as far as EC2 is to know them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network_interfaces: Vec<NetworkInterface>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            clusters: Vec::new(),
            task_definitions: Vec::new(),
            instances: Vec::new(),
            others: Vec::new(),
            network_interfaces: Vec::new(),
        }
    }
}

impl World {
    /// Returns an empty world of an account in a region.
    pub fn new(account: &str, region: &str) -> Self {
        Self { account: account.to_owned(), region: region.to_owned(), ..Self::default() }
    }

    /// Adds the contents of another account or region.
    #[must_use]
    pub fn with_other(mut self, other: World) -> Self {
        self.others.push(other);
        self
    }

    /// Returns the contents of an account in a region.
    ///
    /// # Panics
    /// Panics if there is no such world, which is a mistake in the test.
    pub fn scope_mut(&mut self, account: &str, region: &str) -> &mut World {
        let wanted = Scope::new(account, region);
        if self.scope() == wanted {
            return self;
        }
        let other = self.others.iter_mut().find(|other| other.scope() == wanted);
        other.unwrap_or_else(|| panic!("there is no simulated world of {wanted}"))
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::new(&self.account, &self.region)
    }

    /// Returns what a call for this scope sees.
    pub(crate) fn of_scope(&self, scope: &Scope) -> Cow<'_, World> {
        let is_wanted = |world: &&World| world.account == scope.account && world.region == scope.region;
        if self.others.is_empty() || is_wanted(&self) {
            return Cow::Borrowed(self);
        }
        let other = self.others.iter().find(is_wanted);
        other.map_or_else(|| Cow::Owned(World::new(&scope.account, &scope.region)), Cow::Borrowed)
    }

    /// Parses a world file. Unknown members are an error, except where they may be members of AWS's own records.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Returns the world as a world file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Adds a cluster.
    #[must_use]
    pub fn with_cluster(mut self, cluster: Cluster) -> Self {
        self.add_cluster(cluster);
        self
    }

    /// Adds a task definition revision.
    #[must_use]
    pub fn with_task_definition(mut self, definition: TaskDefinition) -> Self {
        self.add_task_definition(definition);
        self
    }

    /// Adds an EC2 instance.
    #[must_use]
    pub fn with_instance(mut self, instance: Instance) -> Self {
        self.add_instance(instance);
        self
    }

    /// Adds a network interface.
    #[must_use]
    pub fn with_network_interface(mut self, interface: NetworkInterface) -> Self {
        self.network_interfaces.push(interface);
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

    /// Returns the cluster of this name, if it exists.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.name == name)
    }

    /// Returns the cluster of this name.
    ///
    /// # Panics
    /// Panics if it does not exist, which is a mistake in the test.
    pub fn cluster_mut(&mut self, name: &str) -> &mut Cluster {
        self.clusters
            .iter_mut()
            .find(|cluster| cluster.name == name)
            .unwrap_or_else(|| panic!("the simulated world has no cluster {name:?}"))
    }

    /// Returns this revision of the family.
    ///
    /// # Panics
    /// Panics if it does not exist, which is a mistake in the test.
    pub fn task_definition_mut(&mut self, family: &str, revision: i64) -> &mut TaskDefinition {
        self.task_definitions
            .iter_mut()
            .find(|definition| definition.family == family && definition.revision == revision)
            .unwrap_or_else(|| panic!("the simulated world has no task definition {family}:{revision}"))
    }

    /// Returns the EC2 instance with this id.
    ///
    /// # Panics
    /// Panics if it does not exist, which is a mistake in the test.
    pub fn instance_mut(&mut self, id: &str) -> &mut Instance {
        self.instances
            .iter_mut()
            .find(|instance| instance.instance_id == id)
            .unwrap_or_else(|| panic!("the simulated world has no instance {id:?}"))
    }
}
