//! The AWS operations that this program calls: the one table of their names.

use std::fmt;

/// An operation of the AWS API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are AWS's
pub enum Operation {
    AssumeRole,
    ListClusters,
    ListTasks,
    DescribeTasks,
    DescribeTaskDefinition,
    DescribeContainerInstances,
    DescribeInstances,
}

impl Operation {
    /// Every operation, in the order in which a refresh calls them.
    pub const ALL: [Self; 7] = [
        Self::AssumeRole,
        Self::ListClusters,
        Self::ListTasks,
        Self::DescribeTasks,
        Self::DescribeTaskDefinition,
        Self::DescribeContainerInstances,
        Self::DescribeInstances,
    ];

    /// Returns the service's name in IAM actions and endpoints: `ecs`, `ec2` or `sts`.
    pub fn service(self) -> &'static str {
        match self {
            Self::AssumeRole => "sts",
            Self::DescribeInstances => "ec2",
            _ => "ecs",
        }
    }

    /// Returns the operation's name in the AWS API.
    pub fn name(self) -> &'static str {
        match self {
            Self::AssumeRole => "AssumeRole",
            Self::ListClusters => "ListClusters",
            Self::ListTasks => "ListTasks",
            Self::DescribeTasks => "DescribeTasks",
            Self::DescribeTaskDefinition => "DescribeTaskDefinition",
            Self::DescribeContainerInstances => "DescribeContainerInstances",
            Self::DescribeInstances => "DescribeInstances",
        }
    }

    /// Returns the stage of a refresh that fails with this operation, as metrics name it.
    pub fn stage(self) -> &'static str {
        match self {
            Self::AssumeRole => "assume_role",
            Self::ListClusters => "list_clusters",
            Self::ListTasks => "list_tasks",
            Self::DescribeTasks => "describe_tasks",
            Self::DescribeTaskDefinition => "describe_task_definition",
            Self::DescribeContainerInstances => "describe_container_instances",
            Self::DescribeInstances => "describe_instances",
        }
    }

    /// Returns the IAM action that allows the operation, such as `ecs:ListTasks`.
    pub fn iam_action(self) -> String {
        format!("{}:{}", self.service(), self.name())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
