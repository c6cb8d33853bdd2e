//! Amazon ECS. Operations and their limits: Amazon ECS API Reference.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types as wire;

use super::call::Caller;
use super::convert;
use super::errors;
use super::pages::{Page, all_pages, each_page};
use crate::config::{AwsConfig, MetaLabels};
use crate::inventory::{
    ClusterRef, ContainerInstance, ContainerInstanceArn, Failure, Fetched, Operation, ServiceDetails, Shared, Strings,
    Tags, Task, TaskArn, TaskDefinition, TaskDefinitionArn,
};

/// DescribeTasks, DescribeContainerInstances and DescribeClusters take up to 100 ids, and never an empty list.
pub(in crate::aws) const BATCH: usize = 100;

/// DescribeServices takes up to 10 services of one cluster.
pub(in crate::aws) const SERVICE_BATCH: usize = 10;

/// The message for a task definition that does not exist, or no longer.
const UNKNOWN_DEFINITION: &str = "Unable to describe task definition";

/// The ECS client.
#[derive(Clone)]
pub(in crate::aws) struct Ecs {
    client: Client,
    caller: Caller,
    meta_labels: MetaLabels,
    /// The environment variables of containers to keep.
    variables: Arc<[String]>,
    /// The attribute of container instances to keep.
    host_attribute: Option<Shared>,
    /// Strings that many tasks or task definitions have in common.
    strings: Arc<Mutex<Strings>>,
}

/// What a DescribeTasks response says of each task that it lists.
pub(in crate::aws) type DescribedTasks = HashMap<TaskArn, Result<Fetched<Arc<Task>>, Failure>>;

/// What a response says of each service or cluster that was asked for: `None` if ECS does not know it.
pub(in crate::aws) type Details<K, T> = HashMap<K, Result<Option<T>, Failure>>;

impl Ecs {
    /// Returns a client that keeps what the configuration asks for.
    pub(in crate::aws) fn new(client: Client, caller: Caller, config: &AwsConfig) -> Self {
        Self {
            client,
            caller,
            meta_labels: config.meta_labels,
            variables: config.variables.as_slice().into(),
            host_attribute: config.host_attribute.as_deref().map(Shared::from),
            strings: Arc::default(),
        }
    }

    /// Drops interned strings of what is no longer cached.
    pub(in crate::aws) fn evict_unused(&self) {
        self.strings().evict_unused();
    }

    fn strings(&self) -> MutexGuard<'_, Strings> {
        self.strings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the region's clusters, sorted by ARN.
    pub(in crate::aws) async fn list_clusters(&self) -> Result<Vec<ClusterRef>, Failure> {
        const OPERATION: Operation = Operation::ListClusters;
        let page = |token| async move {
            let request = self.client.list_clusters().set_next_token(token).customize();
            let response = self.caller.call(OPERATION, None, |attempts| request.interceptor(attempts).send()).await?;
            Ok(Page {
                items: response.cluster_arns.ok_or_else(|| no_list(OPERATION, None))?,
                next: response.next_token,
            })
        };
        let mut arns = all_pages(OPERATION, None, page).await?;
        arns.sort_unstable();
        arns.dedup();
        Ok(arns.iter().map(|arn| ClusterRef::from(arn.as_str())).collect())
    }

    /// Passes the ARNs of a cluster's tasks with desired status RUNNING to `take`, page by page. A task may occur
    /// twice, because the listing may change between two pages.
    pub(in crate::aws) async fn list_tasks(
        &self,
        cluster: &ClusterRef,
        take: impl FnMut(Vec<String>),
    ) -> Result<(), Failure> {
        const OPERATION: Operation = Operation::ListTasks;
        let page = |token| async move {
            let request = self.client.list_tasks().cluster(cluster.as_str()).set_next_token(token).customize();
            let send = |attempts| request.interceptor(attempts).send();
            let response = self.caller.call(OPERATION, Some(cluster), send).await?;
            let arns = response.task_arns.ok_or_else(|| no_list(OPERATION, Some(cluster)))?;
            Ok(Page { items: arns, next: response.next_token })
        };
        each_page(OPERATION, Some(cluster), page, take).await
    }

