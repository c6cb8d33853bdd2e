//! Tasks that are replaced, one after the other: a new one starts, and when it runs, an old one stops.

use std::time::{Duration, Instant};

use simaws::{Life, SimAws, Status, Task, World};

use crate::targets::{Hosts, hosts, target};
use crate::world::{mixed, task};

/// The time between the moment at which a new task runs and the one at which the old one is to stop.
const OVERLAP: Duration = Duration::from_secs(1);

/// How many tasks are replaced, and how long they take.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) starts: usize,
    /// The time from the first creation to the last one, between which the others are spread.
    pub(crate) over: Duration,
    tenths_on_ec2: usize,
    /// How many seconds tasks on Fargate and on EC2 take to run, at least and at most.
    fargate: [f64; 2],
    ec2: [f64; 2],
}

impl Load {
    /// Returns a load of tasks, half of them on EC2, that take as long as on AWS.
    pub(crate) fn of(starts: usize, over: Duration) -> Self {
        Self { starts, over, tenths_on_ec2: 5, fargate: [24.0, 47.0], ec2: [2.0, 4.0] }
    }

    /// Returns a load that replaces 1 % of the tasks a minute, 30 % of them on EC2, a little longer than five minutes.
    pub(crate) fn a_hundredth_a_minute(tasks: usize) -> Self {
        let over = Duration::from_secs(330);
        let starts = (tasks * 330 / 60).div_ceil(100);
        Self { tenths_on_ec2: 3, ..Self::of(starts, over) }
    }

    /// Returns a load whose tasks take a tenth of the time.
    pub(crate) fn shortened(starts: usize) -> Self {
        Self { fargate: [2.4, 4.7], ec2: [0.2, 0.4], ..Self::of(starts, Duration::from_secs(2)) }
    }
}

/// A replaced task.
pub(crate) struct Replaced {
    pub(crate) on_ec2: bool,
    /// The target of the new task, and when the task runs.
    pub(crate) new: (String, Instant),
    /// The target of the old task, and when the task is to stop.
    pub(crate) old: (String, Instant),
}

/// Starts the lives of a load, with events in this queue. The same tasks are replaced at the same times whatever the
/// configuration.
pub(crate) fn start(aws: &SimAws, load: &Load, queue: &str) -> Option<Vec<Replaced>> {
    let world = aws.world();
    let hosts = hosts(&world);
    let (mut on_ec2, mut on_fargate): (Vec<_>, Vec<_>) =
        shuffled(&world).into_iter().partition(|(_, task)| task.container_instance.is_some());
    let first_serial = on_ec2.len() + on_fargate.len();
    let replaced = (0..load.starts).map(|nth| {
        let is_on_ec2 = nth % 10 < load.tenths_on_ec2;
        let (cluster, old) = if is_on_ec2 { on_ec2.pop() } else { on_fargate.pop() }?;
        Replacement { aws, load, queue, world: &world, hosts: &hosts, cluster, old, nth }.start(first_serial + nth)
    });
    replaced.collect()
}

/// Returns the tasks with their clusters, in a random but fixed order.
fn shuffled(world: &World) -> Vec<(&str, &Task)> {
    let of_cluster =
        world.clusters.iter().flat_map(|cluster| cluster.tasks.iter().map(|task| (cluster.name.as_str(), task)));
    let mut tasks: Vec<_> = of_cluster.enumerate().map(|(nth, task)| (mixed(nth), task)).collect();
    tasks.sort_unstable_by_key(|(place, _)| *place);
    tasks.into_iter().map(|(_, task)| task).collect()
}

/// The nth replacement.
struct Replacement<'a> {
    aws: &'a SimAws,
    load: &'a Load,
    queue: &'a str,
    world: &'a World,
    hosts: &'a Hosts<'a>,
    cluster: &'a str,
    old: &'a Task,
    nth: usize,
}

impl Replacement<'_> {
    fn start(&self, serial: usize) -> Option<Replaced> {
        let Self { aws, load, cluster, old, .. } = self;
        let on = old.container_instance.as_deref();
        let new = task(self.world, cluster, &old.task_definition, old.containers.len(), on, serial);
        let (created, up) = (load.over.mul_f64((self.nth as f64 + self.random(0)) / load.starts as f64), self.up());
        let life = match on {
            Some(_) => Life::ec2(up),
            // In ACTIVATING, in which some tasks are for seconds, they are targets already: that would flatter.
            None => Life::fargate(up).without(Status::Activating),
        };
        let targets = (target(&new, self.hosts)?, target(old, self.hosts)?);
        let new_runs = aws.start_life(cluster, new, self.with_events(life.later(created))) + created + up;
        let stop = created + up + OVERLAP;
        let old_stops = aws.start_life(cluster, (*old).clone(), self.with_events(Life::default().stops(stop))) + stop;
        Some(Replaced { on_ec2: on.is_some(), new: (targets.0, new_runs), old: (targets.1, old_stops) })
    }

    /// Returns how long the new task takes to run.
    fn up(&self) -> Duration {
        let [least, most] = if self.old.container_instance.is_some() { self.load.ec2 } else { self.load.fargate };
        Duration::from_secs_f64(least + (most - least) * self.random(1))
    }

    /// EventBridge takes 0.1 to 0.3 s.
    fn with_events(&self, life: Life) -> Life {
        life.events(self.queue, Duration::from_secs_f64(0.1 + 0.2 * self.random(2)))
    }

    /// Returns a number from 0 to 1, which is the same in every run.
    fn random(&self, purpose: usize) -> f64 {
        (mixed(3 * self.nth + purpose) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
