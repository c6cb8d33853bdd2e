//! A model of everything that may happen, in any order: tasks come, run, stop and vanish; clusters and scopes come and go;
//! calls, the queue and the disk fail; events are late, untrue or lost; the program is killed and started again.
//!
//! * [`world`]: what is true, and what is broken.
//! * [`source`]: AWS and the queue, as the program sees them.
//! * [`process`]: the loops under test, and what their readers see.
//! * [`oracle`]: what must be published.

mod oracle;
mod process;
mod source;
mod world;

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

use self::oracle::{Oracle, PROMISE, SETTLED};
use self::process::Process;
use self::source::{Queue, SLOWEST_REFRESH, Simulated};
use self::world::{CLUSTERS, Fault, Place, SCOPES, SLOTS, World};
use super::Daemon;
use crate::config::{Interval, RefreshConfig};

const INTERVAL: Duration = Duration::from_secs(60);

/// What happens, and when.
#[derive(Clone, Debug)]
struct History {
    /// The scopes whose clusters are given by name.
    named: [bool; SCOPES],
    /// Whether there are events.
    events: bool,
    /// The tasks that run at the start.
    running: Vec<(Place, usize)>,
    changes: Vec<(Duration, Change)>,
}

#[derive(Clone, Debug)]
enum Change {
    /// A task comes, is up, stops, or goes; and an event may tell of it.
    Advance { place: Place, slot: usize, told: bool },
    /// A task vanishes.
    Vanish { place: Place, slot: usize, told: bool },
    /// An event says something untrue of a task, of this part of its version.
    Rumour { task: usize, status: &'static str, version: u64 },
    /// A cluster goes or comes.
    Cluster(Place),
    /// Something breaks or works again.
    Fault(Fault),
    /// Everything works again.
    Settle,
    /// The program is killed and started again with these scopes.
    Restart([bool; SCOPES]),
}

fn place() -> impl Strategy<Value = Place> {
    (0..SCOPES, 0..CLUSTERS).prop_map(|(scope, cluster)| Place { scope, cluster })
}

/// Returns what happens to tasks.
fn life() -> BoxedStrategy<Change> {
    let (task, statuses) = (|| (place(), 0..SLOTS, any::<bool>()), vec!["RUNNING", "DEACTIVATING", "STOPPED"]);
    prop_oneof![
        8 => task().prop_map(|(place, slot, told)| Change::Advance { place, slot, told }),
        1 => task().prop_map(|(place, slot, told)| Change::Vanish { place, slot, told }),
        1 => (0..20_usize, prop::sample::select(statuses), 0..9_u64)
            .prop_map(|(task, status, version)| Change::Rumour { task, status, version }),
    ]
    .boxed()
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (0..SCOPES).prop_map(Fault::ListClusters),
        place().prop_map(Fault::ListTasks),
        place().prop_map(Fault::DescribeTasks),
        (0..SCOPES).prop_map(Fault::Definitions),
        (0..SCOPES).prop_map(Fault::Slow),
        Just(Fault::Queue),
        Just(Fault::Volume),
    ]
}

/// Returns anything that can happen.
fn anything() -> BoxedStrategy<Change> {
    let scopes = prop::sample::select(vec![[true, true], [true, false], [false, true]]);
    prop_oneof![
        12 => life(),
        2 => place().prop_map(Change::Cluster),
        4 => fault().prop_map(Change::Fault),
        1 => Just(Change::Settle),
        1 => scopes.prop_map(Change::Restart),
    ]
    .boxed()
}

/// Returns the time until the next change.
fn pause() -> impl Strategy<Value = Duration> {
    let hundredths = prop_oneof![2 => 0..50_u64, 4 => 50..1_000_u64, 2 => 1_000..7_000_u64];
    hundredths.prop_map(|hundredths| Duration::from_millis(10 * hundredths))
}

fn history(change: BoxedStrategy<Change>, most: usize) -> impl Strategy<Value = History> {
    let named = prop::array::uniform2(any::<bool>());
    let running = vec((place(), 0..SLOTS), 0..6).prop_map(|mut running| {
        running.sort_unstable();
        running.dedup();
        running
    });
    let changes = vec((pause(), change), 1..most);
    (named, any::<bool>(), running, changes).prop_map(|(named, events, running, changes)| History {
        named,
        events,
        running,
        changes,
    })
}

/// The world, and the process in it.
struct Model {
    world: RefCell<World>,
    /// The process, and what is expected of it.
    run: RefCell<Option<(Process, Oracle)>>,
    /// The first difference.
    violation: RefCell<Option<String>>,
    /// The process was told something.
    heard: Notify,
    /// A message was sent to the queue.
    sent: Notify,
    directory: TempDir,
}

impl Model {
    fn new(history: &History) -> Rc<Self> {
        // Files are synced, which takes most of the time on a disk.
        let in_memory = tempfile::tempdir_in("/dev/shm");
        let directory = in_memory.or_else(|_| tempfile::tempdir()).unwrap();
        fs::create_dir(directory.path().join("volume")).unwrap();
        Rc::new(Self {
            world: RefCell::new(World::new(history.named, history.events, &history.running)),
            run: RefCell::default(),
            violation: RefCell::default(),
            heard: Notify::new(),
            sent: Notify::new(),
            directory,
        })
    }

