//! From a snapshot to targets: which container, which address, which labels; else why not.
//!
//! Pure: no I/O, no clock, no logs. The network mode of the task definition decides where a container is
//! reached, and not whether it has bindings: a container that does not publish its port has none either.

mod host;
mod meta;
mod port;
mod skip;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

pub use skip::{SkipReason, Skipped};

use self::host::{Host, server_name};
use self::port::HostPort;
use crate::config::{DYNAMIC_PORT_LABEL, PortRule, Rules};
use crate::file_sd::{Labels, TargetGroup};
use crate::inventory::{
    ClusterRef, Container, ContainerDefinition, ContainerInstanceArn, FailureId, Fetched, Instance, ListedTask,
    NetworkMode, NoHost, Shared, Snapshot, Strings, Task, TaskArn, TaskDefinition, TaskStatus,
};

/// What follows from one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Derived {
    /// The targets that are known, sorted, none twice.
    pub groups: Vec<TargetGroup>,
    /// The containers that are no targets, sorted.
    pub skipped: Vec<Skipped>,
    /// The containers whose targets could not be learned this time, sorted.
    pub unknown: Vec<Unknown>,
}

/// A container, or all those of a task, whose targets could not be learned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    /// The task.
    pub task: TaskArn,
    /// The container's name; none for all of the task's.
    pub container: Option<Shared>,
    /// Why.
    pub failure: FailureId,
}

impl Derived {
    /// How many containers were skipped for each reason.
    pub fn skipped_by_reason(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for skipped in &self.skipped {
            *counts.entry(skipped.reason.code()).or_default() += 1;
        }
        counts
    }
}

/// Derives the targets of a snapshot.
pub fn derive(snapshot: &Snapshot, rules: &Rules) -> Derived {
    let mut derivation = Derivation { snapshot, rules, derived: Derived::default(), strings: Strings::default() };
    for cluster in snapshot.clusters.iter().flatten() {
        for listed in cluster.tasks.iter().flatten() {
            derivation.take(&cluster.cluster, listed);
        }
    }
    let mut derived = derivation.derived;
    derived.groups.sort_unstable();
    derived.groups.dedup();
    derived.skipped.sort_unstable();
    derived.skipped.dedup();
    derived.unknown.sort_unstable();
    derived.unknown.dedup();
    derived
}

/// Whether a target of this task would be at its EC2 instance's address, so that EC2 has to be asked.
pub fn needs_instance(task: &Task, definition: &TaskDefinition, rules: &Rules) -> bool {
    task.containers.iter().any(|container| {
        plan(task, container, definition, rules)
            .is_ok_and(|plan| matches!(plan.at, At::Instance) && plan.endpoints.iter().any(|endpoint| endpoint.is_ok()))
    })
}

/// A derivation under way.
struct Derivation<'a> {
    snapshot: &'a Snapshot,
    rules: &'a Rules,
    derived: Derived,
    /// Label names, and values that many targets have.
    strings: Strings,
}

impl Derivation<'_> {
    /// Takes a task that was listed in this cluster.
    fn take(&mut self, asked: &ClusterRef, listed: &ListedTask) {
        let Self { snapshot, rules, derived, strings } = self;
        let arn = &listed.arn;
        let skip = |container: Option<&Container>, reason| Skipped {
            task: arn.clone(),
            container: container.map(|container| container.name.clone()),
            reason,
        };
        let unknown = |container, failure| Unknown { task: arn.clone(), container, failure };
        let task = match &listed.task {
            Fetched::Known(task) => task,
            Fetched::Gone(()) => return derived.skipped.push(skip(None, SkipReason::TaskGone)),
            Fetched::Unknown(failure) => return derived.unknown.push(unknown(None, *failure)),
        };
        let definition = match snapshot.definitions.get(&task.definition) {
            _ if task.definition.is_daemon() => Err(SkipReason::DaemonTask),
            Some(Fetched::Known(definition)) => Ok(definition),
            Some(Fetched::Unknown(failure)) if stopping(task).is_none() => {
                return derived.unknown.push(unknown(None, *failure));
            }
            Some(Fetched::Unknown(_) | Fetched::Gone(())) | None => Err(SkipReason::TaskDefinitionGone),
        };
        for container in &task.containers {
            let plan = match &definition {
                Ok(definition) => plan(task, container, definition, rules),
                Err(reason) => Err(stopping(task).unwrap_or_else(|| reason.clone())),
            };
            let plan = match plan {
                Ok(plan) => plan,
                Err(reason) => {
                    derived.skipped.push(skip(Some(container), reason));
                    continue;
                }
            };
            for endpoint in &plan.endpoints {
                let labels = LabelSource { asked, task, container, plan: &plan, rules };
                match target_group(endpoint, &labels, &snapshot.hosts, strings) {
                    Ok(group) => derived.groups.push(group),
                    Err(Miss::Skip(reason)) => derived.skipped.push(skip(Some(container), reason)),
                    Err(Miss::Unknown(failure)) => {
                        derived.unknown.push(unknown(Some(container.name.clone()), failure));
                    }
                }
            }
        }
    }
}