    /// Describes up to [`BATCH`] tasks of a cluster: each is known, gone, or failed by itself.
    pub(in crate::aws) async fn describe_tasks(
        &self,
        cluster: &ClusterRef,
        arns: &[TaskArn],
    ) -> Result<DescribedTasks, Failure> {
        const OPERATION: Operation = Operation::DescribeTasks;
        let ids = arns.iter().map(|arn| arn.as_str().to_owned()).collect();
        let include = (self.meta_labels != MetaLabels::Off).then(|| vec![wire::TaskField::Tags]);
        let request = self.client.describe_tasks().cluster(cluster.as_str()).set_tasks(Some(ids)).set_include(include);
        let send = |attempts| request.customize().interceptor(attempts).send();
        let response = self.caller.call(OPERATION, Some(cluster), send).await?;
        let mut tasks = self.convert_tasks(response.tasks.unwrap_or_default());
        for (arn, absent) in absences(OPERATION, Some(cluster), response.failures.unwrap_or_default()) {
            tasks.entry(arn.as_str().into()).or_insert(absent.map(|()| Fetched::Gone(())));
        }
        Ok(tasks)
    }

    fn convert_tasks(&self, wire: Vec<wire::Task>) -> DescribedTasks {
        let mut strings = self.strings();
        let tasks = wire.into_iter().filter_map(|wire| convert::task(wire, self.meta_labels, &mut strings));
        tasks.map(|task| (task.arn.clone(), Ok(Fetched::Known(Arc::new(task))))).collect()
    }

    /// Returns a task definition; `None` if ECS does not know it, or no longer.
    pub(in crate::aws) async fn describe_task_definition(
        &self,
        arn: &TaskDefinitionArn,
    ) -> Result<Option<TaskDefinition>, Failure> {
        const OPERATION: Operation = Operation::DescribeTaskDefinition;
        let request = self.client.describe_task_definition().task_definition(arn.as_str()).customize();
        let response = match self.caller.call(OPERATION, None, |attempts| request.interceptor(attempts).send()).await {
            Err(failure) if is_unknown_definition(&failure) => return Ok(None),
            response => response?,
        };
        let mut strings = self.strings();
        let definition =
            response.task_definition.and_then(|wire| convert::definition(arn, wire, &self.variables, &mut strings));
        let missing = || errors::invalid_response(OPERATION, None, "the response has no task definition");
        definition.map(Some).ok_or_else(missing)
    }

    /// Describes up to [`BATCH`] container instances of a cluster; gone if ECS does not know the container instance or
    /// has no host id for it.
    pub(in crate::aws) async fn describe_container_instances(
        &self,
        cluster: &ClusterRef,
        arns: &[&ContainerInstanceArn],
    ) -> Result<HashMap<ContainerInstanceArn, Result<Fetched<ContainerInstance>, Failure>>, Failure> {
        const OPERATION: Operation = Operation::DescribeContainerInstances;
        let ids = arns.iter().map(|arn| arn.as_str().to_owned()).collect();
        let request =
            self.client.describe_container_instances().cluster(cluster.as_str()).set_container_instances(Some(ids));
        let send = |attempts| request.customize().interceptor(attempts).send();
        let response = self.caller.call(OPERATION, Some(cluster), send).await?;
        let known = response.container_instances.unwrap_or_default().into_iter().filter_map(|wire| {
            let attribute = self.host_attribute.as_deref();
            let instance = convert::container_instance(&wire, attribute).map_or(Fetched::Gone(()), Fetched::Known);
            Some((wire.container_instance_arn?.as_str().into(), Ok(instance)))
        });
        let mut instances: HashMap<_, _> = known.collect();
        for (arn, absent) in absences(OPERATION, Some(cluster), response.failures.unwrap_or_default()) {
            instances.entry(arn.as_str().into()).or_insert(absent.map(|()| Fetched::Gone(())));
        }
        for arn in arns {
            let missing = || Err(errors::not_in_response(OPERATION, Some(cluster)));
            instances.entry((*arn).clone()).or_insert_with(missing);
        }
        Ok(instances)
    }
}

