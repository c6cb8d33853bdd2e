//! Simulated tasks, and the targets that follow from them, written down independently of the program.

use std::collections::BTreeMap;
use std::time::Instant;

use simaws::{Container, Task, TaskDefinition};

use crate::groups::Group;
use crate::oracle::Target;
use crate::random::Random;
use crate::setup::Scope;

const APP_PORT: u16 = 9102;
const SIDECAR_PORT: u16 = 9103;

/// The container that only some definitions have.
const SIDECAR: &str = "agent";

/// A task definition.
#[derive(Clone)]
pub(crate) struct Definition {
    family: String,
    revision: i64,
    bridge: bool,
    job: bool,
    path: bool,
    sidecar: bool,
}

impl Definition {
    /// Returns a new revision of one of few families.
    pub(crate) fn random(random: &mut Random, serial: usize) -> Self {
        Self {
            family: (*random.pick(&["basket", "billing", "search"])).to_owned(),
            revision: i64::try_from(serial).unwrap_or_default(),
            bridge: random.once_in_thousand(400),
            job: random.once_in_thousand(500),
            path: random.once_in_thousand(300),
            sidecar: random.once_in_thousand(400),
        }
    }

    fn name(&self) -> String {
        format!("{}:{}", self.family, self.revision)
    }

    /// Returns it as the simulated AWS has it.
    pub(crate) fn record(&self) -> TaskDefinition {
        let (port, sidecar_port) = (APP_PORT.to_string(), SIDECAR_PORT.to_string());
        let mut labels = vec![("PROMETHEUS_EXPORTER_PORT", port.as_str())];
        if self.job {
            labels.push(("PROMETHEUS_EXPORTER_JOB_NAME", &self.family));
        }
        if self.path {
            labels.push(("PROMETHEUS_EXPORTER_PATH", "/stats"));
        }
        let mode = if self.bridge { "bridge" } else { "awsvpc" };
        let mut record = TaskDefinition::new(&self.family, self.revision, mode).container("app", &labels);
        if self.sidecar {
            record = record.container(SIDECAR, &[("PROMETHEUS_EXPORTER_PORT", &sidecar_port)]);
        }
        record.container("log-router", &[])
    }
}

/// A container instance of a cluster.
#[derive(Clone, Copy)]
pub(crate) struct Host {
    pub(crate) scope: Scope,
    pub(crate) cluster: &'static str,
    pub(crate) number: usize,
}

impl Host {
    pub(crate) fn container_instance(&self) -> String {
        format!("{}-host-{}", self.cluster, self.number)
    }

    pub(crate) fn instance(&self) -> String {
        format!("i-{}-{}", self.cluster, self.number)
    }

    pub(crate) fn address(&self) -> String {
        let cluster: usize = self.cluster.bytes().map(usize::from).sum();
        format!("10.{}.{}.{}", 200 + self.scope.0, cluster % 250, 10 + self.number)
    }
}

/// A task that is coming up or runs.
pub(crate) struct RunningTask {
    pub(crate) id: String,
    pub(crate) host: Host,
    definition: Definition,
    serial: usize,
    sidecar_stopped: bool,
}

impl RunningTask {
    pub(crate) fn new(serial: usize, definition: Definition, host: Host) -> Self {
        Self { id: format!("task-{serial:07}"), host, definition, serial, sidecar_stopped: false }
    }

    /// Returns the task as AWS has it while it is coming up.
    pub(crate) fn pending(&self, host: &Host) -> Task {
        let definition = self.definition.name();
        let mut task = if self.definition.bridge {
            Task::ec2(&self.id, &definition, &host.container_instance())
        } else {
            Task::fargate(&self.id, &definition)
        };
        task.version = Some(2);
        task.last_status("PENDING").group(&format!("service:{}", self.definition.family))
    }

    /// Makes it run.
    pub(crate) fn come_up(&self, task: &mut Task, host: &Host) {
        (task.last_status, task.version) = (Some("RUNNING".to_owned()), Some(4));
        let exporters = self.exporters().map(|(name, port)| {
            let container = Container::new(name);
            if self.definition.bridge {
                container.binding(port, self.host_port(port))
            } else {
                container.interface(&self.address(host))
            }
        });
        task.containers = exporters.chain([Container::new("log-router")]).collect();
    }

    /// Returns its targets, which came up between these times.
    pub(crate) fn targets(&self, host: &Host, up: (Instant, Instant)) -> impl Iterator<Item = Target> {
        let (scope, cluster, task) = (host.scope, host.cluster, &self.id);
        let target = move |(name, port): (&str, u16)| {
            let port = if self.definition.bridge { self.host_port(port) } else { port };
            let target = format!("{}:{port}", self.address(host));
            let group = Group { target, labels: self.labels(scope, cluster, name) };
            Target { scope, cluster, task: task.clone(), group, up, down: None, gone_after: 1 }
        };
        self.exporters().map(target)
    }

    pub(crate) fn has_running_sidecar(&self) -> bool {
        self.definition.sidecar && !self.sidecar_stopped
    }

    /// Stops the sidecar, and returns its name.
    pub(crate) fn stop_sidecar(&mut self) -> &'static str {
        self.sidecar_stopped = true;
        SIDECAR
    }

    /// Returns the containers that export metrics, with their ports.
    fn exporters(&self) -> impl Iterator<Item = (&'static str, u16)> {
        [("app", APP_PORT)].into_iter().chain(self.definition.sidecar.then_some((SIDECAR, SIDECAR_PORT)))
    }

    /// Returns the host's address, or the task's own. Addresses are used again soon.
    fn address(&self, host: &Host) -> String {
        let serial = self.serial % 4000;
        if self.definition.bridge { host.address() } else { format!("10.0.{}.{}", serial / 250, serial % 250) }
    }

    fn host_port(&self, port: u16) -> u16 {
        let serial = u16::try_from(self.serial % 10_000).unwrap_or_default();
        32_768 + serial * 2 + (port - APP_PORT)
    }

    fn labels(&self, scope: Scope, cluster: &str, container: &str) -> BTreeMap<String, String> {
        let Definition { family, revision, job, path, .. } = &self.definition;
        let is_app = container == "app";
        let mut labels = vec![
            ("task_arn", scope.arn(&format!("task/{cluster}/{}", self.id))),
            ("task_name", family.clone()),
            ("task_revision", revision.to_string()),
            ("task_group", format!("service:{family}")),
            ("cluster_arn", scope.arn(&format!("cluster/{cluster}"))),
            ("container_name", container.to_owned()),
            ("container_arn", scope.arn(&format!("container/{cluster}/{}/{container}", self.id))),
            ("docker_image", format!("{container}:latest")),
        ];
        if is_app && *job {
            labels.push(("job", family.clone()));
        }
        if is_app && *path {
            labels.push(("__metrics_path__", "/stats".to_owned()));
        }
        labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
