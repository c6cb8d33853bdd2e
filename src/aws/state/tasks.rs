//! The cached tasks of a cluster, which need not be described at every refresh.
//!
//! A RUNNING task keeps its addresses and bindings for life (amazon-ecs-agent 1.70 and later), and the
//! listing tells which tasks are running. Only a container that stops inside a task that goes on changes
//! unnoticed: therefore each task is described again in rotation.
//!
//! A running task may get its addresses and bindings a little later, and many tasks never get any: therefore a task
//! without them is described again in the next refreshes too, but only in a few.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::aws::api::ecs::BATCH;
use crate::inventory::{Fetched, ListedTask, Task, TaskArn};

/// Within how many refreshes each task is described again.
const ROTATION: usize = 10;

/// In how many more refreshes a running task without addresses and bindings is described.
const MORE_REFRESHES: usize = 3;

/// The settled tasks of one cluster.
#[derive(Debug, Default)]
pub(in crate::aws) struct TaskCache {
    /// The number of refreshes so far.
    refreshes: usize,
    tasks: HashMap<TaskArn, Entry>,
    /// Those that the last refresh found starting or stopping.
    unsettled: HashSet<TaskArn>,
    /// Whether every task must be described in the next refresh.
    invalidated: bool,
}

#[derive(Debug)]
struct Entry {
    task: Arc<Task>,
    /// The refresh that described it.
    refresh: usize,
    /// In how many more refreshes it is described.
    more: usize,
}

/// Why a task is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// It is not known yet.
    New,
    /// It was starting or stopping.
    Unsettled,
    /// It was running without addresses.
    NoAddress,
    /// The cache is invalidated.
    Invalidated,
    /// It is its turn in the rotation.
    Due,
}

impl TaskCache {
    /// Has every task described in the next refresh. (The entries stay: [`share`](Self::share) needs them.)
    pub(in crate::aws) fn invalidate(&mut self) {
        self.invalidated = true;
    }

    /// Returns the cached task unless it must be described again or the cache is invalidated.
    pub(super) fn get(&self, arn: &str) -> Option<&Arc<Task>> {
        self.tasks.get(arn).filter(|entry| entry.more == 0 && !self.invalidated).map(|entry| &entry.task)
    }

    /// Returns why a task is described that [`get`](Self::get) does not return.
    pub(super) fn reason(&self, arn: &TaskArn) -> Reason {
        match arn {
            _ if self.invalidated && self.tasks.contains_key(arn) => Reason::Invalidated,
            _ if self.tasks.contains_key(arn) => Reason::NoAddress,
            _ if self.unsettled.contains(arn) => Reason::Unsettled,
            _ => Reason::New,
        }
    }

    /// Replaces a task that has not changed with the cached copy.
    pub(in crate::aws) fn share(&self, task: &mut Arc<Task>) {
        if let Some(entry) = self.tasks.get(&task.arn)
            && entry.task == *task
        {
            *task = entry.task.clone();
        }
    }

    /// Returns the number of cached tasks.
    pub(in crate::aws) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Removes from the cached tasks those to describe again, least recently described first: a tenth of them,
    /// all that are due, and as many more as fit into the same calls beside `others` tasks.
    pub(super) fn take_due(&self, cached: &mut Vec<Arc<Task>>, others: usize) -> Vec<TaskArn> {
        let described = |task: &Arc<Task>| self.tasks.get(&task.arn).map_or(0, |entry| entry.refresh);
        // The ARN makes the order deterministic.
        cached.sort_by(|one, other| (described(one), &one.arn).cmp(&(described(other), &other.arn)));
        let due = cached.partition_point(|task| self.refreshes + 1 >= described(task) + ROTATION);
        let wanted = due.max(cached.len().div_ceil(ROTATION));
        let calls = (others + wanted).div_ceil(BATCH);
        let fit = (calls * BATCH - others).min(cached.len());
        cached.drain(..fit).map(|task| task.arn.clone()).collect()
    }

