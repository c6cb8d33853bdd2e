//! The order in which task definitions are described: those that most tasks wait for come first.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use crate::inventory::TaskDefinitionArn;

/// For how long, while tasks come in, only definitions that at least [`SEVERAL`] tasks wait for are described. Among the
/// first tasks, most definitions occur once, and the burst that AWS allows would go to any of them.
const HESITATION: Duration = Duration::from_millis(400);
const SEVERAL: usize = 5;

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
    let mut hesitation = pin!(sleep(HESITATION));
    while open || !waiting.is_empty() || !calls.is_empty() {
        let hesitating = !hesitation.is_elapsed();
        let least = if open && hesitating { SEVERAL } else { 1 };
        while calls.len() < concurrency
            && let Some(arn) = most_wanted(&waiting, least)
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
            () = &mut hesitation, if hesitating => {}
            Some(result) = calls.next() => results.push(result),
        }
    }
    results
}

/// Returns the definition that most tasks wait for, unless they are fewer than `least`.
fn most_wanted(waiting: &HashMap<TaskDefinitionArn, usize>, least: usize) -> Option<TaskDefinitionArn> {
    // The ARN makes the order deterministic.
    let most = waiting.iter().max_by(|(one, tasks), (other, more)| (tasks, other).cmp(&(more, one)));
    most.filter(|(_, tasks)| **tasks >= least).map(|(arn, _)| arn.clone())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::sync::mpsc::unbounded_channel;
    use tokio::time::Instant;

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
    async fn definitions_that_few_tasks_wait_for_can_wait_while_tasks_come_in() {
        let (send, receive) = unbounded_channel();
        let start = Instant::now();
        let call = async |arn: TaskDefinitionArn| (arn.to_string(), start.elapsed());
        let coming_in = async {
            ["rare", "few", "few"].into_iter().chain(["many"; SEVERAL]).for_each(|arn| send.send(arn.into()).unwrap());
            sleep(2 * HESITATION).await;
            send.send("late".into()).unwrap();
            drop(send);
        };
        let (results, ()) = tokio::join!(call_each(receive, 1, |_| true, call), coming_in);
        let at = |name: &str, when| (name.to_owned(), when);
        let after = [at("few", HESITATION), at("rare", HESITATION), at("late", 2 * HESITATION)];
        assert_eq!(results, [&[at("many", Duration::ZERO)][..], &after].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn definitions_that_most_tasks_wait_for_come_first() {
        let wanted = ["a", "b", "c", "b", "known", "c", "b", "known", "d"];
        assert_eq!(order(&wanted).await, ["b", "c", "a", "d"]);
        assert_eq!(order(&[]).await, [""; 0]);
    }
}
