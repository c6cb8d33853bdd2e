//! The loop on a clock of its own, with snapshots that were never fetched.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::time::{self, sleep};

use super::*;
use crate::config::{self, PortRule};
use crate::file_sd::Format;
use crate::inventory::*;

const CLUSTER: &str = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod";

/// What the next snapshots are, and how long each takes. The last one stays.
#[derive(Clone, Default)]
struct Script {
    steps: Rc<RefCell<VecDeque<Step>>>,
    starts: Rc<RefCell<Vec<time::Instant>>>,
    under_way: Rc<Cell<usize>>,
}

#[derive(Clone)]
enum Step {
    Learns(Snapshot),
    Takes(Duration, Snapshot),
}

impl Script {
    fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: Rc::new(RefCell::new(steps.into_iter().collect())), ..Self::default() }
    }

    fn next(&self) -> Step {
        let mut steps = self.steps.borrow_mut();
        if steps.len() > 1 { steps.pop_front().unwrap() } else { steps[0].clone() }
    }
}

impl Source for Script {
    async fn snapshot(&mut self) -> Snapshot {
        self.starts.borrow_mut().push(time::Instant::now());
        self.under_way.set(self.under_way.get() + 1);
        assert_eq!(self.under_way.get(), 1, "two refreshes at a time");
        let step = self.next();
        if let Step::Takes(duration, _) = &step {
            sleep(*duration).await;
        }
        self.under_way.set(0);
        match step {
            Step::Learns(snapshot) | Step::Takes(_, snapshot) => snapshot,
        }
    }
}

fn failure(operation: &'static str) -> Failure {
    Failure {
        operation,
        cluster: Some("prod".into()),
        code: "AccessDeniedException".into(),
        message: "no".into(),
        request_id: None,
        calls: 1,
        transient: false,
    }
}

/// Running awsvpc tasks of one definition, each with one container on 9102.
fn running(tasks: &[&str]) -> Snapshot {
    let definition: TaskDefinitionArn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3".into();
    let task = |id: &str| Task {
        arn: format!("arn:aws:ecs:eu-west-1:123456789012:task/prod/{id}").as_str().into(),
        cluster: Some(CLUSTER.into()),
        definition: definition.clone(),
        group: None,
        last_status: TaskStatus::Running,
        told_to_stop: false,
        on_managed_instance: false,
        container_instance: None,
        attachment_ipv4: None,
        details: None,
        containers: vec![Container { name: "app".into(), ipv4: Some([10, 0, 0, 1].into()), ..Container::default() }],
    };
    let listed = tasks
        .iter()
        .map(|id| task(id))
        .map(|task| ListedTask { arn: task.arn.clone(), task: Fetched::Known(Arc::new(task)) });
    let web = TaskDefinition {
        family: "web".into(),
        revision: 3,
        network_mode: NetworkMode::Awsvpc,
        containers: vec![ContainerDefinition {
            name: "app".into(),
            docker_labels: [("PORT".into(), "9102".into())].into(),
            ..ContainerDefinition::default()
        }],
    };
    Snapshot {
        clusters: Ok(vec![ClusterTasks { cluster: "prod".into(), tasks: Ok(listed.collect()) }]),
        definitions: HashMap::from([(definition.clone(), Fetched::Known(Arc::new(web)))]),
        hosts: HashMap::new(),
        failures: Failures::default(),
    }
}

/// The cluster could not be listed.
fn unlisted() -> Snapshot {
    let mut snapshot = running(&[]);
    let failure = snapshot.failures.record(failure("ListTasks"));
    snapshot.clusters = Ok(vec![ClusterTasks { cluster: "prod".into(), tasks: Err(failure) }]);
    snapshot
}

/// These tasks are listed; the last one could not be described.
fn last_unknown(tasks: &[&str]) -> Snapshot {
    let mut snapshot = running(tasks);
    let failure = snapshot.failures.record(failure("DescribeTasks"));
    let listed = snapshot.clusters.as_mut().unwrap()[0].tasks.as_mut().unwrap();
    listed.last_mut().unwrap().task = Fetched::Unknown(failure);
    snapshot
}

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("targets.yml")
    }

    fn daemon(&self, script: &Script) -> Daemon<Script> {
        let label = |name: &str| name.to_owned();
        let rules = Rules {
            ports: PortRule::Label { name: label("PORT"), filter: None },
            server_name_label: label("SERVER"),
            job_name_label: label("JOB"),
            path_label: label("PATH"),
            scheme_label: label("SCHEME"),
            meta_labels: false,
        };
        let output = config::Output::File { path: self.path(), format: Format::Yaml };
        Daemon::new(script.clone(), rules, Output::open(&output), Arc::new(Telemetry::new(false)))
    }

    /// The ids of the tasks in the file; none where there is no file.
    fn tasks(&self) -> Option<Vec<String>> {
        let bytes = std::fs::read(self.path()).ok()?;
        let groups = crate::file_sd::parse(&bytes, Format::Yaml).unwrap();
        let id = |group: &TargetGroup| TaskArn::from(group.labels.get("task_arn").unwrap()).id().to_owned();
        Some(groups.iter().map(id).collect())
    }
}

fn every(seconds: u64, limit: u64) -> RefreshConfig {
    RefreshConfig { interval: Duration::from_secs(seconds), limit: NonZeroU64::new(limit) }
}

