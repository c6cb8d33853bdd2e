//! A task and its containers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How a describe call treats a record that the client names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Describe {
    /// Describes it.
    #[default]
    #[serde(alias = "Found")]
    Found,
    /// Returns it in `failures[]` with the reason `MISSING`, as if it had gone between list and describe.
    #[serde(alias = "Missing")]
    Missing,
    /// Omits it from both lists.
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

/// An ECS task. `None`, in JSON `null`, omits an optional member on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// The last part of its ARN.
    pub id: String,
    /// The task definition: `web:3`, `daemon-task-definition/x:1` or a full ARN.
    pub task_definition: String,
    /// The last status, by default `RUNNING`.
    #[serde(default = "running")]
    pub last_status: Option<String>,
    /// The desired status, by default `RUNNING`.
    #[serde(default = "running")]
    pub desired_status: Option<String>,
    /// The launch type, by default `FARGATE`.
    #[serde(default = "fargate")]
    pub launch_type: Option<String>,
    /// The group, `service:NAME` or `family:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The id or ARN of the container instance it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_instance: Option<String>,
    /// Its containers, in the order of DescribeTasks.
    #[serde(default)]
    pub containers: Vec<Container>,
    /// Attachments in AWS's format.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Value>,
    /// Tags in AWS's format (`key`, `value`), returned only on request.
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
    /// For example `FARGATE_SPOT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_provider_name: Option<String>,
    /// Who started it: `ecs-svc/…`, the id of a deployment, for the tasks of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// The version, which counts its changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Whether ListTasks returns it.
    #[serde(default = "yes")]
    pub listed: bool,
    /// How DescribeTasks treats it.
    #[serde(default)]
    pub describe: Describe,
    /// Members to omit on the wire, such as `containers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Additional members on the wire. They override the ones above; null removes a member.
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
            capacity_provider_name: None,
            started_by: None,
            version: None,
            listed: true,
            describe: Describe::Found,
            without: Vec::new(),
            extra: Map::new(),
        }
    }
}

impl Task {
    /// Returns a running task on Fargate without containers.
    pub fn fargate(id: &str, task_definition: &str) -> Self {
        Self { id: id.to_owned(), task_definition: task_definition.to_owned(), ..Self::default() }
    }

    /// Returns a running task on a container instance without containers.
    pub fn ec2(id: &str, task_definition: &str, container_instance: &str) -> Self {
        Self {
            launch_type: Some("EC2".to_owned()),
            container_instance: Some(container_instance.to_owned()),
            ..Self::fargate(id, task_definition)
        }
    }

    /// Adds a container with a network interface, as in awsvpc mode.
    #[must_use]
    pub fn container(self, name: &str, private_ip: &str) -> Self {
        self.with_container(Container::new(name).interface(private_ip))
    }

    /// Adds a container.
    #[must_use]
    pub fn with_container(mut self, container: Container) -> Self {
        self.containers.push(container);
        self
    }

    /// Adds an attachment of type ElasticNetworkInterface.
    #[must_use]
    pub fn eni(self, private_ip: &str) -> Self {
        self.eni_with_id("eni-0a", private_ip)
    }

    /// Adds an attachment of type ElasticNetworkInterface with this id.
    #[must_use]
    pub fn eni_with_id(mut self, id: &str, private_ip: &str) -> Self {
        self.attachments.push(json!({
            "id": format!("eni-of-{}", self.id),
            "type": "ElasticNetworkInterface",
            "status": "ATTACHED",
            "details": [
                {"name": "subnetId", "value": "subnet-0a"},
                {"name": "networkInterfaceId", "value": id},
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

    /// Sets how DescribeTasks treats it.
    #[must_use]
    pub fn describe(mut self, describe: Describe) -> Self {
        self.describe = describe;
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.get_or_insert_default().push(json!({"key": key, "value": value}));
        self
    }

    /// Sets an additional member on the wire; null removes it.
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
    /// The ARN, by default derived from the cluster, the task and the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_arn: Option<String>,
    /// The last status, by default `RUNNING`.
    #[serde(default = "running")]
    pub last_status: Option<String>,
    /// Network interfaces in AWS's format.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_interfaces: Vec<Value>,
    /// Network bindings in AWS's format.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_bindings: Vec<Value>,
    /// Members to omit on the wire, such as `networkInterfaces`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Additional members on the wire. They override the ones above; null removes a member.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Default for Container {
    fn default() -> Self {
        Self::new("")
    }
}

impl Container {
    /// Returns a running container without interfaces or bindings.
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

    /// Adds a network interface.
    #[must_use]
    pub fn interface(mut self, private_ip: &str) -> Self {
        self.network_interfaces.push(json!({"attachmentId": "eni-attachment", "privateIpv4Address": private_ip}));
        self
    }

    /// Adds a TCP port published on the IPv4 addresses of the host.
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

    /// Sets an additional member on the wire; null removes it.
    #[must_use]
    pub fn member(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}
