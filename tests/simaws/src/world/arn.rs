//! Converts the short names of a world to ARNs.
//!
//! Formats: "Actions, resources, and condition keys for Amazon Elastic Container Service" in the
//! Service Authorization Reference (the long task ARN format, the only one since 2021).

use super::World;

/// Returns the part of an ARN after the last `/`, or the whole of a bare id.
pub(crate) fn last_segment(arn_or_id: &str) -> &str {
    arn_or_id.rsplit('/').next().unwrap_or(arn_or_id)
}

impl World {
    fn ecs_arn(&self, resource: &str) -> String {
        format!("arn:{}:ecs:{}:{}:{resource}", self.partition(), self.region, self.account)
    }

    /// Returns the ARN partition of the region.
    pub fn partition(&self) -> &'static str {
        if self.region.starts_with("cn-") {
            "aws-cn"
        } else if self.region.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        }
    }

    /// `arn:…:cluster/NAME`
    pub fn cluster_arn(&self, cluster: &str) -> String {
        self.ecs_arn(&format!("cluster/{cluster}"))
    }

    /// `arn:…:service/CLUSTER/NAME`
    pub fn service_arn(&self, cluster: &str, name: &str) -> String {
        self.ecs_arn(&format!("service/{cluster}/{name}"))
    }

    /// `arn:…:task/CLUSTER/ID`
    pub fn task_arn(&self, cluster: &str, id: &str) -> String {
        self.ecs_arn(&format!("task/{cluster}/{id}"))
    }

    /// `arn:…:container/CLUSTER/TASK/NAME`
    pub fn container_arn(&self, cluster: &str, task: &str, name: &str) -> String {
        self.ecs_arn(&format!("container/{cluster}/{task}/{name}"))
    }

    /// `arn:…:container-instance/CLUSTER/ID`; a full ARN stays as it is.
    pub fn container_instance_arn(&self, cluster: &str, id: &str) -> String {
        if id.starts_with("arn:") {
            return id.to_owned();
        }
        self.ecs_arn(&format!("container-instance/{cluster}/{id}"))
    }

    /// `arn:…:task-definition/FAMILY:REVISION` of `FAMILY:REVISION`; a full ARN stays as it is, and
    /// `daemon-task-definition/FAMILY:REVISION` keeps its resource type.
    pub fn task_definition_arn(&self, definition: &str) -> String {
        if definition.starts_with("arn:") {
            definition.to_owned()
        } else if definition.contains('/') {
            self.ecs_arn(definition)
        } else {
            self.ecs_arn(&format!("task-definition/{definition}"))
        }
    }
}