#[tokio::test(start_paused = true)]
async fn the_first_refresh_is_at_once_and_the_others_at_the_interval() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let start = time::Instant::now();
    assert_eq!(fixture.daemon(&script).run(every(60, 3)).await, Ok(()));
    let starts: Vec<u64> = script.starts.borrow().iter().map(|at| (*at - start).as_secs()).collect();
    assert_eq!(starts, [0, 60, 120]);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_outlasts_the_interval_skips_ticks() {
    let slow = Step::Takes(Duration::from_secs(150), running(&["a"]));
    let (fixture, script) = (Fixture::new(), Script::of([slow, Step::Learns(running(&["a"]))]));
    let start = time::Instant::now();
    assert_eq!(fixture.daemon(&script).run(every(60, 3)).await, Ok(()));
    let starts: Vec<u64> = script.starts.borrow().iter().map(|at| (*at - start).as_secs()).collect();
    assert_eq!(starts, [0, 180, 240], "two ticks were missed, and none is made up");
}

#[tokio::test(start_paused = true)]
async fn only_the_last_refresh_of_a_limited_run_decides_how_it_ends() {
    let (failing, fine) = (Step::Learns(unlisted()), Step::Learns(running(&["a"])));
    let run =
        async |steps: [&Step; 2]| Fixture::new().daemon(&Script::of(steps.map(Step::clone))).run(every(1, 2)).await;
    assert_eq!(run([&failing, &fine]).await, Ok(()));
    assert_eq!(run([&fine, &failing]).await, Err(LastRefreshFailed));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_cannot_be_listed_keeps_its_targets() {
    let steps = [Step::Learns(running(&["a", "b"])), Step::Learns(unlisted()), Step::Learns(running(&[]))];
    let (fixture, script) = (Fixture::new(), Script::of(steps));
    let mut daemon = fixture.daemon(&script);
    daemon.refresh_once().await;
    let refresh = daemon.refresh_once().await;
    assert_eq!(refresh.kept.values().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(fixture.tasks().unwrap(), ["a", "b"]);
    daemon.refresh_once().await;
    assert_eq!(std::fs::read(fixture.path()).unwrap(), b"[]\n", "an empty success is written");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_cannot_be_described_keeps_its_targets_while_its_neighbours_move_on() {
    let steps = [Step::Learns(running(&["a", "b"])), Step::Learns(last_unknown(&["c", "b"]))];
    let (fixture, script) = (Fixture::new(), Script::of(steps));
    let mut daemon = fixture.daemon(&script);
    daemon.refresh_once().await;
    let refresh = daemon.refresh_once().await;
    assert!(refresh.failed());
    assert_eq!((refresh.added, refresh.removed), (1, 1));
    assert_eq!(fixture.tasks().unwrap(), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_anything_is_known_writes_nothing() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(unlisted())]));
    let refresh = fixture.daemon(&script).refresh_once().await;
    assert!(matches!(refresh.output, Outcome::NothingKnown));
    assert_eq!(fixture.tasks(), None);
}

#[tokio::test(start_paused = true)]
async fn a_restart_during_an_outage_loses_nothing() {
    let fixture = Fixture::new();
    fixture.daemon(&Script::of([Step::Learns(running(&["a"]))])).refresh_once().await;
    let refresh = fixture.daemon(&Script::of([Step::Learns(unlisted())])).refresh_once().await;
    assert_eq!((refresh.targets.len(), refresh.added, refresh.removed), (1, 0, 0));
    assert_eq!(fixture.tasks().unwrap(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn someone_elses_file_is_replaced_only_by_a_refresh_without_failures() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path(), "- targets: ['theirs:1']\n").unwrap();
    let script = Script::of([Step::Learns(last_unknown(&["a", "b"])), Step::Learns(running(&["a", "b"]))]);
    let mut daemon = fixture.daemon(&script);
    assert!(matches!(daemon.refresh_once().await.output, Outcome::LeftAlone(_)));
    assert_eq!(std::fs::read_to_string(fixture.path()).unwrap(), "- targets: ['theirs:1']\n");
    daemon.refresh_once().await;
    assert_eq!(fixture.tasks().unwrap(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_written_is_tried_again() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path()).unwrap();
    let mut daemon = fixture.daemon(&Script::of([Step::Learns(running(&["a"]))]));
    let refresh = daemon.refresh_once().await;
    assert!(refresh.failed() && matches!(refresh.output, Outcome::Failed(_)));
    std::fs::remove_dir(fixture.path()).unwrap();
    assert!(!daemon.refresh_once().await.failed());
    assert_eq!(fixture.tasks().unwrap(), ["a"]);
    assert_eq!(std::fs::read_dir(fixture.directory.path()).unwrap().count(), 1, "no litter");
}

#[tokio::test]
async fn what_follows_from_the_same_snapshot_is_held_once() {
    let steps = [running(&["a", "b"]), running(&["a", "b"]), unlisted(), running(&["a", "b"]), running(&["a"])];
    let (fixture, script) = (Fixture::new(), Script::of(steps.map(Step::Learns)));
    let mut daemon = fixture.daemon(&script);
    let (first, second) = (daemon.refresh_once().await, daemon.refresh_once().await);
    assert!(Arc::ptr_eq(&first.derived, &second.derived) && Arc::ptr_eq(&first.targets, &second.targets));
    assert_eq!((second.added, second.removed), (0, 0));
    let failed = daemon.refresh_once().await;
    assert_eq!((failed.derived.groups.len(), failed.targets.len(), failed.kept.len()), (0, 2, 1));
    let (again, changed) = (daemon.refresh_once().await, daemon.refresh_once().await);
    assert_eq!((again.derived.groups.len(), again.targets.len(), again.kept.len()), (2, 2, 0));
    assert_eq!((changed.targets.len(), changed.removed), (1, 1));
    assert_eq!(fixture.tasks(), Some(vec!["a".to_owned()]));
}
