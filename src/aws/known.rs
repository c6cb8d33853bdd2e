//! The tasks of a cluster that need not be described at every refresh.
//!
//! A RUNNING task keeps its addresses and bindings for life (amazon-ecs-agent 1.70 and later), and the
//! listing tells which tasks are alive. What changes unseen is a container that stops inside a task that
//! goes on: therefore each task is looked at again in rotation.

use std::collections::HashMap;
use std::sync::Arc;

use super::ecs::BATCH;
use crate::inventory::{Fetched, ListedTask, Task, TaskArn};

/// Within how many refreshes each task is looked at again.
const ROTATION: usize = 10;

/// The settled tasks of one cluster.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// How many refreshes have been learned from.
    refreshes: usize,
    tasks: HashMap<TaskArn, Seen>,
    /// Each has to be described in the next refresh.
    doubted: bool,
}

#[derive(Debug)]
struct Seen {
    task: Arc<Task>,
    /// In which refresh it was described.
    refresh: usize,
}

impl Known {
    /// Has all of them described in the next refresh.
    pub(super) fn doubt(&mut self) {
        self.doubted = true;
    }

    /// What is known of a task, where that is beyond doubt.
    pub(super) fn task(&self, arn: &str) -> Option<&Arc<Task>> {
        self.tasks.get(arn).filter(|_| !self.doubted).map(|seen| &seen.task)
    }

    /// Puts the copy that is held already in the place of a task that has not changed.
    pub(super) fn share(&self, task: &mut Arc<Task>) {
        if let Some(seen) = self.tasks.get(&task.arn)
            && seen.task == *task
        {
            *task = seen.task.clone();
        }
    }

    /// How many tasks are known.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Takes out of the known tasks those to look at again, the ones not seen for longest: a tenth of them,
    /// all whose time has come, and as many more as fit into the same calls, with so many `others` in them.
    pub(super) fn take_due(&self, known: &mut Vec<Arc<Task>>, others: usize) -> Vec<TaskArn> {
        let seen = |task: &Arc<Task>| self.tasks.get(&task.arn).map_or(0, |seen| seen.refresh);
        // The ARN decides only so that the choice is the same each time.
        known.sort_by(|one, other| (seen(one), &one.arn).cmp(&(seen(other), &other.arn)));
        let late = known.partition_point(|task| self.refreshes + 1 >= seen(task) + ROTATION);
        let wanted = late.max(known.len().div_ceil(ROTATION));
        let calls = (others + wanted).div_ceil(BATCH);
        let fit = (calls * BATCH - others).min(known.len());
        known.drain(..fit).map(|task| task.arn.clone()).collect()
    }

