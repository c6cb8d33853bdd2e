//! A cluster and the container instances registered in it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Describe, Task};

fn active() -> String {
    "ACTIVE".to_owned()
}

/// An ECS cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// The status, by default `ACTIVE`. With any other, ListClusters omits the cluster and every call for it fails with
    /// ClusterNotFoundException.
    #[serde(default = "active")]
    pub status: String,
    /// Its tasks, in the order of ListTasks.
    #[serde(default)]
    pub tasks: Vec<Task>,
    /// Its container instances.
    #[serde(default)]
    pub container_instances: Vec<ContainerInstance>,
    /// Its services, as far as DescribeServices is to know them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// Tags in AWS's format (`key`, `value`), returned only on request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Value>,
    /// How DescribeClusters treats it.
    #[serde(default)]
    pub describe: Describe,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new("default")
    }
}

impl Cluster {
    /// Returns an active cluster without tasks.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            status: active(),
            tasks: Vec::new(),
            container_instances: Vec::new(),
            services: Vec::new(),
            tags: Vec::new(),
            describe: Describe::Found,
        }
    }

    /// Adds a service.
    #[must_use]
    pub fn with_service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push(json!({"key": key, "value": value}));
        self
    }

    /// Adds a task.
    #[must_use]
    pub fn with_task(mut self, task: Task) -> Self {
        self.add_task(task);
        self
    }

    /// Adds a container instance.
    #[must_use]
    pub fn with_container_instance(mut self, instance: ContainerInstance) -> Self {
        self.add_container_instance(instance);
        self
    }

    /// Adds a task.
    pub fn add_task(&mut self, task: Task) -> &mut Self {
        self.tasks.push(task);
        self
    }

    /// Adds a container instance.
    pub fn add_container_instance(&mut self, instance: ContainerInstance) -> &mut Self {
        self.container_instances.push(instance);
        self
    }

    /// Removes a task, and returns whether it existed.
    pub fn remove_task(&mut self, id: &str) -> bool {
        let before = self.tasks.len();
        self.tasks.retain(|task| task.id != id);
        self.tasks.len() < before
    }

    /// Returns the task with this id.
    ///
    /// # Panics
    /// Panics if it does not exist, which is a mistake in the test.
    pub fn task_mut(&mut self, id: &str) -> &mut Task {
        let name = &self.name;
        self.tasks
            .iter_mut()
            .find(|task| task.id == id)
            .unwrap_or_else(|| panic!("the simulated cluster {name:?} has no task {id:?}"))
    }

    /// Returns the service of this name.
    ///
    /// # Panics
    /// Panics if it does not exist, which is a mistake in the test.
    pub fn service_mut(&mut self, name: &str) -> &mut Service {
        let cluster = &self.name;
        self.services
            .iter_mut()
            .find(|service| service.name == name)
            .unwrap_or_else(|| panic!("the simulated cluster {cluster:?} has no service {name:?}"))
    }

    /// Returns the container instance with this id.
    ///
    /// # Panics
    /// Panics if it does not exist, which is a mistake in the test.
    pub fn container_instance_mut(&mut self, id: &str) -> &mut ContainerInstance {
        let name = &self.name;
        self.container_instances
            .iter_mut()
            .find(|instance| instance.id == id)
            .unwrap_or_else(|| panic!("the simulated cluster {name:?} has no container instance {id:?}"))
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The status, by default `ACTIVE`.
    #[serde(default = "active")]
    pub status: String,
    /// Tags in AWS's format (`key`, `value`), returned only on request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Value>,
    /// How DescribeServices treats it.
    #[serde(default)]
    pub describe: Describe,
    /// Members to omit on the wire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Additional members on the wire. They override the ones above; null removes a member.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Service {
    /// Returns an active service without tags.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            status: active(),
            tags: Vec::new(),
            describe: Describe::Found,
            without: Vec::new(),
            extra: Map::new(),
        }
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push(json!({"key": key, "value": value}));
        self
    }
}

/// A container instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerInstance {
    /// The last part of its ARN.
    pub id: String,
    /// The EC2 instance (`i-…`), or the managed node of Systems Manager (`mi-…`) for ECS Anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2_instance_id: Option<String>,
    /// Its attributes in AWS's format (`name`, `value`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Value>,
    /// How DescribeContainerInstances treats it.
    #[serde(default)]
    pub describe: Describe,
    /// Members to omit on the wire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Additional members on the wire. They override the ones above; null removes a member.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ContainerInstance {
    /// Returns a container instance on this EC2 instance.
    pub fn new(id: &str, ec2_instance_id: &str) -> Self {
        Self { id: id.to_owned(), ec2_instance_id: Some(ec2_instance_id.to_owned()), ..Self::default() }
    }

    /// Sets an attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.push(json!({"name": name, "value": value}));
        self
    }

    /// Sets how DescribeContainerInstances treats it.
    #[must_use]
    pub fn describe(mut self, describe: Describe) -> Self {
        self.describe = describe;
        self
    }

    /// Sets an additional member on the wire; null removes it.
    #[must_use]
    pub fn member(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}
