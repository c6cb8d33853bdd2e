//! The labels of a target, with the names and the order of the original program.

use super::host::Host;
use super::plan::{Endpoint, Plan};
use crate::config::Rules;
use crate::inventory::{ClusterRef, Container, Instance, Shared, Strings, Task};

/// What the labels of one target are made of.
pub(super) struct LabelSource<'a> {
    /// The cluster in which the task was listed.
    pub(super) cluster: &'a ClusterRef,
    pub(super) task: &'a Task,
    pub(super) container: &'a Container,
    pub(super) plan: &'a Plan<'a>,
    pub(super) endpoint: &'a Endpoint<'a>,
    /// The host of the target.
    pub(super) host: &'a Host,
    /// The EC2 instance at whose address the target is.
    pub(super) instance: Option<&'a Instance>,
}

impl LabelSource<'_> {
    /// Returns the labels in the original's order, without values that AWS did not give and empty docker labels.
    pub(super) fn labels(&self, rules: &Rules, strings: &mut Strings) -> impl Iterator<Item = (Shared, Shared)> {
        let (task, definition, container) = (self.task, self.plan.definition, self.plan.container_definition);
        let docker = |name: &str| container.label(name).filter(|value| !value.is_empty()).cloned();
        let path = self.endpoint.path.map(|path| strings.share(path)).or_else(|| docker(&rules.path_label));
        let labels = [
            ("task_arn", Some(task.arn.shared())),
            ("task_name", Some(definition.family.clone())),
            ("job", docker(&rules.job_name_label)),
            ("task_revision", Some(strings.share(&definition.revision.to_string()))),
            ("task_group", task.group.clone()),
            ("cluster_arn", self.cluster_arn()),
            ("container_name", Some(self.container.name.clone())),
            ("container_arn", self.container.arn.clone()),
            ("docker_image", container.image.clone()),
            ("__metrics_path__", path),
            ("__scheme__", docker(&rules.scheme_label)),
        ];
        labels.into_iter().filter_map(|(name, value)| Some((strings.share(name), value?)))
    }

    /// Returns the ARN of the task's cluster.
    pub(super) fn cluster_arn(&self) -> Option<Shared> {
        let listed_in = || self.cluster.is_arn().then(|| self.cluster.shared());
        let described = self.task.cluster.as_ref().map(|arn| arn.shared());
        described.or_else(listed_in).or_else(|| self.task.arn.cluster().map(|arn| arn.shared()))
    }
}