fn target_group(
    endpoint: &Result<Endpoint<'_>, SkipReason>,
    source: &LabelSource<'_>,
    hosts: &HashMap<ContainerInstanceArn, Fetched<Instance, NoHost>>,
    strings: &mut Strings,
) -> Result<TargetGroup, Miss> {
    let endpoint = endpoint.as_ref().map_err(|reason| Miss::Skip(reason.clone()))?;
    let (host, instance) = source.plan.at.host(source.task, hosts)?;
    let port = endpoint.port.at(host.family());
    let port = port.ok_or(Miss::Skip(SkipReason::PortNotPublished(endpoint.container_port)))?;
    let labels = source.labels(endpoint, instance, strings);
    Ok(TargetGroup { targets: vec![format!("{host}:{port}").into()], labels })
}

/// Why an endpoint gives no target.
enum Miss {
    Skip(SkipReason),
    Unknown(FailureId),
}

/// What a container's docker labels ask for, as far as the task and its definition tell.
struct Plan<'a> {
    task: &'a TaskDefinition,
    container: &'a ContainerDefinition,
    at: At,
    endpoints: Vec<Result<Endpoint<'a>, SkipReason>>,
}

/// Where a container is reached.
enum At {
    Host(Host),
    /// At the address of the instance that its task runs on.
    Instance,
}

/// One thing to scrape.
struct Endpoint<'a> {
    container_port: u16,
    port: HostPort,
    path: Option<&'a str>,
}

impl At {
    /// The host to write, and the instance where it is one's.
    fn host<'a>(
        &self,
        task: &Task,
        hosts: &'a HashMap<ContainerInstanceArn, Fetched<Instance, NoHost>>,
    ) -> Result<(Host, Option<&'a Instance>), Miss> {
        let arn = match self {
            Self::Host(host) => return Ok((host.clone(), None)),
            Self::Instance => task.container_instance.as_ref().ok_or(Miss::Skip(SkipReason::NoContainerInstance))?,
        };
        match hosts.get(arn) {
            Some(Fetched::Known(instance)) => Ok((Host::Address(instance.address), Some(instance))),
            Some(Fetched::Unknown(failure)) => Err(Miss::Unknown(*failure)),
            Some(Fetched::Gone(reason)) => Err(Miss::Skip(SkipReason::NoHostAddress(*reason))),
            None => Err(Miss::Skip(SkipReason::NoHostAddress(NoHost::ContainerInstanceGone))),
        }
    }
}

fn plan<'a>(
    task: &Task,
    container: &Container,
    definition: &'a TaskDefinition,
    rules: &Rules,
) -> Result<Plan<'a>, SkipReason> {
    let labelled = definition.container(&container.name).ok_or(SkipReason::NotInTaskDefinition)?;
    let wanted = wanted(labelled, &rules.ports)?;
    is_up(task, container)?;
    let server = match labelled.docker_label(&rules.server_name_label) {
        Some(label) => server_name(label).map_err(|()| SkipReason::InvalidServerName(label.to_string()))?,
        None => None,
    };
    let mode = &definition.network_mode;
    let at = match (server, mode) {
        (_, NetworkMode::None) => return Err(SkipReason::NetworkModeNone),
        (_, NetworkMode::Other(mode)) => return Err(SkipReason::UnknownNetworkMode(mode.clone())),
        (Some(host), _) => At::Host(host),
        (None, NetworkMode::Bridge | NetworkMode::Host) => At::Instance,
        (None, NetworkMode::Awsvpc) => {
            At::Host(Host::Address(task_address(task, container).ok_or(SkipReason::NoTaskAddress)?))
        }
    };
    if matches!(at, At::Instance) && task.container_instance.is_none() {
        return Err(SkipReason::NoContainerInstance);
    }
    let endpoints = endpoints(wanted, mode, container, task);
    Ok(Plan { task: definition, container: labelled, at, endpoints })
}

/// Which of a container's ports are wanted.
enum Wanted<'a> {
    Listed(&'a str),
    OnlyPublished,
}

fn wanted<'a>(container: &'a ContainerDefinition, rule: &PortRule) -> Result<Wanted<'a>, SkipReason> {
    match rule {
        PortRule::OnlyPublished => match container.docker_label(DYNAMIC_PORT_LABEL) {
            Some(value) if &**value == "1" => Ok(Wanted::OnlyPublished),
            _ => Err(SkipReason::NoDynamicPortLabel),
        },
        PortRule::Label { name, filter } => {
            let ports = container.docker_label(name).ok_or_else(|| SkipReason::NoPortLabel(name.clone()))?;
            let passes = filter.as_ref().is_none_or(|filter| {
                let value = container.docker_label(&filter.name);
                value.is_some_and(|value| filter.value.as_deref().is_none_or(|wanted| wanted == &**value))
            });
            if passes { Ok(Wanted::Listed(ports)) } else { Err(SkipReason::FilteredOut) }
        }
    }
}

