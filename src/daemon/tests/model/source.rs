//! AWS as the program sees it: each call takes a moment, and the world may change meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Model;
use super::oracle::{Answer, Lack, Said};
use super::world::{CLUSTERS, Fault, Place, Stage, definition};
use crate::events::{EventQueue, Message, QueueFailure, QueueState};
use crate::inventory::*;
use crate::refresh::fixtures::failure;

/// How long a call takes, and how long while the scope is slow.
const CALL: Duration = Duration::from_millis(50);
const SLOW_CALL: Duration = Duration::from_secs(15);

/// The longest refresh: the clusters are listed, and the tasks of each are listed, described and defined.
pub(super) const SLOWEST_REFRESH: Duration = Duration::from_secs(15 * (1 + 3 * CLUSTERS as u64));

/// A scope of the world.
pub(super) struct Simulated {
    model: Rc<Model>,
    number: usize,
    scope: Scope,
    /// The tasks whose definitions are known, which are not asked for twice.
    defined: BTreeSet<TaskArn>,
}

impl Simulated {
    pub(super) fn new(model: &Rc<Model>, number: usize) -> Self {
        let region = Place { scope: number, cluster: 0 }.region().into();
        Self { model: model.clone(), number, scope: Scope { region, account: None }, defined: BTreeSet::new() }
    }

    /// Waits for a response.
    async fn call(&self) {
        let is_slow = self.model.world.borrow().faults.contains(&Fault::Slow(self.number));
        let slow_down = |more: bool| {
            let mut world = self.model.world.borrow_mut();
            world.slow_calls = if more { world.slow_calls + 1 } else { world.slow_calls - 1 };
            world.update_calm();
        };
        if is_slow {
            slow_down(true);
            sleep(SLOW_CALL).await;
            slow_down(false);
        } else {
            sleep(CALL).await;
        }
    }

    fn fails(&self, fault: Fault) -> bool {
        self.model.world.borrow().faults.contains(&fault)
    }

    /// Returns the clusters to scan, as they are asked for.
    fn clusters(&self) -> Result<Vec<(Place, ClusterRef)>, Failure> {
        let world = self.model.world.borrow();
        let places = Place::of_scope(self.number);
        if world.named[self.number] {
            return Ok(places.map(|place| (place, place.name().into())).collect());
        }
        if world.faults.contains(&Fault::ListClusters(self.number)) {
            return Err(Failure { cluster: None, ..failure(Operation::ListClusters) });
        }
        let existing = places.filter(|place| world.exists.contains(place));
        Ok(existing.map(|place| (place, place.arn().as_str().into())).collect())
    }

    fn list(&self, place: Place, cluster: &ClusterRef) -> Result<Vec<TaskArn>, Failure> {
        let failed = |code: &str| {
            let failure = failure(Operation::ListTasks);
            Err(Failure { cluster: Some(cluster.clone()), code: code.into(), ..failure })
        };
        if self.fails(Fault::ListTasks(place)) {
            return failed("ServerException");
        }
        let world = self.model.world.borrow();
        if world.exists.contains(&place) { Ok(world.listed(place)) } else { failed("ClusterNotFoundException") }
    }

    fn describe(&self, place: Place, cluster: &ClusterRef, tasks: &[TaskArn]) -> Result<Vec<ListedTask>, Failure> {
        if !tasks.is_empty() && self.fails(Fault::DescribeTasks(place)) {
            return Err(Failure { cluster: Some(cluster.clone()), ..failure(Operation::DescribeTasks) });
        }
        let world = self.model.world.borrow();
        let describe = |arn: &TaskArn| {
            let life = world.lives.get(arn).filter(|life| life.stage != Stage::Gone);
            let task = life.map_or(Fetched::Gone(()), |life| Fetched::Known(life.described(arn)));
            ListedTask { arn: arn.clone(), task }
        };
        Ok(tasks.iter().map(describe).collect())
    }

    /// Describes the definition of each task, and returns what is said of the task.
    async fn define(&mut self, tasks: &[ListedTask], snapshot: &mut Snapshot, answer: &mut Answer) {
        self.call().await;
        for listed in tasks {
            let said = match &listed.task {
                Fetched::Known(task) => {
                    let is_defined = self.defined.contains(&task.arn) || !self.fails(Fault::Definitions(self.number));
                    let defined = if is_defined {
                        self.defined.insert(task.arn.clone());
                        Fetched::Known(definition())
                    } else {
                        let failure = Failure { cluster: None, ..failure(Operation::DescribeTaskDefinition) };
                        answer.lacks.insert(Lack::Other);
                        Fetched::Unknown(snapshot.failures.record(failure))
                    };
                    snapshot.definitions.insert(task.definition.clone(), defined);
                    match task.last_status {
                        TaskStatus::Deactivating => Said::Down,
                        _ if !is_defined => Said::Nothing,
                        TaskStatus::Running => Said::Up,
                        _ => Said::Pending,
                    }
                }
                Fetched::Gone(()) => Said::Down,
                Fetched::Unknown(_) => Said::Nothing,
            };
            answer.tasks.insert(listed.arn.clone(), said);
        }
    }
}

fn nothing() -> Snapshot {
    Snapshot {
        clusters: Vec::new(),
        unlisted: None,
        definitions: HashMap::new(),
        hosts: HashMap::new(),
        failures: Failures::default(),
    }
}

