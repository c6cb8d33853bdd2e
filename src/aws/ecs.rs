//! Amazon ECS: listing and describing. Operations and their limits: Amazon ECS API Reference.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::SdkError;
use aws_sdk_ecs::operation::describe_container_instances::DescribeContainerInstancesError;
use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionError;
use aws_sdk_ecs::operation::describe_tasks::DescribeTasksError;
use aws_sdk_ecs::operation::list_clusters::ListClustersError;
use aws_sdk_ecs::operation::list_tasks::ListTasksError;
use aws_sdk_ecs::types as wire;

use super::calls::Buckets;
use super::failure;
use super::pages::{Page, all_pages, each_page};
use super::read;
use super::watch::Watch;
use crate::inventory::{
    ClusterRef, ContainerInstanceArn, Failure, Fetched, Shared, Strings, Task, TaskArn, TaskDefinition,
    TaskDefinitionArn,
};

/// DescribeTasks and DescribeContainerInstances take up to 100 ids, and never none.
pub(super) const BATCH: usize = 100;

/// What ECS says.
#[derive(Clone)]
pub(super) struct Ecs {
    client: Client,
    buckets: Arc<Buckets>,
    watch: Watch,
    details: bool,
    /// What many tasks have in common.
    strings: Arc<Mutex<Strings>>,
}

/// What the answer says of each task that it names.
pub(super) type Answers = HashMap<TaskArn, Result<Fetched<Arc<Task>>, Failure>>;

impl Ecs {
    /// `details` also learns what only meta labels need; it costs no call.
    pub(super) fn new(client: Client, buckets: Arc<Buckets>, watch: Watch, details: bool) -> Self {
        Self { client, buckets, watch, details, strings: Arc::default() }
    }

    /// Lets go of what was remembered for tasks that are remembered no more.
    pub(super) fn forget_unused(&self) {
        self.strings.lock().unwrap_or_else(PoisonError::into_inner).forget_unused();
    }

    /// The ARNs of the region's clusters.
    pub(super) async fn list_clusters(&self) -> Result<Vec<ClusterRef>, Failure> {
        const OPERATION: &str = "ListClusters";
        let page = |token| async move {
            let request = self.client.list_clusters().set_next_token(token);
            let request =
                request.customize().interceptor(self.watch.ecs::<ListClustersError>(OPERATION, &self.buckets.clusters));
            let call = async { request.send().await.map_err(|error| failure::of_call(OPERATION, None, error)) };
            let answer = self.buckets.clusters.call(call).await?;
            let arns = answer.cluster_arns.ok_or_else(|| lacks_list(OPERATION, None))?;
            Ok(Page { items: arns, next: answer.next_token })
        };
        let mut arns = all_pages(OPERATION, None, page).await?;
        arns.sort_unstable();
        arns.dedup();
        Ok(arns.iter().map(|arn| ClusterRef::from(arn.as_str())).collect())
    }

    /// Hands over the ARNs of the tasks that ought to run in a cluster, page by page. Pages of a listing that
    /// changes meanwhile may overlap.
    pub(super) async fn list_tasks(&self, cluster: &ClusterRef, take: impl FnMut(Vec<String>)) -> Result<(), Failure> {
        const OPERATION: &str = "ListTasks";
        let page = |token| async move {
            let request = self.client.list_tasks().cluster(cluster.as_str()).set_next_token(token);
            let request =
                request.customize().interceptor(self.watch.ecs::<ListTasksError>(OPERATION, &self.buckets.tasks));
            let call =
                async { request.send().await.map_err(|error| failure::of_call(OPERATION, Some(cluster), error)) };
            let answer = self.buckets.tasks.call(call).await?;
            let arns = answer.task_arns.ok_or_else(|| lacks_list(OPERATION, Some(cluster)))?;
            Ok(Page { items: arns, next: answer.next_token })
        };
        each_page(OPERATION, Some(cluster), page, take).await
    }

