//! The random world: tasks start and stop, containers stop, revisions are registered, clusters come and go.
//!
//! Each change is told to the oracle while nobody can check the file: between a change and its record, the oracle would
//! be wrong.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::json;
use simaws::{Cluster, ContainerInstance, Instance, SimAws, World};

use crate::history::About;
use crate::oracle::Oracle;
use crate::random::Random;
use crate::refreshes::Disturbs;
use crate::setup::{BIG, CLUSTERS, SCOPES, Scope};
use crate::task::{Definition, Host, RunningTask};

/// The usual number of tasks in a cluster, and in the big one.
const SIZE: usize = 9;
const BIG_SIZE: usize = 104;

/// The number of definitions of a scope in use; older revisions are not started any more.
const DEFINITIONS: usize = 6;

/// The number of stopped tasks that are still described.
const STOPPING: usize = 12;

/// The name of the queue that gets the events, and the most messages that wait there while nobody receives them.
pub(crate) const QUEUE: &str = "tasks";
const MOST_MESSAGES: usize = 100;

/// Within how many refreshes a stopped container of a running task is noticed: at once in a small cluster.
const ROTATION: usize = 10;

/// The generator's own picture of the world.
pub(crate) struct Fleet {
    random: Random,
    serial: usize,
    places: Vec<Place>,
}

/// What is in one scope.
struct Place {
    definitions: Vec<Definition>,
    clusters: Vec<Tasks>,
}

/// What is in one cluster.
struct Tasks {
    name: &'static str,
    pending: Vec<RunningTask>,
    running: Vec<RunningTask>,
    stopping: VecDeque<String>,
}

/// The connection to what changes with the world.
pub(crate) struct Told<'a> {
    pub(crate) aws: &'a SimAws,
    pub(crate) oracle: &'a mut Oracle,
}

impl Told<'_> {
    /// Changes a scope of the simulated AWS. Returns the times between which that happened.
    fn change(&self, scope: Scope, change: impl FnOnce(&mut World)) -> (Instant, Instant) {
        let before = Instant::now();
        self.aws.change(|world| change(world.scope_mut(scope.account(), scope.region())));
        (before, Instant::now())
    }

    /// Puts an event into the queue, as EventBridge does most of the time: now and then late, twice, damaged or never.
    fn event(&self, random: &mut Random, scope: Scope, cluster: &str, task: &str, version: i64, statuses: [&str; 2]) {
        if random.once_in_thousand(250) || self.aws.messages(QUEUE) > MOST_MESSAGES {
            return;
        }
        let event = json!({
            "detail-type": "ECS Task State Change",
            "source": "aws.ecs",
            "account": scope.account(),
            "region": scope.region(),
            "detail": {
                "clusterArn": scope.arn(&format!("cluster/{cluster}")),
                "taskArn": scope.arn(&format!("task/{cluster}/{task}")),
                "lastStatus": statuses[0],
                "desiredStatus": statuses[1],
                "version": version,
            },
        });
        let event = event.to_string();
        match random.below(20) {
            0 => self.aws.put_message(QUEUE, &event[..event.len() / 2]),
            1 => [&event, &event].into_iter().for_each(|event| self.aws.put_message(QUEUE, event)),
            _ => self.aws.put_message(QUEUE, &event),
        }
    }
}

impl Fleet {
    pub(crate) fn new(seed: u64) -> Self {
        let places = Scope::all().map(|_| Place { definitions: Vec::new(), clusters: Vec::new() });
        Self { random: Random::new(seed), serial: 0, places: places.collect() }
    }

    /// Returns the scopes of the simulated AWS, without clusters.
    pub(crate) fn empty_world() -> World {
        let mut worlds = Scope::all().map(|scope| World::new(scope.account(), scope.region()));
        let home = worlds.next().unwrap_or_default();
        worlds.fold(home, World::with_other)
    }

    /// Lets the world grow to its usual size.
    pub(crate) fn grow(&mut self, told: &mut Told<'_>) {
        for scope in Scope::all() {
            (0..DEFINITIONS).for_each(|_| self.register(scope, told));
            let names = if scope.0 == 0 { &["c-1", "private", BIG][..] } else { &["c-1", "c-2"] };
            names.iter().for_each(|name| self.create_cluster(scope, name, told));
        }
        (0..(SCOPES + 1) * 2 * SIZE + BIG_SIZE).for_each(|_| self.start_somewhere(told));
    }

