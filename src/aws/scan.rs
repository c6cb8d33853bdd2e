//! The tasks of a cluster: listed, and described where they are not known already.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::calls::Patience;
use super::ecs::{Answers, BATCH, Ecs};
use super::failure;
use super::known::Known;
use crate::inventory::{ClusterRef, Failure, Failures, Fetched, ListedTask, Task, TaskArn};

/// How many batches of one cluster are described side by side.
const BATCHES_AT_ONCE: usize = 4;

/// The tasks of one cluster.
pub(super) struct Scan {
    /// Those that were asked for, batch by batch.
    described: Vec<Batch>,
    /// Those that are known, and that were not asked for this time.
    left_alone: Vec<Arc<Task>>,
}

/// A batch that failed stands with its tasks' ARNs.
struct Batch {
    arns: Vec<TaskArn>,
    answer: Result<Answers, Failure>,
}

/// Scans a cluster; what has been listed is described while the listing goes on. Shows each task as soon as
/// it is known. Fails only where the listing does.
pub(super) async fn scan(
    ecs: &Ecs,
    cluster: &ClusterRef,
    known: &Known,
    show: impl Fn(&Task),
) -> Result<Scan, Failure> {
    let (batches, listed) = unbounded_channel();
    let describing = async { Ok(describe(ecs, cluster, known, listed, &show).await) };
    let (left_alone, described) = tokio::try_join!(list(ecs, cluster, known, batches, &show), describing)?;
    Ok(Scan { described, left_alone })
}

/// Lists the tasks, and sends those to be described in batches. Gives the others.
async fn list(
    ecs: &Ecs,
    cluster: &ClusterRef,
    known: &Known,
    batches: UnboundedSender<Vec<TaskArn>>,
    show: impl Fn(&Task),
) -> Result<Vec<Arc<Task>>, Failure> {
    let send = |batch| {
        // Nobody listens only when the scan has been given up.
        let _ = batches.send(batch);
    };
    let mut listed = HashSet::with_capacity(known.len());
    let (mut unknown, mut settled) = (Vec::new(), Vec::with_capacity(known.len()));
    ecs.list_tasks(cluster, |arns| {
        for arn in arns {
            let task = known.task(&arn);
            let arn = task.map_or_else(|| arn.as_str().into(), |task| task.arn.clone());
            if !listed.insert(arn.clone()) {
                continue;
            }
            match task {
                Some(task) => {
                    show(task);
                    settled.push(task.clone());
                }
                None => unknown.push(arn),
            }
        }
        while unknown.len() >= BATCH {
            let rest = unknown.split_off(BATCH);
            send(std::mem::replace(&mut unknown, rest));
        }
    })
    .await?;
    unknown.extend(known.take_due(&mut settled, unknown.len()));
    unknown.chunks(BATCH).for_each(|batch| send(batch.to_vec()));
    Ok(settled)
}

async fn describe(
    ecs: &Ecs,
    cluster: &ClusterRef,
    known: &Known,
    mut batches: UnboundedReceiver<Vec<TaskArn>>,
    show: impl Fn(&Task),
) -> Vec<Batch> {
    let patience = &Patience::for_rounds_of(BATCHES_AT_ONCE);
    let batches = stream::poll_fn(|context| batches.poll_recv(context));
    let answers = batches.map(|arns| async {
        let give_up = || failure::given_up("DescribeTasks", Some(cluster));
        let mut answer = patience.call(give_up, ecs.tasks(cluster, &arns)).await;
        for task in answer.iter_mut().flat_map(Answers::values_mut) {
            if let Ok(Fetched::Known(task)) = task {
                // At once: describing all tasks anew must not take their memory a second time.
                known.share(task);
                show(task);
            }
        }
        Batch { arns, answer }
    });
    answers.buffer_unordered(BATCHES_AT_ONCE).collect().await
}

impl Scan {
    /// Each listed task, sorted, with what is known of it; what is not is recorded. What is settled is remembered.
    pub(super) fn into_listed(
        self,
        cluster: &ClusterRef,
        known: &mut Known,
        failures: &mut Failures,
    ) -> Vec<ListedTask> {
        let described: usize = self.described.iter().map(|batch| batch.arns.len()).sum();
        let mut listed = Vec::with_capacity(described + self.left_alone.len());
        for Batch { arns, answer } in self.described {
            let mut answer = answer.map_err(|failure| failures.record(failure));
            for arn in arns {
                let task = match answer.as_mut().map(|tasks| tasks.remove(&arn)) {
                    Err(failure) => Fetched::Unknown(*failure),
                    Ok(Some(Ok(task))) => task,
                    Ok(Some(Err(failure))) => Fetched::Unknown(failures.record(failure)),
                    Ok(None) => Fetched::Unknown(failures.record(failure::unnamed("DescribeTasks", Some(cluster)))),
                };
                listed.push(match task {
                    Fetched::Known(task) => with_its_arn(task),
                    task => ListedTask { arn, task },
                });
            }
        }
        known.learn(&listed, &self.left_alone);
        listed.extend(self.left_alone.into_iter().map(with_its_arn));
        listed.sort_unstable_by(|one, other| one.arn.cmp(&other.arn));
        listed
    }
}

/// The ARN that the task holds already, not a copy of it.
fn with_its_arn(task: Arc<Task>) -> ListedTask {
    ListedTask { arn: task.arn.clone(), task: Fetched::Known(task) }
}
