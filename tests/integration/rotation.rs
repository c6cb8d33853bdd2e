//! Describing tasks in rotation gives the same file as describing all tasks in every refresh.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use simaws::{Cluster, Container, Task, World};

use crate::fixtures::{address, exporter, on_bridge, on_fargate, two_clusters};
use crate::harness::{Scene, wait_until};

/// More than fit into one call; otherwise every refresh would describe them all.
const TASKS: usize = 230;

/// The number of refreshes within which a stopped container of a running task is noticed.
const ROTATION: usize = 10;

/// A change of the world between two comparisons of the files.
#[derive(Clone, Debug)]
enum Event {
    /// Some tasks are pending.
    Start { tasks: usize },
    /// All pending tasks are running.
    Run,
    /// A deployment replaces some of the oldest tasks.
    Roll { tasks: usize },
    /// A task is stopping and no longer listed.
    Stop { task: usize },
    /// A container stops while its task keeps running.
    ContainerStops { task: usize },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..40_usize).prop_map(|tasks| Event::Start { tasks }),
        Just(Event::Run),
        (1..40_usize).prop_map(|tasks| Event::Roll { tasks }),
        any::<usize>().prop_map(|task| Event::Stop { task }),
        any::<usize>().prop_map(|task| Event::ContainerStops { task }),
    ]
}

/// A world and what has happened to it.
struct History {
    world: World,
    started: usize,
    revision: i64,
    /// The targets of the stopped containers, and the comparisons since then.
    stopped: BTreeMap<String, usize>,
}

impl History {
    fn new() -> Self {
        let world =
            World::default().with_cluster(Cluster::new("prod")).with_task_definition(exporter("web", 1, "awsvpc"));
        let mut history = Self { world, started: 0, revision: 1, stopped: BTreeMap::new() };
        (0..TASKS).for_each(|_| history.start("RUNNING"));
        history
    }

    fn tasks(&mut self) -> &mut Vec<Task> {
        &mut self.world.cluster_mut("prod").tasks
    }

    fn start(&mut self, status: &str) {
        let (n, definition) = (self.started, format!("web:{}", self.revision));
        self.started += 1;
        let mut task = on_fargate(&format!("t-{n}"), &definition, &address(n)).last_status(status);
        // A second container keeps the task running when the first one stops.
        task.containers.push(Container::new("sidecar"));
        if status != "RUNNING" {
            task.containers.iter_mut().for_each(|container| container.last_status = Some("PENDING".to_owned()));
        }
        self.tasks().push(task);
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Start { tasks } => (0..*tasks).for_each(|_| self.start("PENDING")),
            Event::Run => {
                for task in self.tasks().iter_mut().filter(|task| task.last_status.as_deref() == Some("PENDING")) {
                    task.last_status = Some("RUNNING".to_owned());
                    task.containers.iter_mut().for_each(|container| container.last_status = Some("RUNNING".to_owned()));
                }
            }
            Event::Roll { tasks } => {
                self.revision += 1;
                self.world.add_task_definition(exporter("web", self.revision, "awsvpc"));
                let count = (*tasks).min(self.tasks().len());
                self.tasks().drain(..count);
                (0..count).for_each(|_| self.start("RUNNING"));
            }
            Event::Stop { task } => {
                if let Some(task) = self.one(*task) {
                    (task.listed, task.desired_status) = (false, Some("STOPPED".to_owned()));
                }
            }
            Event::ContainerStops { task } => {
                let stopped = self.one(*task).map(|task| {
                    task.containers[0].last_status = Some("STOPPED".to_owned());
                    let n: usize = task.id.trim_start_matches("t-").parse().unwrap();
                    format!("{}:9102", address(n))
                });
                self.stopped.extend(stopped.map(|target| (target, 0)));
            }
        }
    }

    fn one(&mut self, choice: usize) -> Option<&mut Task> {
        let count = self.tasks().len();
        self.tasks().get_mut(choice.checked_rem(count)?)
    }
}