    /// Goes on to the next refresh with what this one described, and with the known tasks that it left alone.
    pub(super) fn learn(&mut self, described: &[ListedTask], left_alone: &[Arc<Task>]) {
        self.refreshes += 1;
        let refresh = self.refreshes;
        let settled = described.iter().filter_map(|listed| match &listed.task {
            Fetched::Known(task) if task.is_settled() => {
                Some((listed.arn.clone(), Seen { task: task.clone(), refresh }))
            }
            _ => None,
        });
        let mut before = std::mem::take(&mut self.tasks);
        let others = left_alone.iter().filter_map(|task| before.remove_entry(&task.arn));
        self.tasks = others.chain(settled).collect();
        self.doubted = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inventory::{Container, TaskStatus};

    fn task(id: usize) -> Arc<Task> {
        Arc::new(Task {
            arn: format!("arn:aws:ecs:eu-west-1:123456789012:task/prod/{id:04}").as_str().into(),
            cluster: None,
            definition: "web:1".into(),
            group: None,
            last_status: TaskStatus::Running,
            told_to_stop: false,
            on_managed_instance: false,
            container_instance: None,
            attachment_ipv4: None,
            containers: vec![],
            details: None,
        })
    }

    fn described(task: &Arc<Task>) -> ListedTask {
        ListedTask { arn: task.arn.clone(), task: Fetched::Known(task.clone()) }
    }

    /// One refresh with these tasks listed; gives the ids of those that were described.
    fn refresh(known: &mut Known, listed: &[usize]) -> Vec<usize> {
        let (mut old, new): (Vec<_>, Vec<_>) =
            listed.iter().map(|id| task(*id)).partition(|task| known.task(task.arn.as_str()).is_some());
        let due = known.take_due(&mut old, new.len());
        let id = |arn: &TaskArn| arn.id().parse().unwrap();
        let ids: Vec<usize> = new.iter().map(|task| id(&task.arn)).chain(due.iter().map(id)).collect();
        let answers: Vec<_> = ids.iter().map(|id| described(&task(*id))).collect();
        known.learn(&answers, &old);
        ids
    }

    #[test]
    fn a_small_cluster_is_looked_at_whole_each_time() {
        let mut known = Known::default();
        for _ in 0..3 {
            assert_eq!(refresh(&mut known, &(0..100).collect::<Vec<_>>()).len(), 100);
        }
        assert!(refresh(&mut known, &[]).is_empty());
        assert_eq!(known.len(), 0);
    }

    #[test]
    fn a_large_cluster_is_looked_at_a_tenth_at_a_time_in_whole_calls() {
        let mut known = Known::default();
        let listed: Vec<_> = (0..3334).collect();
        assert_eq!(refresh(&mut known, &listed).len(), 3334);
        for _ in 0..20 {
            assert_eq!(refresh(&mut known, &listed).len(), 400);
        }
        // New ones take places that are free.
        let listed: Vec<_> = (33..3367).collect();
        assert_eq!(refresh(&mut known, &listed).len(), 400);
    }

    #[test]
    fn what_is_not_settled_is_described_again() {
        let settled = |change: fn(&mut Task)| {
            let mut task = Task::clone(&task(1));
            change(&mut task);
            task.is_settled()
        };
        assert!(settled(|_| ()));
        assert!(settled(|task| task.containers = vec![in_state(TaskStatus::Running), in_state(TaskStatus::Stopped)]));
        assert!(!settled(|task| task.containers = vec![in_state(TaskStatus::Running), in_state(TaskStatus::Pending)]));
        assert!(!settled(|task| task.last_status = TaskStatus::Activating));
        assert!(!settled(|task| task.last_status = TaskStatus::Unknown));
        assert!(!settled(|task| task.told_to_stop = true));
        let mut known = Known::default();
        let gone = ListedTask { arn: task(2).arn.clone(), task: Fetched::Gone(()) };
        known.learn(&[described(&task(1)), gone], &[]);
        assert_eq!((known.len(), known.task(task(2).arn.as_str())), (1, None));
    }

    #[test]
    fn what_is_doubted_is_described_again_and_held_once() {
        let (mut known, first) = (Known::default(), task(1));
        known.learn(&[described(&first)], &[]);
        known.doubt();
        assert_eq!(known.task(first.arn.as_str()), None);
        let (mut same, mut changed) = (task(1), Task::clone(&task(1)));
        changed.told_to_stop = true;
        let mut changed = Arc::new(changed);
        known.share(&mut same);
        known.share(&mut changed);
        assert!(Arc::ptr_eq(&same, &first) && changed.told_to_stop);
        known.learn(&[described(&same)], &[]);
        assert_eq!(known.task(first.arn.as_str()), Some(&first));
    }

    fn in_state(last_status: TaskStatus) -> Container {
        Container { last_status, ..Container::default() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However a cluster grows and shrinks.
        #[test]
        fn each_task_is_looked_at_again_within_ten_refreshes(
            sizes in proptest::collection::vec((0..700_usize, 0..400_usize), 1..40)
        ) {
            let (mut known, mut last_seen) = (Known::default(), HashMap::new());
            for (now, (first, count)) in sizes.into_iter().enumerate() {
                let listed: Vec<usize> = (first..first + count).collect();
                for id in refresh(&mut known, &listed) {
                    last_seen.insert(id, now);
                }
                last_seen.retain(|id, _| listed.contains(id));
                prop_assert_eq!(last_seen.len(), listed.len());
                prop_assert!(last_seen.values().all(|seen| now - seen < ROTATION));
            }
        }
    }
}
