//! Amazon ECS: listing and describing. Operations and their limits: Amazon ECS API Reference.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::SdkError;
use aws_sdk_ecs::operation::describe_container_instances::DescribeContainerInstancesError;
use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionError;
use aws_sdk_ecs::operation::describe_tasks::DescribeTasksError;
use aws_sdk_ecs::operation::list_clusters::ListClustersError;
use aws_sdk_ecs::operation::list_tasks::ListTasksError;
use aws_sdk_ecs::types as wire;
use futures_util::{StreamExt, stream};

use super::calls::{Buckets, Patience};
use super::failure;
use super::pages::{Page, all_pages};
use super::read;
use super::watch::Watch;
use crate::inventory::{
    ClusterRef, ContainerInstanceArn, Failure, Failures, Fetched, ListedTask, Shared, Task, TaskArn, TaskDefinition,
    TaskDefinitionArn,
};

/// DescribeTasks and DescribeContainerInstances take up to 100 ids, and never none.
pub(super) const BATCH: usize = 100;

/// How many batches of one cluster are described side by side.
const BATCHES_AT_ONCE: usize = 4;

/// What ECS says.
#[derive(Clone)]
pub(super) struct Ecs {
    client: Client,
    buckets: Arc<Buckets>,
    watch: Watch,
    details: bool,
}

/// The tasks of a cluster, batch by batch; a batch that failed stands with its tasks' ARNs.
pub(super) struct Described(Vec<Batch>);

struct Batch {
    arns: Vec<TaskArn>,
    answer: Result<HashMap<TaskArn, Result<Fetched<Task>, Failure>>, Failure>,
}

impl Ecs {
    /// `details` also learns what only meta labels need; it costs no call.
    pub(super) fn new(client: Client, buckets: Arc<Buckets>, watch: Watch, details: bool) -> Self {
        Self { client, buckets, watch, details }
    }

    /// The ARNs of the region's clusters.
    pub(super) async fn list_clusters(&self) -> Result<Vec<ClusterRef>, Failure> {
        const OPERATION: &str = "ListClusters";
        let page = |token| async move {
            let request = self.client.list_clusters().set_next_token(token);
            let request = request.customize().interceptor(self.watch.ecs::<ListClustersError>(OPERATION));
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

    /// Every task of a cluster that ought to run, described. Fails only where the listing does.
    pub(super) async fn tasks_of(&self, cluster: &ClusterRef) -> Result<Described, Failure> {
        let arns = self.list_tasks(cluster).await?;
        let batches: Vec<Vec<TaskArn>> = arns.chunks(BATCH).map(<[TaskArn]>::to_vec).collect();
        let patience = Patience::for_rounds_of(BATCHES_AT_ONCE);
        let described = batches.into_iter().map(|arns| async {
            let give_up = || failure::given_up("DescribeTasks", Some(cluster));
            let answer = patience.call(give_up, self.describe_tasks(cluster, &arns)).await;
            Batch { arns, answer }
        });
        Ok(Described(stream::iter(described).buffer_unordered(BATCHES_AT_ONCE).collect().await))
    }

    async fn list_tasks(&self, cluster: &ClusterRef) -> Result<Vec<TaskArn>, Failure> {
        const OPERATION: &str = "ListTasks";
        let page = |token| async move {
            let request = self.client.list_tasks().cluster(cluster.as_str()).set_next_token(token);
            let request = request.customize().interceptor(self.watch.ecs::<ListTasksError>(OPERATION));
            let call =
                async { request.send().await.map_err(|error| failure::of_call(OPERATION, Some(cluster), error)) };
            let answer = self.buckets.tasks.call(call).await?;
            let arns = answer.task_arns.ok_or_else(|| lacks_list(OPERATION, Some(cluster)))?;
            Ok(Page { items: arns, next: answer.next_token })
        };
        let mut arns = all_pages(OPERATION, Some(cluster), page).await?;
        // Pages of a changing listing may overlap.
        arns.sort_unstable();
        arns.dedup();
        Ok(arns.iter().map(|arn| TaskArn::from(arn.as_str())).collect())
    }

    async fn describe_tasks(
        &self,
        cluster: &ClusterRef,
        arns: &[TaskArn],
    ) -> Result<HashMap<TaskArn, Result<Fetched<Task>, Failure>>, Failure> {
        const OPERATION: &str = "DescribeTasks";
        let ids = arns.iter().map(|arn| arn.as_str().to_owned()).collect();
        let request = self.client.describe_tasks().cluster(cluster.as_str()).set_tasks(Some(ids));
        let include = self.details.then(|| vec![wire::TaskField::Tags]);
        let request =
            request.set_include(include).customize().interceptor(self.watch.ecs::<DescribeTasksError>(OPERATION));
        let call = async { request.send().await.map_err(|error| failure::of_call(OPERATION, Some(cluster), error)) };
        let answer = self.buckets.tasks.call(call).await?;
        let known = answer.tasks.unwrap_or_default().into_iter().filter_map(|wire| read::task(wire, self.details));
        let mut tasks: HashMap<_, _> = known.map(|task| (task.arn.clone(), Ok(Fetched::Known(task)))).collect();
        for (arn, absent) in absences(OPERATION, cluster, answer.failures.unwrap_or_default()) {
            tasks.entry(arn.as_str().into()).or_insert(absent.map(|()| Fetched::Gone(())));
        }
        Ok(tasks)
    }

    /// A task definition; none where ECS does not know it, or does not any more.
    pub(super) async fn definition(&self, arn: &TaskDefinitionArn) -> Result<Option<TaskDefinition>, Failure> {
        const OPERATION: &str = "DescribeTaskDefinition";
        let request = self.client.describe_task_definition().task_definition(arn.as_str());
        let request = request.customize().interceptor(self.watch.ecs::<DescribeTaskDefinitionError>(OPERATION));
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
        let request = request.customize().interceptor(self.watch.ecs::<DescribeContainerInstancesError>(OPERATION));
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
            let unnamed = || Err(failure::bad_answer(OPERATION, Some(cluster), UNNAMED));
            instances.entry((*arn).clone()).or_insert_with(unnamed);
        }
        Ok(instances)
    }
}

const UNNAMED: &str = "the answer names something that was asked for neither as found nor as failed";

impl Described {
    /// Each listed task with what is known of it; what is not is recorded.
    pub(super) fn into_listed(self, cluster: &ClusterRef, failures: &mut Failures) -> Vec<ListedTask> {
        let mut listed = Vec::new();
        for batch in self.0 {
            let mut answer = batch.answer.map_err(|failure| failures.record(failure));
            for arn in batch.arns {
                let task = match &mut answer {
                    Err(failure) => Fetched::Unknown(*failure),
                    Ok(tasks) => match tasks.remove(&arn) {
                        Some(Ok(task)) => task,
                        Some(Err(failure)) => Fetched::Unknown(failures.record(failure)),
                        None => {
                            let failure = failure::bad_answer("DescribeTasks", Some(cluster), UNNAMED);
                            Fetched::Unknown(failures.record(failure))
                        }
                    },
                };
                listed.push(ListedTask { arn, task });
            }
        }
        listed
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