/// Waits for this many refreshes of each program.
fn wait_for_refreshes(programs: &mut [Scene; 2], count: usize) {
    programs.iter_mut().for_each(|program| program.wait_for_refreshes(count));
}

fn assert_same_file(events: &[Event]) {
    let mut history = History::new();
    let [rotating, all] = ["-config.describe-all=false", "-config.describe-all"].map(|flag| {
        let scene = Scene::of(history.world.clone()).flag("-config.cluster=prod").flag(flag);
        scene.flag("-config.scrape-interval=20ms")
    });
    let mut programs = [rotating, all];
    programs.iter_mut().for_each(Scene::start);
    wait_until("both files exist", || programs.iter().all(|program| program.bytes().is_some()));
    wait_for_refreshes(&mut programs, 1);
    for event in events {
        history.apply(event);
        programs.iter().for_each(|program| program.aws.change(|world| world.clone_from(&history.world)));
        wait_for_refreshes(&mut programs, 1);
        history.stopped.values_mut().for_each(|comparisons| *comparisons += 1);
        let [rotating, all] = programs.each_ref().map(Scene::targets);
        let missing: Vec<_> = all.difference(&rotating).collect();
        assert!(missing.is_empty(), "{event:?}: {missing:?}");
        let late: Vec<_> = rotating.difference(&all).collect();
        let is_expected =
            |target: &str| history.stopped.get(target).is_some_and(|comparisons| *comparisons <= ROTATION);
        assert!(late.iter().all(|target| is_expected(target)), "{event:?}: {late:?}");
    }
    wait_for_refreshes(&mut programs, ROTATION);
    let [rotating, all] = programs.each_ref().map(Scene::bytes);
    assert_eq!(
        rotating.map(|bytes| String::from_utf8(bytes).unwrap()),
        all.map(|bytes| String::from_utf8(bytes).unwrap())
    );
    let [rotating, all] = programs.each_ref().map(|program| program.aws.calls().get("ecs:DescribeTasks"));
    assert!(rotating > 0 && all > 0);
}

/// AWS may report a task as running before it reports its addresses and bindings.
#[test]
fn addresses_and_bindings_that_come_late_are_found_at_once() {
    let mut world = two_clusters();
    world.cluster_mut("prod").tasks.clear();
    for n in 0..TASKS {
        world.cluster_mut("prod").add_task(on_fargate(&format!("t-{n}"), "web:1", &address(n)));
    }
    let mut scene = Scene::of(world).flag("-config.cluster=prod").flag("-config.scrape-interval=1s");
    let targets = |more: &[&str]| -> BTreeSet<String> {
        let addresses = (0..TASKS).map(|n| format!("{}:9102", address(n)));
        addresses.chain(more.iter().map(|&target| target.to_owned())).collect()
    };
    scene.start();
    wait_until("the first targets", || scene.targets() == targets(&[]));
    let late = [
        Task::fargate("late-1", "web:1").with_container(Container::new("app")),
        Task::ec2("late-2", "api:1", "ci-1").with_container(Container::new("app")),
    ];
    scene.aws.change(|world| late.iter().for_each(|task| world.cluster_mut("prod").tasks.push(task.clone())));
    scene.wait_for_refreshes(1);
    scene.aws.change(|world| {
        let prod = world.cluster_mut("prod");
        *prod.task_mut("late-1") = on_fargate("late-1", "web:1", "10.0.9.1");
        *prod.task_mut("late-2") = on_bridge("late-2", "api:1", "ci-1", 32768);
    });
    scene.wait_for_refreshes(1);
    assert_eq!(scene.targets(), targets(&["10.0.9.1:9102", "10.1.0.1:32768"]));
    scene.stop();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 12, ..ProptestConfig::default() })]

    #[test]
    fn rotation_gives_the_same_file(events in proptest::collection::vec(event(), 1..9)) {
        assert_same_file(&events);
    }
}
