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
    DescribeServices,
    DescribeClusters,
    DescribeNetworkInterfaces,
    ReceiveMessage,
    DeleteMessageBatch,
}

impl Operation {
    /// The operations of a refresh, in the order in which it calls them.
    pub const OF_REFRESHES: [Self; 10] = [
        Self::AssumeRole,
        Self::ListClusters,
        Self::ListTasks,
        Self::DescribeTasks,
        Self::DescribeTaskDefinition,
        Self::DescribeContainerInstances,
        Self::DescribeInstances,
        Self::DescribeServices,
        Self::DescribeClusters,
        Self::DescribeNetworkInterfaces,
    ];

    /// The operations of a queue of events.
    pub const OF_QUEUES: [Self; 2] = [Self::ReceiveMessage, Self::DeleteMessageBatch];

    /// Returns whether the operation is one of a queue, and not of a refresh.
    pub fn is_of_queue(self) -> bool {
        Self::OF_QUEUES.contains(&self)
    }

    /// Returns the service's name in IAM actions and endpoints: `ecs`, `ec2`, `sts` or `sqs`.
    pub fn service(self) -> &'static str {
        match self {
            Self::AssumeRole => "sts",
            Self::DescribeInstances | Self::DescribeNetworkInterfaces => "ec2",
            Self::ReceiveMessage | Self::DeleteMessageBatch => "sqs",
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
            Self::DescribeServices => "DescribeServices",
            Self::DescribeClusters => "DescribeClusters",
            Self::DescribeNetworkInterfaces => "DescribeNetworkInterfaces",
            Self::ReceiveMessage => "ReceiveMessage",
            Self::DeleteMessageBatch => "DeleteMessageBatch",
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
            Self::DescribeServices => "describe_services",
            Self::DescribeClusters => "describe_clusters",
            Self::DescribeNetworkInterfaces => "describe_network_interfaces",
            Self::ReceiveMessage => "receive_message",
            Self::DeleteMessageBatch => "delete_message_batch",
        }
    }

    /// Returns whether targets depend on the operation, and not only labels for relabelling, or how soon they are known.
    pub fn makes_targets(self) -> bool {
        let makes_labels =
            matches!(self, Self::DescribeServices | Self::DescribeClusters | Self::DescribeNetworkInterfaces);
        !makes_labels && !self.is_of_queue()
    }

    /// Returns the IAM action that allows the operation, such as `ecs:ListTasks`.
    pub fn iam_action(self) -> String {
        // A batch needs the permission of a single call (Service Authorization Reference, "Actions, resources, and
        // condition keys for Amazon SQS").
        let name = if self == Self::DeleteMessageBatch { "DeleteMessage" } else { self.name() };
        format!("{}:{name}", self.service())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
