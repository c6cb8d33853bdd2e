//! What a container's docker labels ask for, as far as its task and task definition tell.
//!
//! The network mode decides where a container is reached. Its bindings do not: a container that publishes no port
//! has none in any mode.

use std::collections::HashMap;
use std::net::IpAddr;

use super::host::{self, Host};
use super::port::{self, HostPort};
use super::skip::{NoTarget, SkipReason};
use crate::config::{DYNAMIC_PORT_LABEL, PortRule, Rules};
use crate::inventory::{
    Container, ContainerDefinition, ContainerInstanceArn, Fetched, HostAddress, Instance, NetworkMode, NoHost, Task,
    TaskDefinition, TaskStatus,
};

/// What to scrape of a container.
pub(super) struct Plan<'a> {
    pub(super) definition: &'a TaskDefinition,
    pub(super) container_definition: &'a ContainerDefinition,
    pub(super) at: At,
    /// One for each port that is asked for.
    pub(super) endpoints: Vec<Result<Endpoint<'a>, SkipReason>>,
}

/// Where a container is reached.
pub(super) enum At {
    /// At this host.
    Host(Host),
    /// At the address of the host that its task runs on.
    Instance,
}

/// A port to scrape.
pub(super) struct Endpoint<'a> {
    pub(super) container_port: u16,
    pub(super) port: HostPort,
    /// The metrics path from the port docker label.
    pub(super) path: Option<&'a str>,
}

impl<'a> Plan<'a> {
    /// Plans what to scrape of a container.
    pub(super) fn new(
        task: &Task,
        container: &Container,
        definition: &'a TaskDefinition,
        rules: &Rules,
    ) -> Result<Self, SkipReason> {
        let container_definition = definition.container(&container.name).ok_or(SkipReason::NotInTaskDefinition)?;
        let wanted = wanted(container_definition, &rules.ports)?;
        is_up(task, container)?;
        let server_name = match container_definition.label(&rules.server_name_label) {
            Some(label) => host::parse(label).map_err(|()| SkipReason::InvalidServerName(label.to_string()))?,
            None => None,
        };
        let at = At::new(server_name, task, container, &definition.network_mode)?;
        let endpoints = endpoints(wanted, &definition.network_mode, container, task);
        Ok(Self { definition, container_definition, at, endpoints })
    }

    /// Returns whether the address of the task's EC2 instance is needed.
    pub(super) fn needs_instance(&self) -> bool {
        matches!(self.at, At::Instance) && self.has_endpoint()
    }

    /// Returns whether a port is to be scraped.
    pub(super) fn has_endpoint(&self) -> bool {
        self.endpoints.iter().any(Result::is_ok)
    }
}

impl At {
    fn new(
        server_name: Option<Host>,
        task: &Task,
        container: &Container,
        mode: &NetworkMode,
    ) -> Result<Self, SkipReason> {
        match (server_name, mode) {
            (_, NetworkMode::None) => Err(SkipReason::NetworkModeNone),
            (_, NetworkMode::Other(mode)) => Err(SkipReason::UnknownNetworkMode(mode.clone())),
            (Some(host), _) => Ok(Self::Host(host)),
            (None, NetworkMode::Awsvpc) => {
                let address = task_address(task, container).ok_or(SkipReason::NoTaskAddress)?;
                Ok(Self::Host(Host::Address(address)))
            }
            (None, NetworkMode::Bridge | NetworkMode::Host) if task.container_instance.is_none() => {
                Err(SkipReason::NoContainerInstance)
            }
            (None, NetworkMode::Bridge | NetworkMode::Host) => Ok(Self::Instance),
        }
    }

    /// Returns the host to write, and the EC2 instance if the host is one.
    pub(super) fn host<'a>(
        &self,
        task: &Task,
        hosts: &'a HashMap<ContainerInstanceArn, Fetched<HostAddress, NoHost>>,
    ) -> Result<(Host, Option<&'a Instance>), NoTarget> {
        let arn = match self {
            Self::Host(host) => return Ok((host.clone(), None)),
            Self::Instance => task.container_instance.as_ref(),
        };
        match hosts.get(arn.ok_or(NoTarget::Skipped(SkipReason::NoContainerInstance))?) {
            Some(Fetched::Known(HostAddress::Instance(instance))) => {
                Ok((Host::Address(instance.address), Some(instance)))
            }
            Some(Fetched::Known(HostAddress::Attribute(value))) => match host::parse(value) {
                Ok(Some(host)) => Ok((host, None)),
                _ => Err(NoTarget::Skipped(SkipReason::InvalidHostAttribute(value.to_string()))),
            },
            Some(Fetched::Unknown(failure)) => Err(NoTarget::Unknown(*failure)),
            Some(Fetched::Gone(reason)) => Err(NoTarget::Skipped(SkipReason::NoHostAddress(*reason))),
            None => Err(NoTarget::Skipped(SkipReason::NoHostAddress(NoHost::ContainerInstanceGone))),
        }
    }
}

/// Which of a container's ports are wanted.
enum Wanted<'a> {
    /// Those that this docker label lists.
    Listed(&'a str),
    /// The only published one.
    OnlyPublished,
}

fn wanted<'a>(container: &'a ContainerDefinition, rule: &PortRule) -> Result<Wanted<'a>, SkipReason> {
    match rule {
        PortRule::OnlyPublished => match container.label(DYNAMIC_PORT_LABEL) {
            Some(value) if &**value == "1" => Ok(Wanted::OnlyPublished),
            _ => Err(SkipReason::NoDynamicPortLabel),
        },
        PortRule::Label { name, filter } => {
            let ports = container.label(name).ok_or_else(|| SkipReason::NoPortLabel(name.clone()))?;
            let passes = filter.as_ref().is_none_or(|filter| {
                let value = container.label(&filter.name);
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

/// Returns the reason to skip a task that is stopping or has stopped.
pub(super) fn stopping(task: &Task) -> Option<SkipReason> {
    if task.last_status.is_stopping() {
        return Some(SkipReason::TaskStopping(Some(task.last_status)));
    }
    task.stop_requested.then_some(SkipReason::TaskStopping(None))
}

/// Returns the address of an awsvpc task, whose containers all share one interface. IPv4 comes first, since
/// an IPv6-only subnet is the exception.
pub(super) fn task_address(task: &Task, container: &Container) -> Option<IpAddr> {
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
    match wanted {
        Wanted::OnlyPublished => {
            let only = port::only_published(&container.bindings).map_err(SkipReason::NotOnePublishedPort);
            let endpoint = only.and_then(|container_port| {
                Ok(Endpoint { container_port, port: published(container_port, container, task)?, path: None })
            });
            vec![endpoint]
        }
        Wanted::Listed(label) => port::items(label)
            .map(|item| {
                let item = item.map_err(|text| SkipReason::InvalidPort(text.to_owned()))?;
                let port = match mode {
                    NetworkMode::Bridge => published(item.port, container, task)?,
                    _ => HostPort::Same(item.port),
                };
                Ok(Endpoint { container_port: item.port, port, path: item.path })
            })
            .collect(),
    }
}

fn published(container_port: u16, container: &Container, task: &Task) -> Result<HostPort, SkipReason> {
    // AWS reports bindings only once the task is RUNNING.
    let early = task.last_status < TaskStatus::Running && container.bindings.is_empty();
    HostPort::published(container_port, &container.bindings).ok_or(if early {
        SkipReason::TaskNotUp(task.last_status)
    } else {
        SkipReason::PortNotPublished(container_port)
    })
}