fn is_up(task: &Task, container: &Container) -> Result<(), SkipReason> {
    if let Some(reason) = stopping(task) {
        return Err(reason);
    }
    if task.last_status.is_starting() {
        return Err(SkipReason::TaskNotUp(task.last_status));
    }
    if container.last_status == TaskStatus::Stopped { Err(SkipReason::ContainerStopped) } else { Ok(()) }
}

fn stopping(task: &Task) -> Option<SkipReason> {
    if task.last_status.is_stopping() {
        return Some(SkipReason::TaskStopping(Some(task.last_status)));
    }
    task.stop_requested.then_some(SkipReason::TaskStopping(None))
}

/// The address of an awsvpc task, whose containers all share one interface: IPv4 where it has one, since
/// an IPv6-only subnet is the exception.
fn task_address(task: &Task, container: &Container) -> Option<IpAddr> {
    let ipv4 = container.ipv4.or_else(|| task.containers.iter().filter_map(|sibling| sibling.ipv4).min());
    let ipv6 = container.ipv6.or_else(|| task.containers.iter().filter_map(|sibling| sibling.ipv6).min());
    ipv4.or(task.attachment_ipv4).map(IpAddr::from).or(ipv6.map(IpAddr::from))
}

fn endpoints<'a>(
    wanted: Wanted<'a>,
    mode: &NetworkMode,
    container: &Container,
    task: &Task,
) -> Vec<Result<Endpoint<'a>, SkipReason>> {
    let published = |port| {
        // Bindings are there when the task is RUNNING, and not before.
        let early = task.last_status < TaskStatus::Running && container.bindings.is_empty();
        HostPort::published(port, &container.bindings).ok_or(if early {
            SkipReason::TaskNotUp(task.last_status)
        } else {
            SkipReason::PortNotPublished(port)
        })
    };
    match wanted {
        Wanted::OnlyPublished => {
            let only = port::only_published(&container.bindings).map_err(SkipReason::NotOnePublishedPort);
            vec![only.and_then(|port| Ok(Endpoint { container_port: port, port: published(port)?, path: None }))]
        }
        Wanted::Listed(label) => port::items(label)
            .map(|item| {
                let item = item.map_err(|text| SkipReason::InvalidPort(text.to_owned()))?;
                let port = match mode {
                    NetworkMode::Bridge => published(item.port)?,
                    _ => HostPort::Same(item.port),
                };
                Ok(Endpoint { container_port: item.port, port, path: item.path })
            })
            .collect(),
    }
}

/// Where a group's labels come from.
struct LabelSource<'a> {
    asked: &'a ClusterRef,
    task: &'a Task,
    container: &'a Container,
    plan: &'a Plan<'a>,
    rules: &'a Rules,
}

impl LabelSource<'_> {
    /// The labels in the original's order. What AWS did not say is left out; so is an empty docker label.
    fn labels(&self, endpoint: &Endpoint<'_>, instance: Option<&Instance>, strings: &mut Strings) -> Labels {
        let (task, definition, rules) = (self.task, self.plan.task, self.rules);
        let docker = |name: &str| self.plan.container.docker_label(name).filter(|value| !value.is_empty()).cloned();
        let path = endpoint.path.map(|path| strings.share(path)).or_else(|| docker(&rules.path_label));
        let labels = [
            ("task_arn", Some(task.arn.shared())),
            ("task_name", Some(definition.family.clone())),
            ("job", docker(&rules.job_name_label)),
            ("task_revision", Some(strings.share(&definition.revision.to_string()))),
            ("task_group", task.group.clone()),
            ("cluster_arn", self.cluster_arn()),
            ("container_name", Some(self.container.name.clone())),
            ("container_arn", self.container.arn.clone()),
            ("docker_image", self.plan.container.image.clone()),
            ("__metrics_path__", path),
            ("__scheme__", docker(&rules.scheme_label)),
        ];
        let labels = labels.into_iter().filter_map(|(name, value)| Some((strings.share(name), value?)));
        if !rules.meta_labels {
            return labels.collect();
        }
        let mut labels: Vec<_> = labels.collect();
        labels.extend(meta::labels(self, endpoint, instance).map(|(name, value)| (strings.share(&name), value)));
        labels.into_iter().collect()
    }

    fn cluster_arn(&self) -> Option<Shared> {
        let asked = || self.asked.is_arn().then(|| self.asked.shared());
        let described = self.task.cluster.as_ref().map(|arn| arn.shared());
        described.or_else(asked).or_else(|| self.task.arn.cluster().map(|arn| arn.shared()))
    }
}
