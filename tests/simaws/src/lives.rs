//! The lives in progress, and what happens in them when. Without I/O and without a clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;

use crate::ecs::event;
use crate::life::{Life, Status, Step};
use crate::sqs::Queues;
use crate::world::{Task, World};

/// The start of a life. In JSON: `cluster`, `task`, `life`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Birth {
    /// The name of the cluster.
    pub(crate) cluster: String,
    /// The task as it is while it runs.
    pub(crate) task: Task,
    pub(crate) life: Life,
}

/// What is going to happen, by time and then in the order in which it was scheduled.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    due: BTreeMap<(Instant, u64), Due>,
    scheduled: u64,
}

#[derive(Debug)]
enum Due {
    /// A task changes. The first step of a life creates it.
    Step { of: Arc<Birth>, step: Step, first: bool },
    /// An event reaches the queues of a life.
    Event { of: Arc<Birth>, body: String },
}

impl Lives {
    /// Schedules a life that starts now.
    pub(crate) fn start(&mut self, birth: Birth, now: Instant) {
        let of = Arc::new(birth);
        for (nth, step) in of.life.steps.iter().enumerate() {
            self.schedule(now + step.after, Due::Step { of: of.clone(), step: *step, first: nth == 0 });
        }
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self, now: Instant, world: &mut World, queues: &mut Queues) {
        while let Some(next) = self.due.first_entry().filter(|next| next.key().0 <= now) {
            let ((at, _), due) = next.remove_entry();
            match due {
                Due::Event { of, body } => of.life.queues.iter().for_each(|queue| queues.put(queue, &body)),
                Due::Step { of, step, first } => {
                    if let Some(body) = change(world, &of, step, first, self.scheduled) {
                        self.schedule(at + of.life.event_delay, Due::Event { of, body });
                    }
                }
            }
        }
    }

    fn schedule(&mut self, at: Instant, due: Due) {
        self.due.insert((at, self.scheduled), due);
        self.scheduled += 1;
    }
}

/// Changes a task, and returns the event of that. A task or a cluster that the test has removed stays away.
fn change(world: &mut World, of: &Birth, step: Step, first: bool, number: u64) -> Option<String> {
    let cluster = world.clusters.iter_mut().find(|cluster| cluster.name == of.cluster)?;
    let known = cluster.tasks.iter().position(|task| task.id == of.task.id);
    if step.status == Status::Gone {
        cluster.tasks.remove(known?);
        return None;
    }
    let last = known.map_or(of.task.version, |known| cluster.tasks[known].version);
    let task = step.applied_to(&of.task, last.unwrap_or(0) + 1);
    match known {
        Some(known) => cluster.tasks[known] = task.clone(),
        None if first => cluster.tasks.push(task.clone()),
        None => return None,
    }
    (!of.life.queues.is_empty()).then(|| event::of_task(world, &of.cluster, &task, number))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::world::Cluster;

    const UP: Duration = Duration::from_secs(10);

    struct Scene {
        lives: Lives,
        world: World,
        queues: Queues,
        start: Instant,
    }

    impl Scene {
        fn of(life: Life) -> Self {
            let (mut lives, start) = (Lives::default(), Instant::now());
            let task = Task::fargate("t", "web:1").container("app", "10.0.0.1");
            lives.start(Birth { cluster: "prod".into(), task, life }, start);
            let world = World::default().with_cluster(Cluster::new("prod"));
            Self { lives, world, queues: Queues::default(), start }
        }

        /// Returns the statuses of the task after this time, and its version.
        fn after(&mut self, time: Duration) -> Option<(String, String, i64)> {
            self.lives.advance(self.start + time, &mut self.world, &mut self.queues);
            let task = self.world.clusters[0].tasks.first()?;
            Some((task.last_status.clone()?, task.desired_status.clone()?, task.version?))
        }
    }

    fn known(last: &str, desired: &str, version: i64) -> Option<(String, String, i64)> {
        Some((last.into(), desired.into(), version))
    }

    #[test]
    fn task_changes_when_its_life_says_so() {
        let mut scene = Scene::of(Life::fargate(UP).stops(UP * 2));
        let mut after = |seconds| scene.after(Duration::from_secs(seconds));
        assert_eq!(after(0), known("PROVISIONING", "RUNNING", 1));
        assert_eq!(after(3), known("PROVISIONING", "RUNNING", 1));
        assert_eq!(after(4), known("PENDING", "RUNNING", 2));
        assert_eq!(after(19), known("RUNNING", "RUNNING", 4));
        assert_eq!(after(20), known("RUNNING", "STOPPED", 5));
        assert_eq!(after(21), known("DEACTIVATING", "STOPPED", 6));
        assert_eq!(after(40), known("STOPPED", "STOPPED", 9));
        assert_eq!(after(3700), None);
    }

    #[test]
    fn events_come_later_than_their_changes() {
        let second = Duration::from_secs(1);
        let mut scene = Scene::of(Life::ec2(UP).events("tasks", second));
        for (after, events) in [(Duration::ZERO, 0), (second, 1), (UP, 1), (UP + second, 2)] {
            scene.after(after);
            assert_eq!(scene.queues.len("tasks"), events, "{after:?}");
        }
    }

    #[test]
    fn life_of_a_running_task_continues_its_versions() {
        let mut scene = Scene::of(Life::default());
        let running = Task { version: Some(7), ..Task::fargate("t", "web:1") };
        scene.world.clusters[0].add_task(running.clone());
        scene
            .lives
            .start(Birth { cluster: "prod".into(), task: running, life: Life::default().stops(UP) }, scene.start);
        assert_eq!(scene.after(UP / 2), known("RUNNING", "RUNNING", 7));
        assert_eq!(scene.after(UP), known("RUNNING", "STOPPED", 8));
    }

    #[test]
    fn removed_task_does_not_come_back() {
        let mut scene = Scene::of(Life::fargate(UP).events("tasks", Duration::ZERO));
        scene.after(Duration::ZERO);
        scene.world.clusters[0].remove_task("t");
        assert_eq!((scene.after(UP), scene.queues.len("tasks")), (None, 1));
    }
}