impl Ecs {
    /// Describes up to [`SERVICE_BATCH`] services of a cluster, by name, with their tags.
    pub(in crate::aws) async fn describe_services(
        &self,
        cluster: &ClusterRef,
        names: &[Shared],
    ) -> Result<Details<Shared, Arc<ServiceDetails>>, Failure> {
        const OPERATION: Operation = Operation::DescribeServices;
        let ids = names.iter().map(|name| name.to_string()).collect();
        let request = self.client.describe_services().cluster(cluster.as_str()).set_services(Some(ids));
        let request = request.include(wire::ServiceField::Tags).customize();
        let send = |attempts| request.interceptor(attempts).send();
        let response = self.caller.call(OPERATION, Some(cluster), send).await?;
        let services = response.services.unwrap_or_default();
        let mut known: HashMap<&str, _> =
            services.iter().filter_map(|wire| Some((wire.service_name()?, convert::service(wire)))).collect();
        let absent = absences(OPERATION, Some(cluster), response.failures.unwrap_or_default());
        // The long form of a service's ARN has the cluster before the name, the short form does not.
        let mut absent: HashMap<String, _> =
            absent.map(|(arn, why)| (arn.rsplit('/').next().unwrap_or(&arn).to_owned(), why)).collect();
        let described = names.iter().map(|name| {
            let described = match (known.remove(&**name), absent.remove(&**name)) {
                (Some(service), _) => Ok(Some(Arc::new(service))),
                (None, Some(absent)) => absent.map(|()| None),
                (None, None) => Err(errors::not_in_response(OPERATION, Some(cluster))),
            };
            (name.clone(), described)
        });
        Ok(described.collect())
    }

    /// Describes the tags of up to [`BATCH`] clusters.
    pub(in crate::aws) async fn describe_clusters(
        &self,
        clusters: &[ClusterRef],
    ) -> Result<Details<ClusterRef, Tags>, Failure> {
        const OPERATION: Operation = Operation::DescribeClusters;
        let ids = clusters.iter().map(|cluster| cluster.as_str().to_owned()).collect();
        let request = self.client.describe_clusters().set_clusters(Some(ids)).include(wire::ClusterField::Tags);
        let send = |attempts| request.customize().interceptor(attempts).send();
        let response = self.caller.call(OPERATION, None, send).await?;
        let known: HashMap<String, Tags> = (response.clusters.unwrap_or_default().into_iter())
            .filter_map(|wire| Some((wire.cluster_arn?, convert::tags(&wire.tags.unwrap_or_default()).into())))
            .collect();
        let absent: HashMap<_, _> = absences(OPERATION, None, response.failures.unwrap_or_default()).collect();
        let described = clusters.iter().map(|cluster| {
            let tags = known.iter().find(|(arn, _)| cluster.matches(arn)).map(|(_, tags)| tags.clone());
            let why = absent.iter().find(|(arn, _)| cluster.matches(arn)).map(|(_, why)| why.clone());
            let described = match (tags, why) {
                (Some(tags), _) => Ok(Some(tags)),
                (None, Some(absent)) => absent.map(|()| None),
                (None, None) => Err(errors::not_in_response(OPERATION, None)),
            };
            (cluster.clone(), described)
        });
        Ok(described.collect())
    }
}

/// Returns whether ECS does not know a task definition. The code alone stands for any mistake in a request; with this
/// message it is permanent for the revision, unless the service itself failed.
fn is_unknown_definition(failure: &Failure) -> bool {
    !failure.transient && failure.code == "ClientException" && failure.message.starts_with(UNKNOWN_DEFINITION)
}

fn no_list(operation: Operation, cluster: Option<&ClusterRef>) -> Failure {
    errors::invalid_response(operation, cluster, "the response has no list")
}

/// Converts the `failures` of a describe call: reason MISSING means gone, any other is a failure.
fn absences<'a>(
    operation: Operation,
    cluster: Option<&'a ClusterRef>,
    failures: Vec<wire::Failure>,
) -> impl Iterator<Item = (String, Result<(), Failure>)> + 'a {
    failures.into_iter().filter_map(move |wire| {
        let reason = wire.reason.unwrap_or_default();
        let absent = if reason == "MISSING" {
            Ok(())
        } else {
            let detail = wire.detail.unwrap_or_else(|| "listed among the response's failures".into());
            Err(Failure { code: reason, ..errors::invalid_response(operation, cluster, &detail) })
        };
        Some((wire.arn?, absent))
    })
}
