//! Converts the SDK's types to ours. Every `Option` is decided here, once.
//!
//! A missing value is left out if a target can do without it; otherwise the whole item counts as not described.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use aws_sdk_ecs::types as wire;

use crate::config::MetaLabels;
use crate::inventory::{
    Binding, Container, ContainerDefinition, ContainerInstance, Family, NetworkMode, ServiceDetails, Shared, Strings,
    Task, TaskDefinition, TaskDefinitionArn, TaskDetails, TaskStatus,
};

/// Converts a task; `None` without an ARN or a task definition. `strings` interns what tasks have in common.
pub(super) fn task(wire: wire::Task, meta_labels: MetaLabels, strings: &mut Strings) -> Option<Task> {
    let details = (meta_labels != MetaLabels::Off).then(|| Box::new(task_details(&wire, meta_labels, strings)));
    Some(Task {
        details,
        attachment_ipv4: attachment_ipv4(wire.attachments.as_deref().unwrap_or_default()),
        arn: wire.task_arn?.as_str().into(),
        cluster: wire.cluster_arn.map(|arn| strings.share(&arn).into()),
        definition: strings.share(&wire.task_definition_arn?).into(),
        group: wire.group.map(|group| strings.share(&group)),
        last_status: TaskStatus::from_aws(wire.last_status.as_deref()),
        stop_requested: wire.desired_status.as_deref() == Some("STOPPED"),
        version: u64::try_from(wire.version).unwrap_or(0),
        on_managed_instance: wire.launch_type == Some(wire::LaunchType::ManagedInstances),
        container_instance: wire.container_instance_arn.map(|arn| strings.share(&arn).into()),
        containers: fitting(wire.containers.unwrap_or_default(), |one| container(one, strings)),
    })
}

fn task_details(wire: &wire::Task, meta_labels: MetaLabels, strings: &mut Strings) -> TaskDetails {
    let mut share = |text: Option<&str>| text.map(|text| strings.share(text));
    let interface = |name| interface_details(wire.attachments()).find_map(|detail| named(detail, name));
    TaskDetails {
        availability_zone: share(wire.availability_zone()),
        subnet_id: share(interface("subnetId")),
        launch_type: share(wire.launch_type.as_ref().map(wire::LaunchType::as_str)),
        desired_status: share(wire.desired_status()),
        last_status: share(wire.last_status()),
        health_status: share(wire.health_status.as_ref().map(wire::HealthStatus::as_str)),
        platform_family: share(wire.platform_family()),
        platform_version: share(wire.platform_version()),
        capacity_provider: share(wire.capacity_provider_name()),
        started_by: share(wire.started_by()),
        network_interface: interface("networkInterfaceId").filter(|_| meta_labels == MetaLabels::All).map(Shared::from),
        tags: wire.tags().iter().filter_map(|tag| Some((share(tag.key())?, share(tag.value())?))).collect(),
    }
}

/// Converts a service.
pub(super) fn service(wire: &wire::Service) -> ServiceDetails {
    ServiceDetails { status: wire.status().map(Shared::from), tags: tags(wire.tags()) }
}

/// Converts tags; one without a key or a value is left out.
pub(super) fn tags(wire: &[wire::Tag]) -> Vec<(Shared, Shared)> {
    wire.iter().filter_map(|tag| Some((tag.key()?.into(), tag.value()?.into()))).collect()
}

/// Returns the address of the task's network interface.
fn attachment_ipv4(attachments: &[wire::Attachment]) -> Option<Ipv4Addr> {
    interface_details(attachments).find_map(|detail| address(named(detail, "privateIPv4Address")))
}

/// Returns the details of the task's network interface. Other attachments (Service Connect, volumes) may come
/// before or after it.
fn interface_details(attachments: &[wire::Attachment]) -> impl Iterator<Item = &wire::KeyValuePair> {
    let interfaces = attachments.iter().filter(|attachment| attachment.r#type() == Some("ElasticNetworkInterface"));
    interfaces.flat_map(|attachment| attachment.details())
}

fn named<'a>(detail: &'a wire::KeyValuePair, name: &str) -> Option<&'a str> {
    detail.value().filter(|_| detail.name() == Some(name))
}

fn container(wire: wire::Container, strings: &mut Strings) -> Option<Container> {
    let interfaces = wire.network_interfaces.unwrap_or_default();
    Some(Container {
        name: strings.share(&wire.name?),
        arn: shared(wire.container_arn),
        last_status: TaskStatus::from_aws(wire.last_status.as_deref()),
        ipv4: interfaces.iter().find_map(|interface| address(interface.private_ipv4_address())),
        ipv6: interfaces.iter().find_map(|interface| address(interface.ipv6_address())),
        bindings: fitting(wire.network_bindings.unwrap_or_default(), |row| binding(&row)),
    })
}

