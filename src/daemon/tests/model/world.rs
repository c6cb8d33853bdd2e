//! What is true: clusters, tasks and their lives, and what is broken at the moment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::time::Instant;

use super::oracle::LONGEST_PAUSE;
use crate::inventory::{Container, ContainerDefinition, NetworkMode, Task, TaskArn, TaskDefinition, TaskStatus};

/// The number of scopes, of clusters in each, and of tasks in each cluster at a time.
pub(super) const SCOPES: usize = 2;
pub(super) const CLUSTERS: usize = 2;
pub(super) const SLOTS: usize = 3;

const REGIONS: [&str; SCOPES] = ["eu-west-1", "us-east-1"];
const NAMES: [&str; CLUSTERS] = ["prod", "batch"];

/// A cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) scope: usize,
    pub(super) cluster: usize,
}

impl Place {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..SCOPES).flat_map(Self::of_scope)
    }

    pub(super) fn of_scope(scope: usize) -> impl Iterator<Item = Self> {
        (0..CLUSTERS).map(move |cluster| Self { scope, cluster })
    }

    pub(super) fn name(self) -> &'static str {
        NAMES[self.cluster]
    }

    pub(super) fn region(self) -> &'static str {
        REGIONS[self.scope]
    }

    pub(super) fn arn(self) -> String {
        format!("arn:aws:ecs:{}:123456789012:cluster/{}", self.region(), self.name())
    }
}

/// What may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The clusters of a scope cannot be listed.
    ListClusters(usize),
    /// The tasks of a cluster cannot be listed.
    ListTasks(Place),
    /// They cannot be described.
    DescribeTasks(Place),
    /// New task definitions of a scope cannot be described.
    Definitions(usize),
    /// Every call of a scope takes long: a refresh takes longer than the interval.
    Slow(usize),
    /// The queue of events fails.
    Queue,
    /// The directory of the file is away.
    Volume,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Pending,
    Running,
    Stopping,
    Gone,
}

/// A task, from its start on and for ever.
pub(super) struct Life {
    pub(super) place: Place,
    pub(super) address: Ipv4Addr,
    pub(super) stage: Stage,
    /// Counts its changes.
    pub(super) version: u64,
    /// When it last changed.
    pub(super) changed: Instant,
}

impl Life {
    pub(super) fn described(&self, arn: &TaskArn) -> Arc<Task> {
        let status = match self.stage {
            Stage::Pending => TaskStatus::Pending,
            Stage::Running => TaskStatus::Running,
            Stage::Stopping | Stage::Gone => TaskStatus::Deactivating,
        };
        Arc::new(Task {
            arn: arn.clone(),
            cluster: Some(self.place.arn().as_str().into()),
            definition: arn.as_str().replace(":task/", ":task-definition/").as_str().into(),
            group: None,
            last_status: status,
            stop_requested: self.stage == Stage::Stopping,
            version: self.version,
            on_managed_instance: false,
            container_instance: None,
            attachment_ipv4: None,
            details: None,
            containers: vec![Container { name: "app".into(), ipv4: Some(self.address), ..Container::default() }],
        })
    }
}

/// Returns the definition of any task. Each task has one of its own.
pub(super) fn definition() -> Arc<TaskDefinition> {
    let docker_labels = [("PORT".into(), "9102".into())].into();
    let app = ContainerDefinition { name: "app".into(), docker_labels, ..ContainerDefinition::default() };
    Arc::new(TaskDefinition {
        family: "web".into(),
        revision: 1,
        network_mode: NetworkMode::Awsvpc,
        containers: vec![app],
    })
}

/// What is true at the moment.
pub(super) struct World {
    /// The scopes whose clusters are given by name; those of the others are listed.
    pub(super) named: [bool; SCOPES],
    /// Whether events tell of changes. Some do not come; without any, the watch looks more often.
    pub(super) events: bool,
    /// The clusters that exist.
    pub(super) exists: BTreeSet<Place>,
    /// Those that are given by name and were there before. Their targets may stay for an hour.
    lost: BTreeSet<Place>,
    pub(super) lives: BTreeMap<TaskArn, Life>,
    /// The tasks that are listed.
    slots: BTreeMap<(Place, usize), TaskArn>,
    pub(super) faults: BTreeSet<Fault>,
    /// The number of calls that a fault slows down at the moment.
    pub(super) slow_calls: usize,
    /// Since when nothing is broken; `None` while something is.
    pub(super) calm: Option<Instant>,
    /// The messages in the queue.
    pub(super) queue: VecDeque<String>,
}