/// Returns what is known of a snapshot in progress, and nothing of what is not.
fn in_part(snapshot: &Snapshot) -> Snapshot {
    let mut part = Snapshot { failures: Failures::default(), unlisted: None, ..snapshot.clone() };
    part.clusters.retain(|cluster| cluster.tasks.is_ok());
    part.definitions.retain(|_, definition| matches!(definition, Fetched::Known(_)));
    let is_defined = |listed: &ListedTask| matches!(&listed.task, Fetched::Known(task) if part.definitions.contains_key(&task.definition));
    part.clusters.iter_mut().flat_map(|cluster| &mut cluster.tasks).for_each(|tasks| tasks.retain(is_defined));
    part
}

impl Source for Simulated {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn covers(&self, cluster_arn: &str) -> bool {
        self.scope.contains(cluster_arn)
    }

    async fn snapshot(&mut self, mut report: Option<&mut dyn FnMut(Snapshot)>) -> Snapshot {
        let (mut snapshot, mut answer) = (nothing(), Answer::default());
        self.call().await;
        let clusters = self.clusters().unwrap_or_else(|failure| {
            snapshot.unlisted = Some(snapshot.failures.record(failure));
            answer.lacks.insert(Lack::Other);
            Vec::new()
        });
        if snapshot.unlisted.is_none() {
            // A cluster that is not among the existing ones has no tasks.
            answer.whole = Place::of_scope(self.number).collect();
        }
        for (place, cluster) in clusters {
            self.call().await;
            let listed = match self.list(place, &cluster) {
                Ok(listed) => listed,
                Err(failure) => {
                    let missing = failure.cluster_is_missing() && !cluster.is_arn();
                    answer.lacks.insert(if missing { Lack::Cluster(place) } else { Lack::Other });
                    answer.whole.remove(&place);
                    let tasks = Err(snapshot.failures.record(failure));
                    snapshot.clusters.push(ClusterTasks { cluster, tasks, details: None });
                    continue;
                }
            };
            self.call().await;
            let described = self.describe(place, &cluster, &listed).unwrap_or_else(|failure| {
                answer.lacks.insert(Lack::Other);
                let id = snapshot.failures.record(failure);
                listed.into_iter().map(|arn| ListedTask { arn, task: Fetched::Unknown(id) }).collect()
            });
            self.define(&described, &mut snapshot, &mut answer).await;
            answer.read.insert(place);
            snapshot.clusters.push(ClusterTasks { cluster, tasks: Ok(described), details: None });
            if let Some(report) = &mut report {
                self.model.tell(|oracle, _| oracle.told_in_part(self.number, &answer));
                report(in_part(&snapshot));
            }
        }
        self.model.tell(|oracle, world| oracle.told(self.number, answer, world));
        snapshot
    }

    async fn look(&mut self, base: &Snapshot, cluster: &ClusterRef, tasks: &[TaskArn]) -> Result<Snapshot, Failure> {
        self.model.tell(|oracle, _| oracle.looks[self.number] += 1);
        let mut places = Place::of_scope(self.number);
        let place = places.find(|place| cluster.matches(&place.arn())).expect("a cluster of the scope");
        self.call().await;
        let described = self.describe(place, cluster, tasks)?;
        let (mut snapshot, mut answer) = (base.clone(), Answer::default());
        let scanned = snapshot.clusters.iter_mut().find(|scanned| scanned.cluster == *cluster);
        let Some(scanned) = scanned.filter(|scanned| scanned.tasks.is_ok()) else { return Ok(snapshot) };
        described.iter().for_each(|listed| scanned.describe(&listed.arn, listed.task.clone()));
        self.define(&described, &mut snapshot, &mut answer).await;
        self.model.tell(|oracle, world| oracle.told_of_some(self.number, answer, world));
        Ok(snapshot)
    }

    fn calls(&self) -> Vec<u32> {
        Vec::new()
    }
}

/// The queue of events. What cannot be deleted comes again.
pub(super) struct Queue {
    model: Rc<Model>,
    scope: Scope,
    received: Vec<String>,
}

impl Queue {
    pub(super) fn new(model: &Rc<Model>) -> Self {
        Self { model: model.clone(), scope: Scope { region: "eu-west-1".into(), account: None }, received: Vec::new() }
    }

    fn check(&self) -> Result<(), QueueFailure> {
        if !self.model.world.borrow().faults.contains(&Fault::Queue) {
            return Ok(());
        }
        Err(QueueFailure { state: QueueState::Unreachable, code: "Timeout".into(), message: "no response".into() })
    }
}

impl EventQueue for Queue {
    fn url(&self) -> &str {
        "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks"
    }

    fn scope(&self) -> &Scope {
        &self.scope
    }

    async fn receive(&mut self) -> Result<Vec<Message>, QueueFailure> {
        self.check()?;
        if self.model.world.borrow().queue.is_empty() {
            let _ = timeout(Duration::from_secs(20), self.model.sent.notified()).await;
        }
        self.check()?;
        self.received = self.model.world.borrow_mut().queue.drain(..).collect();
        let message = |body: &String| Message { body: body.clone(), receipt: "receipt".into() };
        Ok(self.received.iter().map(message).collect())
    }

    async fn delete(&mut self, _: Vec<String>) -> Result<(), QueueFailure> {
        sleep(CALL).await;
        let deleted = self.check();
        if deleted.is_err() {
            self.model.world.borrow_mut().queue.extend(self.received.drain(..));
        }
        deleted
    }
}