    /// Makes one random change.
    pub(crate) fn step(&mut self, told: &mut Told<'_>) {
        let scope = Scope(self.random.below(SCOPES));
        match self.random.below(100) {
            0 => self.register(scope, told),
            1 => self.create_any_cluster(scope, told),
            2 => self.delete_any_cluster(scope, told),
            3..=5 => self.stop_container(scope, told),
            6..=50 => self.start_somewhere(told),
            _ => self.stop_somewhere(told),
        }
    }

    /// Starts a task, or brings up one that is pending.
    pub(crate) fn start_somewhere(&mut self, told: &mut Told<'_>) {
        let scope = Scope(self.random.below(SCOPES));
        let sizes = |tasks: &Tasks| (tasks.pending.len() + tasks.running.len(), usual_size(tasks.name));
        let Some(at) = self.any_cluster(scope, |tasks| sizes(tasks).0 <= sizes(tasks).1 * 5 / 4) else { return };
        let pending = self.places[scope.0].clusters[at].pending.len();
        if pending > 0 && (pending > 3 || self.random.once_in_thousand(500)) {
            return self.bring_up(scope, at, 0, told);
        }
        self.start(scope, at, told);
        if self.random.once_in_thousand(600) {
            self.bring_up(scope, at, 0, told);
        }
    }

    fn start(&mut self, scope: Scope, at: usize, told: &mut Told<'_>) {
        self.serial += 1;
        let Place { definitions, clusters } = &self.places[scope.0];
        let definition = self.random.pick(&definitions[definitions.len().saturating_sub(DEFINITIONS)..]).clone();
        let cluster = clusters[at].name;
        let host = Host { scope, cluster, number: self.random.below(2) };
        let task = RunningTask::new(self.serial, definition, host);
        let record = task.pending(&host);
        told.change(scope, |world| {
            world.cluster_mut(cluster).add_task(record);
        });
        told.event(&mut self.random, scope, cluster, &task.id, 2, ["PENDING", "RUNNING"]);
        told.oracle.history.add(About::task(scope, cluster, &task.id), "pending");
        self.places[scope.0].clusters[at].pending.push(task);
    }

    fn bring_up(&mut self, scope: Scope, at: usize, which: usize, told: &mut Told<'_>) {
        let tasks = &mut self.places[scope.0].clusters[at];
        let task = tasks.pending.remove(which);
        let (cluster, host) = (tasks.name, task.host);
        let up = told.change(scope, |world| {
            task.come_up(world.cluster_mut(cluster).task_mut(&task.id), &host);
        });
        for target in task.targets(&host, up) {
            told.oracle.came_up(target);
        }
        told.event(&mut self.random, scope, cluster, &task.id, 4, ["RUNNING", "RUNNING"]);
        told.oracle.history.add(About::task(scope, cluster, &task.id), "running");
        tasks.running.push(task);
    }

    /// Stops a task, in one of the ways in which AWS shows it.
    fn stop_somewhere(&mut self, told: &mut Told<'_>) {
        let scope = Scope(self.random.below(SCOPES));
        let Some(at) = self.any_cluster(scope, |tasks| tasks.running.len() > usual_size(tasks.name) * 3 / 4) else {
            return;
        };
        let tasks = &mut self.places[scope.0].clusters[at];
        let task = tasks.running.swap_remove(self.random.below(tasks.running.len()));
        let cluster = tasks.name;
        // AWS lists it a moment longer at most; with a hundred tasks and more, the listing is what counts.
        let (vanishes, listed) = (self.random.below(3) == 0, cluster != BIG && self.random.below(2) == 0);
        let between = told.change(scope, |world| {
            let world = world.cluster_mut(cluster);
            if vanishes {
                world.remove_task(&task.id);
                return;
            }
            let record = world.task_mut(&task.id);
            (record.listed, record.version) = (listed, Some(5));
            record.desired_status = Some("STOPPED".to_owned());
        });
        told.oracle.went(between, 1, |target| target.scope == scope && target.task == task.id);
        told.event(&mut self.random, scope, cluster, &task.id, 5, ["DEACTIVATING", "STOPPED"]);
        let how = if vanishes { "gone" } else { "stopping" };
        told.oracle.history.add(About::task(scope, cluster, &task.id), how);
        if !vanishes {
            tasks.stopping.push_back(task.id);
        }
        while tasks.stopping.len() > STOPPING {
            let Some(id) = tasks.stopping.pop_front() else { break };
            told.change(scope, |world| {
                world.cluster_mut(cluster).remove_task(&id);
            });
        }
    }