impl World {
    pub(super) fn new(named: [bool; SCOPES], events: bool, running: &[(Place, usize)]) -> Self {
        let mut world = Self {
            named,
            events,
            exists: Place::all().collect(),
            lost: BTreeSet::new(),
            lives: BTreeMap::new(),
            slots: BTreeMap::new(),
            faults: BTreeSet::new(),
            slow_calls: 0,
            // Nothing has ever been broken.
            calm: Some(Instant::now() - LONGEST_PAUSE),
            queue: VecDeque::new(),
        };
        for (place, slot) in running {
            world.advance(*place, *slot);
            world.advance(*place, *slot);
        }
        world
    }

    /// Has the task in this slot take its next step, or a new one start. Returns the task, unless there is no cluster.
    pub(super) fn advance(&mut self, place: Place, slot: usize) -> Option<TaskArn> {
        if !self.exists.contains(&place) {
            return None;
        }
        let Some(arn) = self.slots.get(&(place, slot)).cloned() else { return Some(self.start(place, slot)) };
        let next = match self.lives[&arn].stage {
            Stage::Pending => Stage::Running,
            Stage::Running => Stage::Stopping,
            Stage::Stopping | Stage::Gone => Stage::Gone,
        };
        self.enter(&arn, next);
        Some(arn)
    }

    /// Has the task in this slot vanish, whatever it was doing.
    pub(super) fn vanish(&mut self, place: Place, slot: usize) -> Option<TaskArn> {
        let arn = self.slots.get(&(place, slot)).cloned()?;
        self.enter(&arn, Stage::Gone);
        Some(arn)
    }

    fn start(&mut self, place: Place, slot: usize) -> TaskArn {
        let number = self.lives.len();
        let arn = format!("{}/{number:04}", place.arn().replace(":cluster/", ":task/"));
        let arn = TaskArn::from(arn.as_str());
        // The address of a task may have been another one's.
        let last = u8::try_from(slot + 10 * (2 * place.scope + place.cluster) + 1).unwrap();
        let address = Ipv4Addr::new(10, 0, 0, last);
        let (stage, changed) = (Stage::Pending, Instant::now());
        self.lives.insert(arn.clone(), Life { place, address, stage, version: 1, changed });
        self.slots.insert((place, slot), arn.clone());
        arn
    }

    fn enter(&mut self, arn: &TaskArn, stage: Stage) {
        let life = self.lives.get_mut(arn).unwrap();
        (life.stage, life.version, life.changed) = (stage, life.version + 1, Instant::now());
        if stage == Stage::Gone {
            self.slots.retain(|_, slot| slot != arn);
        }
    }

    /// Removes a cluster with its tasks, or creates it again.
    pub(super) fn toggle_cluster(&mut self, place: Place) {
        if self.exists.remove(&place) {
            (0..SLOTS).for_each(|slot| drop(self.vanish(place, slot)));
            if self.named[place.scope] {
                self.lost.insert(place);
            }
        } else {
            self.exists.insert(place);
            self.lost.remove(&place);
        }
        self.update_calm();
    }

    pub(super) fn toggle_fault(&mut self, fault: Fault) {
        if !self.faults.remove(&fault) {
            self.faults.insert(fault);
        }
        self.update_calm();
    }

    /// Ends everything that is broken.
    pub(super) fn settle(&mut self) {
        self.faults.clear();
        self.exists.append(&mut self.lost);
        self.update_calm();
    }

    pub(super) fn update_calm(&mut self) {
        if !self.faults.is_empty() || !self.lost.is_empty() || self.slow_calls > 0 {
            self.calm = None;
        } else {
            self.calm.get_or_insert_with(Instant::now);
        }
    }

    /// Returns the tasks of a cluster.
    pub(super) fn listed(&self, place: Place) -> Vec<TaskArn> {
        let of_place = self.slots.range((place, 0)..(place, SLOTS));
        let mut listed: Vec<_> = of_place.map(|(_, arn)| arn.clone()).collect();
        listed.sort_unstable();
        listed
    }

    /// Returns whether a task is up.
    pub(super) fn is_up(&self, arn: &TaskArn) -> bool {
        self.lives[arn].stage == Stage::Running
    }

    /// Adds the event of the task's last change to the queue.
    pub(super) fn tell(&mut self, arn: &TaskArn) {
        let Life { stage, version, .. } = self.lives[arn];
        let status = match stage {
            Stage::Pending => "PENDING",
            Stage::Running => "RUNNING",
            Stage::Stopping => "DEACTIVATING",
            Stage::Gone => "STOPPED",
        };
        self.rumour(arn, status, version);
    }

    /// Adds an event to the queue that may be old or untrue.
    pub(super) fn rumour(&mut self, arn: &TaskArn, status: &str, version: u64) {
        if !self.events {
            return;
        }
        let cluster = self.lives[arn].place.arn();
        let detail =
            format!(r#"{{"clusterArn":"{cluster}","taskArn":"{arn}","version":{version},"lastStatus":"{status}"}}"#);
        let event = format!(r#"{{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{detail}}}"#);
        self.queue.push_back(event);
    }
}
