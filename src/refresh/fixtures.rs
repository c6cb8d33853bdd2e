//! A scripted source of snapshots, and what refreshes and publishes it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{self, sleep};

use super::{Refresh, Refresher};
use crate::config::{self, MetaLabels, PortRule, Rules};
use crate::file_sd::{Format, TargetGroup};
use crate::inventory::*;
use crate::output::{Earlier, Output};
use crate::publish::{Publication, Publisher};

const CLUSTER: &str = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod";

/// When a look was made, and at what.
type Look = (time::Instant, Vec<TaskArn>);

/// The next snapshots, and how long each takes. The last one repeats.
#[derive(Clone)]
pub(crate) struct Script {
    steps: Rc<RefCell<VecDeque<Step>>>,
    pub(crate) starts: Rc<RefCell<Vec<time::Instant>>>,
    /// When these tasks were looked at.
    pub(crate) looks: Rc<RefCell<Vec<Look>>>,
    /// What the first snapshot reports in the middle, each this long after the one before.
    pub(crate) reports: Rc<RefCell<Vec<(Duration, Snapshot)>>>,
    /// What the next looks return; nothing has changed after the last one.
    pub(crate) next_look: Rc<RefCell<VecDeque<Result<Snapshot, Failure>>>>,
    under_way: Rc<Cell<usize>>,
    scope: Scope,
}

#[derive(Clone)]
pub(crate) enum Step {
    Learns(Snapshot),
    Takes(Duration, Snapshot),
}

impl Script {
    pub(crate) fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: Rc::new(RefCell::new(steps.into_iter().collect())),
            starts: Rc::default(),
            looks: Rc::default(),
            reports: Rc::default(),
            next_look: Rc::default(),
            under_way: Rc::default(),
            scope: Scope { region: "eu-west-1".into(), account: None },
        }
    }

    pub(crate) fn in_scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    fn next(&self) -> Step {
        let mut steps = self.steps.borrow_mut();
        if steps.len() > 1 { steps.pop_front().unwrap() } else { steps[0].clone() }
    }
}

impl Source for Script {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn covers(&self, _: &str) -> bool {
        true
    }

    async fn snapshot(&mut self, mut report: Option<&mut dyn FnMut(Snapshot)>) -> Snapshot {
        self.starts.borrow_mut().push(time::Instant::now());
        self.under_way.set(self.under_way.get() + 1);
        assert_eq!(self.under_way.get(), 1, "two refreshes at a time");
        let step = self.next();
        let reports = self.reports.take();
        for (after, snapshot) in reports {
            sleep(after).await;
            report.iter_mut().for_each(|report| report(snapshot.clone()));
        }
        if let Step::Takes(duration, _) = &step {
            sleep(*duration).await;
        }
        self.under_way.set(0);
        match step {
            Step::Learns(snapshot) | Step::Takes(_, snapshot) => snapshot,
        }
    }

    async fn look(&mut self, base: &Snapshot, cluster: &ClusterRef, tasks: &[TaskArn]) -> Result<Snapshot, Failure> {
        self.looks.borrow_mut().push((time::Instant::now(), tasks.to_vec()));
        assert_eq!(cluster.as_str(), "prod");
        let next = self.next_look.borrow_mut().pop_front();
        next.unwrap_or_else(|| Ok(base.clone()))
    }

    fn calls(&self) -> Vec<u32> {
        Vec::new()
    }
}

pub(crate) fn failure(operation: Operation) -> Failure {
    failure_with(operation, "AccessDeniedException")
}

fn failure_with(operation: Operation, code: &str) -> Failure {
    Failure {
        operation,
        cluster: Some("prod".into()),
        code: code.into(),
        message: "no".into(),
        request_id: None,
        calls: 1,
        transient: false,
    }
}