/// Converts a published port or range. A range has no `containerPort` and `hostPort` (ECS API Reference,
/// `NetworkBinding`). An absent protocol means TCP, the default.
fn binding(wire: &wire::NetworkBinding) -> Option<Binding> {
    let (container_ports, first_host_port) = match (wire.container_port_range(), wire.host_port_range()) {
        (Some(container), Some(host)) => {
            let (container, host) = (range(container)?, range(host)?);
            (container.len() == host.len()).then_some((container, *host.start()))?
        }
        _ => {
            let container = port(wire.container_port?)?;
            (container..=container, port(wire.host_port?)?)
        }
    };
    Some(Binding {
        tcp: wire.protocol.as_ref().is_none_or(|protocol| *protocol == wire::TransportProtocol::Tcp),
        family: address(wire.bind_ip()).map(|ip: IpAddr| Family::from(ip)),
        container_ports,
        first_host_port,
    })
}

/// Converts a list without spare capacity: `collect` would allocate room for at least four items.
fn fitting<W, T>(wire: Vec<W>, convert: impl FnMut(W) -> Option<T>) -> Vec<T> {
    let mut all = Vec::with_capacity(wire.len());
    all.extend(wire.into_iter().filter_map(convert));
    all
}

fn port(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port != 0)
}

/// Parses `8000-8010`, or one port.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first != 0 && first <= last).then_some(first..=last)
}

/// Converts a task definition; `None` if neither it nor its ARN (`…:task-definition/FAMILY:REVISION`) has a
/// revision.
///
/// Of the containers' environment variables, only those with one of the names in `variables` are kept. `strings` interns
/// what task definitions have in common.
pub(super) fn definition(
    arn: &TaskDefinitionArn,
    wire: wire::TaskDefinition,
    variables: &[String],
    strings: &mut Strings,
) -> Option<TaskDefinition> {
    let (_, name) = arn.as_str().rsplit_once('/').unwrap_or(("", arn.as_str()));
    let (family, revision) = name.rsplit_once(':').unwrap_or((name, ""));
    let revision = Some(wire.revision).filter(|revision| *revision != 0).or_else(|| revision.parse().ok());
    Some(TaskDefinition {
        family: strings.share(wire.family.as_deref().unwrap_or(family)),
        revision: revision?,
        network_mode: NetworkMode::from_aws(wire.network_mode.as_ref().map(wire::NetworkMode::as_str)),
        containers: fitting(wire.container_definitions?, |one| container_definition(one, variables, strings)),
    })
}

fn container_definition(
    wire: wire::ContainerDefinition,
    variables: &[String],
    strings: &mut Strings,
) -> Option<ContainerDefinition> {
    let labels = wire.docker_labels.unwrap_or_default();
    // Variables may hold passwords: what is not asked for by name is dropped here and copied nowhere.
    let kept = wire.environment.unwrap_or_default().into_iter().filter_map(|variable| {
        let name = variable.name.filter(|name| variables.contains(name))?;
        Some((name.into(), variable.value?.into()))
    });
    Some(ContainerDefinition {
        name: strings.share(&wire.name?),
        image: shared(wire.image),
        docker_labels: labels.iter().map(|(name, value)| (strings.share(name), strings.share(value))).collect(),
        variables: kept.collect(),
    })
}

/// Converts a container instance; `None` without a host id. A blank attribute counts as absent.
pub(super) fn container_instance(wire: &wire::ContainerInstance, attribute: Option<&str>) -> Option<ContainerInstance> {
    let named = wire.attributes().iter().filter(|one| attribute == Some(one.name()));
    let mut values = named.filter_map(|one| one.value()).map(str::trim).filter(|value| !value.is_empty());
    Some(ContainerInstance { host_id: wire.ec2_instance_id()?.into(), host_attribute: values.next().map(Shared::from) })
}

fn shared(text: Option<String>) -> Option<Shared> {
    text.map(Shared::from)
}