    /// Stops a container of a task that goes on.
    fn stop_container(&mut self, scope: Scope, told: &mut Told<'_>) {
        let Some(at) = self.any_cluster(scope, |tasks| !tasks.running.is_empty()) else { return };
        let tasks = &mut self.places[scope.0].clusters[at];
        let Some(task) = tasks.running.iter_mut().find(|task| task.has_running_sidecar()) else { return };
        let (cluster, name) = (tasks.name, task.stop_sidecar());
        let between = told.change(scope, |world| {
            let containers = &mut world.cluster_mut(cluster).task_mut(&task.id).containers;
            let container = containers.iter_mut().find(|container| container.name == name);
            container.into_iter().for_each(|container| container.last_status = Some("STOPPED".to_owned()));
        });
        let gone_after = if cluster == BIG { ROTATION } else { 1 };
        let is_it = |group: &crate::groups::Group| group.label("container_name") == name;
        told.oracle.went(between, gone_after, |target| {
            target.scope == scope && target.task == task.id && is_it(&target.group)
        });
        told.oracle.history.add(About::task(scope, cluster, &task.id), format!("container {name} stopped"));
    }

    fn register(&mut self, scope: Scope, told: &mut Told<'_>) {
        self.serial += 1;
        let definition = Definition::random(&mut self.random, self.serial);
        let record = definition.record();
        told.change(scope, |world| {
            world.add_task_definition(record);
        });
        self.places[scope.0].definitions.push(definition);
    }

    fn create_any_cluster(&mut self, scope: Scope, told: &mut Told<'_>) {
        let exists = |name: &str| self.places[scope.0].clusters.iter().any(|tasks| tasks.name == name);
        let free: Vec<&'static str> = CLUSTERS.into_iter().filter(|name| *name != BIG && !exists(name)).collect();
        // Few clusters, so that refreshes are short: AWS's quotas limit the calls.
        if free.len() > 2 {
            let name = *self.random.pick(&free);
            self.create_cluster(scope, name, told);
        }
    }

    fn create_cluster(&mut self, scope: Scope, name: &'static str, told: &mut Told<'_>) {
        told.change(scope, |world| {
            let mut cluster = Cluster::new(name);
            for number in 0..2 {
                let host = Host { scope, cluster: name, number };
                cluster.add_container_instance(ContainerInstance::new(&host.container_instance(), &host.instance()));
                if !world.instances.iter().any(|instance| instance.instance_id == host.instance()) {
                    world.add_instance(Instance::new(&host.instance(), &host.address()));
                }
            }
            world.add_cluster(cluster);
        });
        told.oracle.history.add(About::cluster(scope, name), "cluster created");
        let tasks = Tasks { name, pending: Vec::new(), running: Vec::new(), stopping: VecDeque::new() };
        self.places[scope.0].clusters.push(tasks);
    }

    fn delete_any_cluster(&mut self, scope: Scope, told: &mut Told<'_>) {
        let Some(at) = self.any_cluster(scope, |tasks| tasks.name != BIG) else { return };
        if self.places[scope.0].clusters.len() < 2 {
            return;
        }
        let name = self.places[scope.0].clusters.remove(at).name;
        // A refresh that has just listed the cluster finds it missing, and keeps its last known targets once more.
        let window = told.oracle.refreshes.begin(Disturbs::calls_of(scope, name));
        let between = told.change(scope, |world| world.clusters.retain(|cluster| cluster.name != name));
        told.oracle.refreshes.end(window);
        told.oracle.went(between, 1, |target| target.scope == scope && target.cluster == name);
        told.oracle.history.add(About::cluster(scope, name), "cluster deleted");
    }

    fn any_cluster(&mut self, scope: Scope, is_wanted: impl Fn(&Tasks) -> bool) -> Option<usize> {
        let clusters = self.places[scope.0].clusters.iter().enumerate();
        let wanted: Vec<usize> = clusters.filter(|(_, tasks)| is_wanted(tasks)).map(|(at, _)| at).collect();
        (!wanted.is_empty()).then(|| *self.random.pick(&wanted))
    }

    /// Returns the clusters that exist.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = (Scope, &'static str)> {
        Scope::all().flat_map(|scope| self.places[scope.0].clusters.iter().map(move |tasks| (scope, tasks.name)))
    }

    /// Starts a task in a cluster, and brings it up at once, which is the only change that the file shows.
    pub(crate) fn start_in(&mut self, scope: Scope, cluster: &str, told: &mut Told<'_>) {
        let Some(at) = self.places[scope.0].clusters.iter().position(|tasks| tasks.name == cluster) else { return };
        self.start(scope, at, told);
        let newest = self.places[scope.0].clusters[at].pending.len() - 1;
        self.bring_up(scope, at, newest, told);
    }
}

fn usual_size(cluster: &str) -> usize {
    if cluster == BIG { BIG_SIZE } else { SIZE }
}