/// Returns a snapshot of running awsvpc tasks of one definition, each with one container on 9102.
pub(crate) fn running(tasks: &[&str]) -> Snapshot {
    let definition: TaskDefinitionArn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3".into();
    let task = |id: &str| Task {
        arn: format!("arn:aws:ecs:eu-west-1:123456789012:task/prod/{id}").as_str().into(),
        cluster: Some(CLUSTER.into()),
        definition: definition.clone(),
        group: None,
        last_status: TaskStatus::Running,
        stop_requested: false,
        version: 0,
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
        clusters: vec![ClusterTasks { cluster: "prod".into(), tasks: Ok(listed.collect()), details: None }],
        unlisted: None,
        definitions: HashMap::from([(definition.clone(), Fetched::Known(Arc::new(web)))]),
        hosts: HashMap::new(),
        failures: Failures::default(),
    }
}

/// Returns a snapshot whose cluster could not be listed.
pub(crate) fn unlisted() -> Snapshot {
    let mut snapshot = running(&[]);
    let failure = snapshot.failures.record(failure(Operation::ListTasks));
    snapshot.clusters = vec![ClusterTasks { cluster: "prod".into(), tasks: Err(failure), details: None }];
    snapshot
}

/// Returns a snapshot whose cluster does not exist.
pub(crate) fn missing() -> Snapshot {
    let mut snapshot = running(&[]);
    let failure = snapshot.failures.record(failure_with(Operation::ListTasks, "ClusterNotFoundException"));
    snapshot.clusters = vec![ClusterTasks { cluster: "prod".into(), tasks: Err(failure), details: None }];
    snapshot
}

/// Returns a snapshot of running tasks in which a call failed that only labels depend on.
pub(crate) fn without_labels(tasks: &[&str]) -> Snapshot {
    let mut snapshot = running(tasks);
    snapshot.failures.record(failure(Operation::DescribeServices));
    snapshot
}

/// Returns a snapshot of running tasks of which the last one could not be described.
pub(crate) fn last_unknown(tasks: &[&str]) -> Snapshot {
    let mut snapshot = running(tasks);
    let failure = snapshot.failures.record(failure(Operation::DescribeTasks));
    let listed = snapshot.clusters[0].tasks.as_mut().unwrap();
    listed.last_mut().unwrap().task = Fetched::Unknown(failure);
    snapshot
}

/// Returns rules by which the docker label `PORT` makes a target.
pub(crate) fn rules() -> Rules {
    let label = |name: &str| name.to_owned();
    Rules {
        ports: PortRule::Label { name: label("PORT"), filter: None },
        server_name_label: label("SERVER"),
        job_name_label: label("JOB"),
        path_label: label("PATH"),
        scheme_label: label("SCHEME"),
        meta_labels: MetaLabels::Off,
    }
}

/// A directory for the output.
pub(crate) struct Fixture {
    pub(crate) directory: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("targets.yml")
    }

    pub(crate) fn scope(&self, script: &Script) -> ScopeAndFile {
        self.scope_with(script, None)
    }

    pub(crate) fn scope_with(&self, script: &Script, max_stale: Option<Duration>) -> ScopeAndFile {
        let output = Output::open(&config::Output::File { path: self.path(), format: Format::Yaml });
        let earlier = output.earlier();
        let restored = match &earlier {
            Earlier::Groups(groups) => groups.clone(),
            _ => Arc::default(),
        };
        let publisher = Publisher::new(output, &earlier, [restored.clone()]);
        ScopeAndFile { refresher: Refresher::new(script.clone(), rules(), restored, max_stale), publisher }
    }

    /// Returns the ids of the tasks in the file; `None` without a file.
    pub(crate) fn tasks(&self) -> Option<Vec<String>> {
        let bytes = std::fs::read(self.path()).ok()?;
        let groups = crate::file_sd::parse(&bytes, Format::Yaml).unwrap();
        let id = |group: &TargetGroup| TaskArn::from(group.labels.get("task_arn").unwrap()).id().to_owned();
        Some(groups.iter().map(id).collect())
    }
}

/// One scope, and the file that it is published in.
pub(crate) struct ScopeAndFile {
    pub(crate) refresher: Refresher<Script>,
    pub(crate) publisher: Publisher,
}

impl ScopeAndFile {
    /// Refreshes and publishes.
    pub(crate) async fn refresh(&mut self) -> (Arc<Refresh>, Publication) {
        let refresh = Arc::new(self.refresher.refresh(None).await);
        self.publisher.refreshed(0, refresh.clone());
        (refresh, self.publisher.publish().await)
    }
}