/// Parses an address. AWS sends an empty string for some absent ones.
fn address<A: FromStr>(text: Option<&str>) -> Option<A> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn row() -> wire::builders::NetworkBindingBuilder {
        wire::NetworkBinding::builder().bind_ip("0.0.0.0")
    }

    #[test]
    fn converts_a_port_or_ranges_of_equal_length() {
        let port = row().container_port(80).host_port(32_768).build();
        assert_eq!(
            binding(&port),
            Some(Binding { tcp: true, family: Some(Family::V4), container_ports: 80..=80, first_host_port: 32_768 })
        );
        let udp = row().bind_ip("::").protocol(wire::TransportProtocol::Udp);
        assert_eq!(
            binding(&udp.container_port_range("8000-8002").host_port_range("9000-9002").build()),
            Some(Binding { tcp: false, family: Some(Family::V6), container_ports: 8000..=8002, first_host_port: 9000 })
        );
        for refused in [
            row().build(),
            row().container_port(80).build(),
            row().container_port(80).host_port(0).build(),
            row().container_port(80).host_port(70_000).build(),
            row().container_port_range("1-3").host_port_range("1-4").build(),
            row().container_port_range("3-1").host_port_range("3-1").build(),
            row().container_port_range("x").host_port_range("y").build(),
        ] {
            assert_eq!(binding(&refused), None, "{refused:?}");
        }
    }

    #[test]
    fn finds_the_interface_among_other_attachments() {
        let detail = |name: &str, value: &str| wire::KeyValuePair::builder().name(name).value(value).build();
        let attachment = |kind: &str, address: &str| {
            wire::Attachment::builder().r#type(kind).details(detail("privateIPv4Address", address)).build()
        };
        let attachments = [
            attachment("ServiceConnect", "10.0.0.9"),
            wire::Attachment::builder().build(),
            attachment("ElasticNetworkInterface", "10.0.0.1"),
        ];
        assert_eq!(attachment_ipv4(&attachments), Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(attachment_ipv4(&attachments[..2]), None);
        assert_eq!(address::<Ipv6Addr>(Some("")), None);
    }

    #[test]
    fn takes_family_and_revision_from_the_arn_if_absent() {
        let arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3".into();
        let wire = || wire::TaskDefinition::builder().set_container_definitions(Some(vec![]));
        let read = definition(&arn, wire().build(), &[], &mut Strings::default()).unwrap();
        assert_eq!((&*read.family, read.revision, read.network_mode), ("web", 3, NetworkMode::Bridge));
        assert_eq!(definition(&"web".into(), wire().build(), &[], &mut Strings::default()), None);
        assert_eq!(definition(&arn, wire::TaskDefinition::builder().build(), &[], &mut Strings::default()), None);
    }

    #[test]
    fn keeps_only_the_wanted_variables_and_no_secret() {
        let variable = |name: &str, value: &str| wire::KeyValuePair::builder().name(name).value(value).build();
        let secret = wire::Secret::builder().name("PORT").value_from("arn:secret").build().unwrap();
        let container = wire::ContainerDefinition::builder()
            .name("app")
            .environment(variable("PASSWORD", "hunter2"))
            .environment(variable("PORT", "9102"))
            .environment(variable("PORT", "9103"))
            .environment(wire::KeyValuePair::builder().name("PATH").build())
            .secrets(secret);
        let names = ["PATH", "PORT"].map(String::from);
        let kept = container_definition(container.clone().build(), &names, &mut Strings::default()).unwrap().variables;
        assert_eq!(
            kept,
            [("PORT".into(), "9103".into())].into(),
            "the last of a repeated variable counts, as in Docker"
        );
        assert_eq!(
            container_definition(container.build(), &[], &mut Strings::default()).unwrap().variables,
            Default::default()
        );
    }

    #[test]
    fn keeps_the_network_interface_only_for_all_meta_labels() {
        let detail = |name: &str, value: &str| wire::KeyValuePair::builder().name(name).value(value).build();
        let attachment = |kind: &str, id: &str| {
            wire::Attachment::builder().r#type(kind).details(detail("networkInterfaceId", id)).build()
        };
        let wire = wire::Task::builder()
            .attachments(attachment("ServiceConnect", "eni-other"))
            .attachments(attachment("ElasticNetworkInterface", "eni-1"))
            .build();
        let kept = |meta_labels| task_details(&wire, meta_labels, &mut Strings::default()).network_interface;
        assert_eq!((kept(MetaLabels::Free), kept(MetaLabels::All)), (None, Some("eni-1".into())));
    }

    #[test]
    fn leaves_out_tags_without_a_value() {
        let tag = |key: &str| wire::Tag::builder().key(key);
        let tagged = [tag("a").value("").build(), tag("b").build(), wire::Tag::builder().value("c").build()];
        assert_eq!(tags(&tagged), [("a".into(), "".into())]);
    }

    #[test]
    fn ignores_a_task_without_a_definition() {
        assert_eq!(
            task(wire::Task::builder().task_arn("arn").build(), MetaLabels::Free, &mut Strings::default()),
            None
        );
    }
}
