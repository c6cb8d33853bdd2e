//! The order in which task definitions are described: those that most tasks wait for come first.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use crate::inventory::TaskDefinitionArn;

/// For how long the calls wait while tasks come in. AWS allows a burst of 50 calls, which should be for the definitions of the
/// most tasks: of a large fleet, this time shows nearly half, and a small one is known sooner.
const PUT_OFF: Duration = Duration::from_millis(400);

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
    let (mut open, mut puts_off, end) = (true, true, Instant::now() + PUT_OFF);
    while open || !waiting.is_empty() || !calls.is_empty() {
        while calls.len() < concurrency
            && !(open && puts_off)
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
            () = sleep_until(end), if puts_off => puts_off = false,
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

    /// Calls for each of these definitions with one call at a time, and returns the order. The next one comes in after each
    /// pause.
    async fn order_of(arns: &[&str], pause: Duration) -> Vec<String> {
        let (send, receive) = unbounded_channel();
        let coming = async move {
            for arn in arns {
                send.send((*arn).into()).unwrap();
                sleep(pause).await;
            }
        };
        let order = RefCell::new(Vec::new());
        let call = async |arn: TaskDefinitionArn| {
            order.borrow_mut().push(arn.to_string());
            sleep(Duration::from_millis(15)).await;
            arn
        };
        let calls = call_each(receive, 1, |arn| arn.as_str() != "known", call);
        let (results, ()) = tokio::join!(calls, coming);
        assert_eq!(results.len(), order.borrow().len());
        order.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn definitions_that_most_tasks_wait_for_come_first() {
        let wanted = ["a", "b", "c", "b", "known", "c", "b", "known", "d"];
        assert_eq!(order_of(&wanted, Duration::ZERO).await, ["b", "c", "a", "d"]);
        assert_eq!(order_of(&[], Duration::ZERO).await, [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_wait_a_moment_for_more_tasks() {
        let wanted = ["a", "b", "c", "c", "d"];
        let start = Instant::now();
        assert_eq!(order_of(&wanted, Duration::from_millis(10)).await, ["c", "a", "b", "d"]);
        assert!(start.elapsed() < PUT_OFF, "not after the last task has come in: {:?}", start.elapsed());
        assert_eq!(order_of(&wanted, PUT_OFF * 2).await, ["a", "b", "c", "d"]);
    }
}
