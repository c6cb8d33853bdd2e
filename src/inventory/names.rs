//! ARNs and ids.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::strings::Shared;

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Shared);

        impl $name {
            /// Returns the identifier as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the shared text.
            pub fn shared(&self) -> Shared {
                self.0.clone()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<Shared> for $name {
            fn from(text: Shared) -> Self {
                Self(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

identifiers! {
    /// A cluster as it was configured or listed: a name or an ARN.
    ClusterRef;
    /// The ARN of a cluster.
    ClusterArn;
    /// The ARN of a task.
    TaskArn;
    /// The ARN of a task definition revision.
    TaskDefinitionArn;
    /// The ARN of a container instance, ECS's record of a host.
    ContainerInstanceArn;
    /// The id of an EC2 instance (`i-…`).
    InstanceId;
}

impl ClusterRef {
    /// Returns the cluster's name. Text that is no ARN is a name, whatever it contains.
    pub fn name(&self) -> &str {
        if self.is_arn() { cluster_name(&self.0) } else { &self.0 }
    }

    /// Returns whether this is an ARN rather than a name.
    pub fn is_arn(&self) -> bool {
        self.0.starts_with("arn:")
    }

    /// Returns whether this refers to the cluster with the given ARN. A name refers to the cluster of that name
    /// in the account and region that are being asked.
    pub fn matches(&self, cluster_arn: &str) -> bool {
        let is_of_name = || cluster_arn.starts_with("arn:") && self.as_str() == cluster_name(cluster_arn);
        self.as_str() == cluster_arn || (!self.is_arn() && is_of_name())
    }
}

/// Returns the name in a cluster's ARN (`arn:aws:ecs:REGION:ACCOUNT:cluster/NAME`), or the text itself.
pub fn cluster_name(text: &str) -> &str {
    text.rsplit_once(":cluster/").map_or(text, |(_, name)| name)
}

/// Returns a field of an ARN: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
fn arn_field(arn: &str, field: usize) -> Option<&str> {
    arn.split(':').nth(field).filter(|text| !text.is_empty())
}

/// Returns the account in an ARN.
pub fn arn_account(arn: &str) -> Option<&str> {
    arn_field(arn, 4).filter(|_| arn.starts_with("arn:"))
}

/// Returns the region in an ARN.
pub fn arn_region(arn: &str) -> Option<&str> {
    arn_field(arn, 3).filter(|_| arn.starts_with("arn:"))
}

impl TaskArn {
    /// Returns the region that the task runs in.
    pub fn region(&self) -> Option<&str> {
        arn_field(&self.0, 3)
    }

    /// Returns the account that the task runs in.
    pub fn account(&self) -> Option<&str> {
        arn_field(&self.0, 4)
    }

    /// Returns the ARN of a service in the task's cluster, `arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME`.
    pub fn service(&self, name: &str) -> Option<String> {
        let (account, rest) = self.0.split_once(":task/")?;
        let (cluster, _id) = rest.split_once('/')?;
        Some(format!("{account}:service/{cluster}/{name}"))
    }

    /// Returns the task's id, the last part of its ARN.
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Returns the ARN of the task's cluster, as the long form of task ARNs names it
    /// (`arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID`); the short form of before 2018 does not.
    pub fn cluster(&self) -> Option<ClusterArn> {
        let (account, rest) = self.0.split_once(":task/")?;
        let (cluster, _id) = rest.split_once('/')?;
        Some(format!("{account}:cluster/{cluster}").as_str().into())
    }
}

impl TaskDefinitionArn {
    /// Returns the last part of the ARN, `FAMILY:REVISION`.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Returns the family.
    pub fn family(&self) -> &str {
        let name = self.name();
        name.rsplit_once(':').map_or(name, |(family, _)| family)
    }

    /// Returns whether this is the definition of an ECS Managed Daemon (`…:daemon-task-definition/…`), which
    /// DescribeTaskDefinition does not know.
    pub fn is_daemon(&self) -> bool {
        self.0.contains(":daemon-task-definition/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_a_cluster_by_name_or_arn() {
        let arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod";
        for (given, expected) in [
            ("prod", true),
            ("prod-2", false),
            ("pro", false),
            ("x:cluster/prod", false),
            (arn, true),
            ("arn:aws:ecs:us-east-1:123456789012:cluster/prod", false),
        ] {
            assert_eq!(ClusterRef::from(given).matches(arn), expected, "{given}");
        }
        assert!(!ClusterRef::from("prod").matches(":x:cluster/prod"), "that is another name");
    }

    #[test]
    fn finds_the_cluster_in_the_long_form_of_a_task_arn() {
        let long = TaskArn::from("arn:aws:ecs:eu-west-1:123456789012:task/prod/abc");
        assert_eq!(long.cluster(), Some("arn:aws:ecs:eu-west-1:123456789012:cluster/prod".into()));
        assert_eq!(long.id(), "abc");
        let short = TaskArn::from("arn:aws:ecs:eu-west-1:123456789012:task/abc");
        assert_eq!((short.cluster(), short.id()), (None, "abc"));
    }
}
