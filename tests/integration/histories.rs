//! Tasks that are looked at in rotation make the same file as tasks that are all looked at each time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use simaws::{Cluster, Container, Task, World};

use crate::fixtures::{address, exporter, on_fargate};
use crate::harness::{Scene, until};

/// More than fit into one call, or each would be looked at each time.
const TASKS: usize = 230;

/// Within how many refreshes a container that stopped unseen is noticed.
const ROTATION: usize = 10;

/// What happens to the world between two looks at the files.
#[derive(Clone, Debug)]
enum Event {
    /// Some tasks start, of which the addresses are not known yet.
    Start { tasks: usize },
    /// Those that have been starting run.
    ComeUp,
    /// Some of the oldest tasks are replaced by ones of the next revision.
    Roll { tasks: usize },
    /// A task is told to stop, and listed no more.
    Stop { task: usize },
    /// A container stops, and its task goes on.
    ContainerStops { task: usize },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..40_usize).prop_map(|tasks| Event::Start { tasks }),
        Just(Event::ComeUp),
        (1..40_usize).prop_map(|tasks| Event::Roll { tasks }),
        any::<usize>().prop_map(|task| Event::Stop { task }),
        any::<usize>().prop_map(|task| Event::ContainerStops { task }),
    ]
}

/// A world with its history so far.
struct History {
    world: World,
    started: usize,
    revision: i64,
    /// The targets of containers that stopped, and how many looks ago.
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
        // What stands beside the container that exports goes on when that one stops.
        task.containers.push(Container::new("beside"));
        if status != "RUNNING" {
            task.containers.iter_mut().for_each(|container| container.last_status = Some("PENDING".to_owned()));
        }
        self.tasks().push(task);
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Start { tasks } => (0..*tasks).for_each(|_| self.start("PENDING")),
            Event::ComeUp => {
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

/// So many refreshes of each program, beginning now.
fn after_refreshes(programs: &mut [Scene; 2], count: usize) {
    programs.iter_mut().for_each(|program| program.after_refreshes(count));
}

fn agree(events: &[Event]) {
    let mut history = History::new();
    let [economy, all] = ["-config.describe-all=false", "-config.describe-all"].map(|flag| {
        let scene = Scene::of(history.world.clone()).flag("-config.cluster=prod").flag(flag);
        scene.flag("-config.scrape-interval=20ms")
    });
    let mut programs = [economy, all];
    programs.iter_mut().for_each(Scene::start);
    until("both have found all", || programs.iter().all(|program| program.bytes().is_some()));
    after_refreshes(&mut programs, 1);
    for event in events {
        history.happens(event);
        programs.iter().for_each(|program| program.aws.change(|world| world.clone_from(&history.world)));
        after_refreshes(&mut programs, 1);
        history.stopped.values_mut().for_each(|looks| *looks += 1);
        let [economy, all] = programs.each_ref().map(Scene::targets);
        let missing: Vec<_> = all.difference(&economy).collect();
        assert!(missing.is_empty(), "{event:?}: {missing:?}");
        let late: Vec<_> = economy.difference(&all).collect();
        let excused = |target: &str| history.stopped.get(target).is_some_and(|looks| *looks <= ROTATION);
        assert!(late.iter().all(|target| excused(target)), "{event:?}: {late:?}");
    }
    after_refreshes(&mut programs, ROTATION);
    let [economy, all] = programs.each_ref().map(Scene::bytes);
    assert_eq!(
        economy.map(|bytes| String::from_utf8(bytes).unwrap()),
        all.map(|bytes| String::from_utf8(bytes).unwrap())
    );
    let [economy, all] = programs.each_ref().map(|program| program.aws.calls().get("ecs:DescribeTasks"));
    assert!(economy > 0 && all > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 12, ..ProptestConfig::default() })]

    #[test]
    fn looking_in_rotation_makes_the_same_file(events in proptest::collection::vec(event(), 1..9)) {
        agree(&events);
    }
}