    /// Starts a process of these scopes, which finds the file of the one before.
    fn start(self: &Rc<Self>, scopes: [bool; SCOPES]) -> Daemon<Simulated> {
        let mut world = self.world.borrow_mut();
        world.slow_calls = 0;
        world.update_calm();
        let (mut process, daemon) = Process::start(self, self.directory.path(), scopes);
        let oracle = Oracle::new(scopes, process.seen(), &world);
        *self.run.borrow_mut() = Some((process, oracle));
        daemon
    }

    fn check(&self) {
        if let Some((process, oracle)) = &mut *self.run.borrow_mut() {
            let difference = oracle.check(&self.world.borrow(), process.seen()).err();
            let mut violation = self.violation.borrow_mut();
            *violation = violation.take().or(difference);
        }
    }

    /// Records what the process is told.
    fn tell(&self, record: impl FnOnce(&mut Oracle, &World)) {
        if let Some((_, oracle)) = &mut *self.run.borrow_mut() {
            record(oracle, &self.world.borrow());
        }
        self.heard.notify_one();
    }

    /// Checks for ever: when the process has published what it was told, and when something is due.
    async fn check_repeatedly(&self) {
        loop {
            let due = self.run.borrow().as_ref().and_then(|(_, oracle)| oracle.next_due());
            tokio::select! {
                () = self.heard.notified() => {}
                () = sleep_until(due.unwrap_or_else(|| Instant::now() + INTERVAL)) => {}
            }
            sleep(SETTLED).await;
            self.check();
        }
    }

    /// Makes changes until the process is to be restarted, and returns with which scopes; `None` after the last change and
    /// an interval in which nothing is broken.
    async fn go_on(&self, changes: &mut std::slice::Iter<'_, (Duration, Change)>) -> Option<[bool; SCOPES]> {
        for (pause, change) in changes {
            sleep(*pause).await;
            self.check();
            if self.violation.borrow().is_some() {
                return None;
            }
            self.make(change);
            if let Change::Restart(scopes) = change {
                return Some(*scopes);
            }
        }
        self.make(&Change::Settle);
        sleep(SLOWEST_REFRESH + PROMISE + SETTLED).await;
        self.check();
        None
    }

    fn make(&self, change: &Change) {
        let mut world = self.world.borrow_mut();
        let changed = match *change {
            Change::Advance { place, slot, told } => world.advance(place, slot).map(|task| (task, told)),
            Change::Vanish { place, slot, told } => world.vanish(place, slot).map(|task| (task, told)),
            Change::Rumour { task, status, version } => {
                let task = world.lives.keys().nth(task).cloned();
                task.iter().for_each(|task| world.rumour(task, status, version));
                None
            }
            Change::Cluster(place) => {
                world.toggle_cluster(place);
                None
            }
            Change::Fault(fault) => {
                world.toggle_fault(fault);
                None
            }
            Change::Settle => {
                world.settle();
                None
            }
            // A program that finds no volume finds no targets.
            Change::Restart(_) => {
                world.faults.remove(&Fault::Volume);
                None
            }
        };
        if let Some((task, told)) = changed {
            if told {
                world.tell(&task);
            }
            if let Some((_, oracle)) = &mut *self.run.borrow_mut() {
                oracle.changed(&task, told, &world);
            }
        }
        self.move_volume(world.faults.contains(&Fault::Volume));
        self.sent.notify_one();
    }

    /// Takes the volume away, or brings it back.
    fn move_volume(&self, go: bool) {
        let [volume, away] = ["volume", "away"].map(|name| self.directory.path().join(name));
        match (go, away.exists()) {
            (true, false) => fs::rename(volume, away).unwrap(),
            (false, true) => fs::rename(away, volume).unwrap(),
            _ => {}
        }
    }
}

async fn live(history: &History) -> Result<(), String> {
    let (model, mut changes) = (Model::new(history), history.changes.iter());
    let when = RefreshConfig { interval: Interval::Every(INTERVAL), watch: true, limit: None };
    let mut scopes = Some([true; SCOPES]);
    while let Some(configured) = scopes {
        let daemon = model.start(configured);
        let queue = Queue::new(&model);
        scopes = tokio::select! {
            biased;
            _ = daemon.run_with(when, vec![queue]) => unreachable!("it has no limit"),
            () = model.check_repeatedly() => unreachable!("it never ends"),
            next = model.go_on(&mut changes) => next,
        };
        // A killed process writes no more. Here, a write that it has begun goes on, on the only thread for that.
        spawn_blocking(|| ()).await.unwrap();
    }
    model.violation.take().map_or(Ok(()), Err)
}

fn run(history: &History) -> Result<(), TestCaseError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).max_blocking_threads(1).build().unwrap();
    runtime.block_on(live(history)).map_err(TestCaseError::fail)
}

proptest! {
    #[test]
    fn what_is_known_is_published_whatever_happens(history in history(anything(), 40)) {
        run(&history)?;
    }

    #[test]
    fn changes_that_are_watched_or_told_are_published_within_seconds(history in history(life(), 30)) {
        run(&history)?;
    }
}