    /// What is said of up to [`BATCH`] tasks of a cluster: each described, gone, or failed by itself.
    pub(super) async fn tasks(&self, cluster: &ClusterRef, arns: &[TaskArn]) -> Result<Answers, Failure> {
        const OPERATION: &str = "DescribeTasks";
        let ids = arns.iter().map(|arn| arn.as_str().to_owned()).collect();
        let request = self.client.describe_tasks().cluster(cluster.as_str()).set_tasks(Some(ids));
        let include = self.details.then(|| vec![wire::TaskField::Tags]);
        let request = request
            .set_include(include)
            .customize()
            .interceptor(self.watch.ecs::<DescribeTasksError>(OPERATION, &self.buckets.tasks));
        let call = async { request.send().await.map_err(|error| failure::of_call(OPERATION, Some(cluster), error)) };
        let answer = self.buckets.tasks.call(call).await?;
        let known = {
            let mut strings = self.strings.lock().unwrap_or_else(PoisonError::into_inner);
            let tasks = answer.tasks.unwrap_or_default().into_iter();
            tasks.filter_map(|wire| read::task(wire, self.details, &mut strings)).collect::<Vec<_>>()
        };
        let mut tasks: HashMap<_, _> =
            known.into_iter().map(|task| (task.arn.clone(), Ok(Fetched::Known(Arc::new(task))))).collect();
        for (arn, absent) in absences(OPERATION, cluster, answer.failures.unwrap_or_default()) {
            tasks.entry(arn.as_str().into()).or_insert(absent.map(|()| Fetched::Gone(())));
        }
        Ok(tasks)
    }

    /// A task definition; none where ECS does not know it, or does not any more.
    pub(super) async fn definition(&self, arn: &TaskDefinitionArn) -> Result<Option<TaskDefinition>, Failure> {
        const OPERATION: &str = "DescribeTaskDefinition";
        let request = self.client.describe_task_definition().task_definition(arn.as_str());
        let request = request
            .customize()
            .interceptor(self.watch.ecs::<DescribeTaskDefinitionError>(OPERATION, &self.buckets.definitions));
        let call = async {
            match request.send().await {
                Ok(answer) => Ok(Some(answer)),
                // "Unable to describe task definition": permanent for this revision.
                Err(SdkError::ServiceError(error)) if error.err().is_client_exception() => Ok(None),
                Err(error) => Err(failure::of_call(OPERATION, None, error)),
            }
        };
        let answer = self.buckets.definitions.call(call).await?;
        let Some(answer) = answer else { return Ok(None) };
        let definition = answer.task_definition.and_then(|wire| read::definition(arn, wire));
        definition.map(Some).ok_or_else(|| failure::bad_answer(OPERATION, None, "the answer has no task definition"))
    }

    /// The EC2 instance ids of up to [`BATCH`] container instances of a cluster; gone where ECS does not
    /// know the container instance or has no id for it.
    pub(super) async fn container_instances(
        &self,
        cluster: &ClusterRef,
        arns: &[&ContainerInstanceArn],
    ) -> Result<HashMap<ContainerInstanceArn, Result<Fetched<Shared>, Failure>>, Failure> {
        const OPERATION: &str = "DescribeContainerInstances";
        let ids = arns.iter().map(|arn| arn.as_str().to_owned()).collect();
        let request =
            self.client.describe_container_instances().cluster(cluster.as_str()).set_container_instances(Some(ids));
        let request = request
            .customize()
            .interceptor(self.watch.ecs::<DescribeContainerInstancesError>(OPERATION, &self.buckets.tasks));
        let call = async { request.send().await.map_err(|error| failure::of_call(OPERATION, Some(cluster), error)) };
        let answer = self.buckets.tasks.call(call).await?;
        let known = answer.container_instances.unwrap_or_default().into_iter().filter_map(|wire| {
            let id = wire.ec2_instance_id.map_or(Fetched::Gone(()), |id| Fetched::Known(id.as_str().into()));
            Some((wire.container_instance_arn?.as_str().into(), Ok(id)))
        });
        let mut instances: HashMap<_, _> = known.collect();
        for (arn, absent) in absences(OPERATION, cluster, answer.failures.unwrap_or_default()) {
            instances.entry(arn.as_str().into()).or_insert(absent.map(|()| Fetched::Gone(())));
        }
        for arn in arns {
            let unnamed = || Err(failure::unnamed(OPERATION, Some(cluster)));
            instances.entry((*arn).clone()).or_insert_with(unnamed);
        }
        Ok(instances)
    }
}

fn lacks_list(operation: &'static str, cluster: Option<&ClusterRef>) -> Failure {
    failure::bad_answer(operation, cluster, "the answer has no list")
}

/// What the `failures` of a describe call say: gone for the reason MISSING, else a failure.
fn absences<'a>(
    operation: &'static str,
    cluster: &'a ClusterRef,
    failures: Vec<wire::Failure>,
) -> impl Iterator<Item = (String, Result<(), Failure>)> + 'a {
    failures.into_iter().filter_map(move |wire| {
        let reason = wire.reason.unwrap_or_default();
        let absent = if reason == "MISSING" {
            Ok(())
        } else {
            let detail = wire.detail.unwrap_or_else(|| "listed among the answer's failures".into());
            Err(Failure { code: reason, ..failure::bad_answer(operation, Some(cluster), &detail) })
        };
        Some((wire.arn?, absent))
    })
}
