//! Scans a cluster: lists its tasks, and describes those that are not cached.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::isolate::isolate;
use super::tasks::{Reason, TaskCache};
use crate::aws::api::circuit_breaker::CircuitBreaker;
use crate::aws::api::ecs::{BATCH, DescribedTasks, Ecs};
use crate::aws::api::errors;
use crate::inventory::{ClusterRef, Failure, Failures, Fetched, ListedTask, Operation, Task, TaskArn};

/// The number of concurrent DescribeTasks calls per cluster.
const CONCURRENCY: usize = 4;

/// The tasks of one cluster.
pub(in crate::aws) struct Scan {
    described: Vec<Batch>,
    /// The listed tasks that were taken from the cache.
    reused: Vec<Arc<Task>>,
}

/// The response of one DescribeTasks call.
struct Batch {
    arns: Vec<TaskArn>,
    response: Result<DescribedTasks, Failure>,
}

/// Scans a cluster. Describes tasks while the listing is in progress, and passes each task to `show` as soon as it
/// is known. Fails only if the listing fails.
pub(in crate::aws) async fn scan(
    ecs: &Ecs,
    cluster: &ClusterRef,
    cache: &TaskCache,
    show: impl Fn(&Arc<Task>),
) -> Result<Scan, Failure> {
    let (batches, listed) = unbounded_channel();
    let describing = async { Ok(describe(ecs, cluster, cache, listed, &show).await) };
    let (reused, described) = tokio::try_join!(list(ecs, cluster, cache, batches, &show), describing)?;
    Ok(Scan { described, reused })
}

/// Lists the tasks, and sends those to describe in batches. Returns the others from the cache.
async fn list(
    ecs: &Ecs,
    cluster: &ClusterRef,
    cache: &TaskCache,
    batches: UnboundedSender<Vec<TaskArn>>,
    show: impl Fn(&Arc<Task>),
) -> Result<Vec<Arc<Task>>, Failure> {
    let send = |batch| {
        // The receiver is dropped only with the whole scan.
        let _ = batches.send(batch);
    };
    let mut decisions = Decisions::default();
    let mut listed = HashSet::with_capacity(cache.len());
    let (mut unknown, mut reused) = (Vec::new(), Vec::with_capacity(cache.len()));
    ecs.list_tasks(cluster, |arns| {
        for arn in arns {
            let task = cache.get(&arn);
            let arn = task.map_or_else(|| arn.as_str().into(), |task| task.arn.clone());
            if !listed.insert(arn.clone()) {
                continue;
            }
            match task {
                Some(task) => {
                    show(task);
                    reused.push(task.clone());
                }
                None => {
                    decisions.record(cache.reason(&arn), &arn);
                    unknown.push(arn);
                }
            }
        }
        while unknown.len() >= BATCH {
            let rest = unknown.split_off(BATCH);
            send(std::mem::replace(&mut unknown, rest));
        }
    })
    .await?;
    let due = cache.take_due(&mut reused, unknown.len());
    due.iter().for_each(|arn| decisions.record(Reason::Due, arn));
    decisions.report(cluster, reused.len());
    unknown.extend(due);
    unknown.chunks(BATCH).for_each(|batch| send(batch.to_vec()));
    Ok(reused)
}

/// The number of tasks to describe, by reason.
#[derive(Default)]
struct Decisions(BTreeMap<Reason, usize>);

impl Decisions {
    fn record(&mut self, reason: Reason, task: &TaskArn) {
        tracing::trace!(%task, ?reason, "task to describe");
        *self.0.entry(reason).or_default() += 1;
    }

    fn report(&self, cluster: &ClusterRef, cached: usize) {
        let count = |reason| self.0.get(&reason).copied().unwrap_or(0);
        tracing::debug!(
            cluster = cluster.as_str(),
            new = count(Reason::New),
            unsettled = count(Reason::Unsettled),
            invalidated = count(Reason::Invalidated),
            due = count(Reason::Due),
            cached,
            "tasks to describe"
        );
    }
}

async fn describe(
    ecs: &Ecs,
    cluster: &ClusterRef,
    cache: &TaskCache,
    mut batches: UnboundedReceiver<Vec<TaskArn>>,
    show: impl Fn(&Arc<Task>),
) -> Vec<Batch> {
    // Fewer than open the breaker of the operation, so that one cluster alone does not keep others from being described.
    let breaker = &CircuitBreaker::with_limit(CONCURRENCY);
    let batches = stream::poll_fn(|context| batches.poll_recv(context));
    let calls = batches.map(|arns| async {
        let call = isolate(Operation::DescribeTasks, Some(cluster), ecs.describe_tasks(cluster, &arns));
        let mut response = breaker.call(Operation::DescribeTasks, Some(cluster), call).await;
        for task in response.iter_mut().flat_map(DescribedTasks::values_mut) {
            if let Ok(Fetched::Known(task)) = task {
                // At once, so that describing all tasks again does not hold all of them twice.
                cache.share(task);
                show(task);
            }
        }
        Batch { arns, response }
    });
    calls.buffer_unordered(CONCURRENCY).collect().await
}

impl Scan {
    /// Returns whether tasks could not be described, other than because calls were skipped.
    pub(in crate::aws) fn has_failures(&self) -> bool {
        let failed = |batch: &Batch| batch.response.as_ref().is_err_and(|failure| failure.code != errors::SKIPPED);
        self.described.iter().any(failed)
    }

    /// Returns each listed task, sorted, with what is known of it. Records failures and caches settled tasks.
    pub(in crate::aws) fn into_listed(
        self,
        cluster: &ClusterRef,
        cache: &mut TaskCache,
        failures: &mut Failures,
    ) -> Vec<ListedTask> {
        let described: usize = self.described.iter().map(|batch| batch.arns.len()).sum();
        let mut listed = Vec::with_capacity(described + self.reused.len());
        for Batch { arns, response } in self.described {
            let mut response = response.map_err(|failure| failures.record(failure));
            for arn in arns {
                let task = match response.as_mut().map(|tasks| tasks.remove(&arn)) {
                    Err(failure) => Fetched::Unknown(*failure),
                    Ok(Some(Ok(task))) => task,
                    Ok(Some(Err(failure))) => Fetched::Unknown(failures.record(failure)),
                    Ok(None) => Fetched::Unknown(
                        failures.record(errors::not_in_response(Operation::DescribeTasks, Some(cluster))),
                    ),
                };
                listed.push(match task {
                    Fetched::Known(task) => with_its_arn(task),
                    task => ListedTask { arn, task },
                });
            }
        }
        cache.learn(&listed, &self.reused);
        listed.extend(self.reused.into_iter().map(with_its_arn));
        listed.sort_unstable_by(|one, other| one.arn.cmp(&other.arn));
        listed
    }
}

/// Shares the ARN that the task holds already.
fn with_its_arn(task: Arc<Task>) -> ListedTask {
    ListedTask { arn: task.arn.clone(), task: Fetched::Known(task) }
}
