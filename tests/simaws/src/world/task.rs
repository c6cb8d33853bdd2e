//! A task and its containers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How a describe call answers for something that a caller names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Describe {
    /// It is described.
    #[default]
    #[serde(alias = "Found")]
    Found,
    /// It is in `failures[]` with the reason `MISSING`: gone between list and describe.
    #[serde(alias = "Missing")]
    Missing,
    /// It is in neither list.
    #[serde(alias = "Omitted")]
    Omitted,
}

fn yes() -> bool {
    true
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an Option member: null means absent")]
fn running() -> Option<String> {
    Some("RUNNING".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an Option member: null means absent")]
fn fargate() -> Option<String> {
    Some("FARGATE".to_owned())
}

/// An ECS task. `null` in JSON, `None` here, leaves an optional member out of the wire object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// The last part of its ARN.
    pub id: String,
    /// `web:3`, `daemon-task-definition/x:1` or a full ARN.
    pub task_definition: String,
    /// `RUNNING`
    #[serde(default = "running")]
    pub last_status: Option<String>,
    /// `RUNNING`
    #[serde(default = "running")]
    pub desired_status: Option<String>,
    /// `FARGATE`
    #[serde(default = "fargate")]
    pub launch_type: Option<String>,
    /// `service:NAME` or `family:NAME`; absent unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The id or ARN of the container instance it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_instance: Option<String>,
    /// Its containers, in the order DescribeTasks gives them.
    #[serde(default)]
    pub containers: Vec<Container>,
    /// Attachments in AWS's shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Value>,
    /// Tags in AWS's shape (`key`, `value`); shown only to who asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Value>>,
    /// For example `us-east-1a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// For example `CONNECTED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connectivity: Option<String>,
    /// For example `HEALTHY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_status: Option<String>,
    /// For example `Linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_family: Option<String>,
    /// For example `1.4.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    /// The counter of its changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Whether ListTasks shows it.
    #[serde(default = "yes")]
    pub listed: bool,
    /// How DescribeTasks answers for it.
    #[serde(default)]
    pub describe: Describe,
    /// Members that are not to be on the wire, such as `containers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Further wire members; they win over the ones above, and a null removes.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Default for Task {
    fn default() -> Self {
        Self {
            id: String::new(),
            task_definition: String::new(),
            last_status: running(),
            desired_status: running(),
            launch_type: fargate(),
            group: None,
            container_instance: None,
            containers: Vec::new(),
            attachments: Vec::new(),
            tags: None,
            availability_zone: None,
            connectivity: None,
            health_status: None,
            platform_family: None,
            platform_version: None,
            version: None,
            listed: true,
            describe: Describe::Found,
            without: Vec::new(),
            extra: Map::new(),
        }
    }
}

impl Task {
    /// A running task on Fargate, without containers.
    pub fn fargate(id: &str, task_definition: &str) -> Self {
        Self { id: id.to_owned(), task_definition: task_definition.to_owned(), ..Self::default() }
    }

    /// A running task on a container instance, without containers.
    pub fn ec2(id: &str, task_definition: &str, container_instance: &str) -> Self {
        Self {
            launch_type: Some("EC2".to_owned()),
            container_instance: Some(container_instance.to_owned()),
            ..Self::fargate(id, task_definition)
        }
    }

    /// This task with a container that has a network interface of its own, as in awsvpc mode.
    #[must_use]
    pub fn container(self, name: &str, private_ip: &str) -> Self {
        self.with_container(Container::new(name).interface(private_ip))
    }

    /// This task with one more container.
    #[must_use]
    pub fn with_container(mut self, container: Container) -> Self {
        self.containers.push(container);
        self
    }

    /// This task with an attachment of type ElasticNetworkInterface.
    #[must_use]
    pub fn eni(mut self, private_ip: &str) -> Self {
        self.attachments.push(json!({
            "id": format!("eni-of-{}", self.id),
            "type": "ElasticNetworkInterface",
            "status": "ATTACHED",
            "details": [
                {"name": "subnetId", "value": "subnet-0a"},
                {"name": "networkInterfaceId", "value": "eni-0a"},
                {"name": "privateIPv4Address", "value": private_ip},
            ],
        }));
        self
    }

    /// Sets the task group.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        self.group = Some(group.to_owned());
        self
    }

    /// Sets the launch type.
    #[must_use]
    pub fn launch_type(mut self, launch_type: &str) -> Self {
        self.launch_type = Some(launch_type.to_owned());
        self
    }

    /// Sets the last status.
    #[must_use]
    pub fn last_status(mut self, status: &str) -> Self {
        self.last_status = Some(status.to_owned());
        self
    }

    /// Sets the desired status.
    #[must_use]
    pub fn desired_status(mut self, status: &str) -> Self {
        self.desired_status = Some(status.to_owned());
        self
    }

    /// Sets how DescribeTasks answers for it.
    #[must_use]
    pub fn describe(mut self, describe: Describe) -> Self {
        self.describe = describe;
        self
    }

    /// This task with a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.get_or_insert_default().push(json!({"key": key, "value": value}));
        self
    }

    /// Sets a further wire member; null removes it.
    #[must_use]
    pub fn member(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}

/// A container of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Absent: made of the cluster, the task and the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_arn: Option<String>,
    /// `RUNNING`
    #[serde(default = "running")]
    pub last_status: Option<String>,
    /// Network interfaces in AWS's shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_interfaces: Vec<Value>,
    /// Network bindings in AWS's shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_bindings: Vec<Value>,
    /// Members that are not to be on the wire, such as `networkInterfaces`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Further wire members; they win over the ones above, and a null removes.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Default for Container {
    fn default() -> Self {
        Self::new("")
    }
}

impl Container {
    /// A running container without interfaces or bindings.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            container_arn: None,
            last_status: running(),
            network_interfaces: Vec::new(),
            network_bindings: Vec::new(),
            without: Vec::new(),
            extra: Map::new(),
        }
    }

    /// This container with a network interface of its own.
    #[must_use]
    pub fn interface(mut self, private_ip: &str) -> Self {
        self.network_interfaces.push(json!({"attachmentId": "eni-attachment", "privateIpv4Address": private_ip}));
        self
    }

    /// This container with a tcp port bound on its host's IPv4 addresses.
    #[must_use]
    pub fn binding(mut self, container_port: u16, host_port: u16) -> Self {
        self.network_bindings.push(json!({
            "bindIP": "0.0.0.0",
            "containerPort": container_port,
            "hostPort": host_port,
            "protocol": "tcp",
        }));
        self
    }

    /// Sets the last status.
    #[must_use]
    pub fn last_status(mut self, status: &str) -> Self {
        self.last_status = Some(status.to_owned());
        self
    }

    /// Sets a further wire member; null removes it.
    #[must_use]
    pub fn member(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}