    /// Caches the settled tasks of a refresh: those that it described, and those that it took from the cache.
    pub(super) fn learn(&mut self, described: &[ListedTask], reused: &[Arc<Task>]) {
        self.refreshes += 1;
        let refresh = self.refreshes;
        let mut before = std::mem::take(&mut self.tasks);
        let known = described.iter().filter_map(|listed| match &listed.task {
            Fetched::Known(task) => Some(task),
            _ => None,
        });
        let (settled, unsettled): (Vec<_>, Vec<_>) = known.partition(|task| task.is_settled());
        self.unsettled = unsettled.into_iter().map(|task| task.arn.clone()).collect();
        let entry = |task: &Arc<Task>| {
            let last = before.get(&task.arn).map(|entry| entry.more);
            let more = last.map_or(MORE_REFRESHES, |more| more.saturating_sub(1));
            Entry { task: task.clone(), refresh, more: if task.is_reachable() { 0 } else { more } }
        };
        let settled: Vec<_> = settled.into_iter().map(|task| (task.arn.clone(), entry(task))).collect();
        let reused = reused.iter().filter_map(|task| before.remove_entry(&task.arn));
        self.tasks = reused.chain(settled).collect();
        self.invalidated = false;
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
            stop_requested: false,
            version: 0,
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

    /// Runs a refresh with these tasks listed, and returns the ids of those that were described.
    fn refresh(cache: &mut TaskCache, listed: &[usize]) -> Vec<usize> {
        let (mut old, new): (Vec<_>, Vec<_>) =
            listed.iter().map(|id| task(*id)).partition(|task| cache.get(task.arn.as_str()).is_some());
        let due = cache.take_due(&mut old, new.len());
        let id = |arn: &TaskArn| arn.id().parse().unwrap();
        let ids: Vec<usize> = new.iter().map(|task| id(&task.arn)).chain(due.iter().map(id)).collect();
        let responses: Vec<_> = ids.iter().map(|id| described(&task(*id))).collect();
        cache.learn(&responses, &old);
        ids
    }

    #[test]
    fn describes_all_of_a_small_cluster_each_time() {
        let mut cache = TaskCache::default();
        for _ in 0..3 {
            assert_eq!(refresh(&mut cache, &(0..100).collect::<Vec<_>>()).len(), 100);
        }
        assert!(refresh(&mut cache, &[]).is_empty());
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn describes_a_tenth_of_a_large_cluster_in_full_calls() {
        let mut cache = TaskCache::default();
        let listed: Vec<_> = (0..3334).collect();
        assert_eq!(refresh(&mut cache, &listed).len(), 3334);
        for _ in 0..20 {
            assert_eq!(refresh(&mut cache, &listed).len(), 400);
        }
        // New tasks take free places in these calls.
        let listed: Vec<_> = (33..3367).collect();
        assert_eq!(refresh(&mut cache, &listed).len(), 400);
    }

    #[test]
    fn describes_unsettled_tasks_again() {
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
        assert!(!settled(|task| task.stop_requested = true));
        let mut cache = TaskCache::default();
        let gone = ListedTask { arn: task(2).arn.clone(), task: Fetched::Gone(()) };
        cache.learn(&[described(&task(1)), gone], &[]);
        assert_eq!((cache.len(), cache.get(task(2).arn.as_str())), (1, None));
    }

    #[test]
    fn describes_invalidated_tasks_again_and_shares_them() {
        let (mut cache, first) = (TaskCache::default(), task(1));
        cache.learn(&[described(&first)], &[]);
        cache.invalidate();
        assert_eq!(cache.get(first.arn.as_str()), None);
        let (mut same, mut changed) = (task(1), Task::clone(&task(1)));
        changed.stop_requested = true;
        let mut changed = Arc::new(changed);
        cache.share(&mut same);
        cache.share(&mut changed);
        assert!(Arc::ptr_eq(&same, &first) && changed.stop_requested);
        cache.learn(&[described(&same)], &[]);
        assert_eq!(cache.get(first.arn.as_str()), Some(&first));
    }

    #[test]
    fn knows_why_a_task_is_described() {
        let (settled, mut starting) = (task(1), Task::clone(&task(2)));
        starting.last_status = TaskStatus::Pending;
        let starting = Arc::new(starting);
        let mut cache = TaskCache::default();
        cache.learn(&[described(&settled), described(&starting)], &[]);
        cache.invalidate();
        let reasons = [&settled.arn, &starting.arn, &task(3).arn].map(|arn| cache.reason(arn));
        assert_eq!(reasons, [Reason::Invalidated, Reason::Unsettled, Reason::New]);
    }

    #[test]
    fn describes_tasks_without_addresses_a_few_more_times() {
        let with = |container: Container| {
            let mut bare = Task::clone(&task(1));
            bare.containers = vec![Container { last_status: TaskStatus::Running, ..container }];
            Arc::new(bare)
        };
        let (bare, ready) =
            (with(Container::default()), with(Container { ipv4: Some([10, 0, 0, 1].into()), ..Container::default() }));
        let mut cache = TaskCache::default();
        for refresh in 0..MORE_REFRESHES {
            cache.learn(&[described(&bare)], &[]);
            assert_eq!(cache.get(bare.arn.as_str()), None, "{refresh}");
        }
        cache.learn(&[described(&bare)], &[]);
        assert_eq!(cache.get(bare.arn.as_str()), Some(&bare), "not for ever: it may have none");
        cache.learn(&[described(&bare)], &[]);
        assert_eq!(cache.get(bare.arn.as_str()), Some(&bare), "nor again, when it is described in rotation");
        let mut cache = TaskCache::default();
        cache.learn(&[described(&bare)], &[]);
        cache.learn(&[described(&ready)], &[]);
        assert_eq!(cache.get(ready.arn.as_str()), Some(&ready));
    }

    #[test]
    fn tasks_without_addresses_or_bindings_are_not_reachable() {
        use crate::inventory::Binding;
        let binding = Binding { tcp: true, family: None, container_ports: 80..=80, first_host_port: 32_768 };
        let reachable = |containers: Vec<Container>, attachment_ipv4| {
            Task { containers, attachment_ipv4, ..Task::clone(&task(1)) }.is_reachable()
        };
        let published = || Container { bindings: vec![binding.clone()], ..Container::default() };
        let ipv6 = Container { ipv6: Some(std::net::Ipv6Addr::LOCALHOST), ..Container::default() };
        assert!(reachable(vec![published()], None) && reachable(vec![ipv6], None));
        assert!(reachable(vec![Container::default()], Some([10, 0, 0, 1].into())));
        assert!(reachable(vec![published(), in_state(TaskStatus::Stopped)], None));
        assert!(!reachable(vec![published(), in_state(TaskStatus::Running)], None));
        assert!(!reachable(vec![Container::default()], None));
    }

    fn in_state(last_status: TaskStatus) -> Container {
        Container { last_status, ..Container::default() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Holds however a cluster grows and shrinks.
        #[test]
        fn describes_each_task_within_ten_refreshes(
            sizes in proptest::collection::vec((0..700_usize, 0..400_usize), 1..40)
        ) {
            let (mut cache, mut last_seen) = (TaskCache::default(), HashMap::new());
            for (now, (first, count)) in sizes.into_iter().enumerate() {
                let listed: Vec<usize> = (first..first + count).collect();
                for id in refresh(&mut cache, &listed) {
                    last_seen.insert(id, now);
                }
                last_seen.retain(|id, _| listed.contains(id));
                prop_assert_eq!(last_seen.len(), listed.len());
                prop_assert!(last_seen.values().all(|seen| now - seen < ROTATION));
            }
        }
    }
}
