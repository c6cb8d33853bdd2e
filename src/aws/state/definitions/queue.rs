//! The order in which task definitions are described: those that most tasks wait for come first.

use std::collections::HashMap;
use std::future::Future;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::inventory::TaskDefinitionArn;

/// Makes a call for each definition that is wanted, at most `concurrency` at a time, and returns the results. A definition
/// is wanted once for each task that waits for it; `wanted` says which still count when they come in.
pub(super) async fn call_each<T, F: Future<Output = T>>(
    mut arns: UnboundedReceiver<TaskDefinitionArn>,
    concurrency: usize,
    mut wanted: impl FnMut(&TaskDefinitionArn) -> bool,
    call: impl Fn(TaskDefinitionArn) -> F,
) -> Vec<T> {
    let (mut waiting, mut started) = (HashMap::<TaskDefinitionArn, usize>::new(), HashMap::new());
    let (mut calls, mut results) = (FuturesUnordered::new(), Vec::new());
    let mut open = true;
    while open || !waiting.is_empty() || !calls.is_empty() {
        while calls.len() < concurrency
            && let Some(arn) = most_wanted(&waiting)
        {
            waiting.remove(&arn);
            started.insert(arn.clone(), ());
            calls.push(call(arn));
        }
        tokio::select! {
            // All that have come in count before the next call starts.
            biased;
            arn = arns.recv(), if open => match arn {
                Some(arn) if started.contains_key(&arn) => {}
                Some(arn) => match waiting.get_mut(&arn) {
                    Some(tasks) => *tasks += 1,
                    None if wanted(&arn) => drop(waiting.insert(arn, 1)),
                    None => drop(started.insert(arn, ())),
                },
                None => open = false,
            },
            Some(result) = calls.next() => results.push(result),
        }
    }
    results
}

fn most_wanted(waiting: &HashMap<TaskDefinitionArn, usize>) -> Option<TaskDefinitionArn> {
    // The ARN makes the order deterministic.
    let most = waiting.iter().max_by(|(one, tasks), (other, more)| (tasks, other).cmp(&(more, one)));
    most.map(|(arn, _)| arn.clone())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use tokio::sync::mpsc::unbounded_channel;
    use tokio::time::sleep;

    use super::*;

    /// Calls for each of these definitions with one call at a time, and returns the order.
    async fn order(arns: &[&str]) -> Vec<String> {
        let (send, receive) = unbounded_channel();
        arns.iter().for_each(|arn| send.send((*arn).into()).unwrap());
        drop(send);
        let order = RefCell::new(Vec::new());
        let call = async |arn: TaskDefinitionArn| {
            order.borrow_mut().push(arn.to_string());
            sleep(Duration::from_millis(15)).await;
            arn
        };
        let results = call_each(receive, 1, |arn| arn.as_str() != "known", call).await;
        assert_eq!(results.len(), order.borrow().len());
        order.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn definitions_that_most_tasks_wait_for_come_first() {
        let wanted = ["a", "b", "c", "b", "known", "c", "b", "known", "d"];
        // The first one starts before the others have come in.
        assert_eq!(order(&wanted).await, ["a", "b", "c", "d"]);
        assert_eq!(order(&[]).await, [""; 0]);
    }
}
