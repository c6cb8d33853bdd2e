//! Amazon EC2.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_sdk_ec2::types as wire;

use super::call::Caller;
use super::errors;
use super::pages::{Page, all_pages};
use crate::config::MetaLabels;
use crate::inventory::{Failure, Instance, InstanceDetails, InstanceId, Operation, Shared};

/// A filter takes up to 200 values (`FilterLimitExceeded`).
pub(in crate::aws) const BATCH: usize = 200;

/// Whether a listing includes ECS Managed Instances, which EC2 hides from filtered listings (Amazon EC2 API
/// Reference, DescribeInstances, `IncludeManagedResources`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aws) enum ManagedInstances {
    Included,
    Hidden,
}

/// The EC2 client.
#[derive(Clone)]
pub(in crate::aws) struct Ec2 {
    client: Client,
    caller: Caller,
    meta_labels: MetaLabels,
}

impl Ec2 {
    pub(in crate::aws) fn new(client: Client, caller: Caller, meta_labels: MetaLabels) -> Self {
        Self { client, caller, meta_labels }
    }

    /// Describes up to [`BATCH`] instances: `None` for one without a private address. An instance that is missing
    /// in the response does not exist.
    pub(in crate::aws) async fn describe_instances(
        &self,
        ids: &[&InstanceId],
        managed: ManagedInstances,
    ) -> Result<HashMap<InstanceId, Option<Instance>>, Failure> {
        const OPERATION: Operation = Operation::DescribeInstances;
        // The ids go into a filter: in `InstanceIds` a single unknown id fails the whole call
        // (`InvalidInstanceID.NotFound`).
        let filter = filter("instance-id", ids.iter().map(|id| id.as_str()));
        let request = self
            .client
            .describe_instances()
            .filters(filter)
            .max_results(1000)
            .set_include_managed_resources((managed == ManagedInstances::Included).then_some(true));
        let page = |token| {
            let request = request.clone().set_next_token(token).customize().interceptor(RefuseTruncated(OPERATION));
            async move {
                let send = |attempts| request.interceptor(attempts).send();
                let response = self.caller.call(OPERATION, None, send).await?;
                let reservations = response.reservations.ok_or_else(|| no_list(OPERATION))?;
                let instances =
                    reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
                Ok(Page {
                    items: instances.filter_map(|wire| instance(wire, self.meta_labels)).collect(),
                    next: response.next_token,
                })
            }
        };
        Ok(all_pages(OPERATION, None, page).await?.into_iter().collect())
    }

    /// Describes up to [`BATCH`] network interfaces: the public address of each, `None` for one that has none. An
    /// interface that is missing in the response does not exist.
    pub(in crate::aws) async fn describe_network_interfaces(
        &self,
        ids: &[Shared],
        managed: ManagedInstances,
    ) -> Result<HashMap<Shared, Option<Shared>>, Failure> {
        const OPERATION: Operation = Operation::DescribeNetworkInterfaces;
        // As for instances, a single unknown id in `NetworkInterfaceIds` would fail the whole call.
        let filter = filter("network-interface-id", ids.iter().map(|id| &**id));
        let request = self
            .client
            .describe_network_interfaces()
            .filters(filter)
            .max_results(1000)
            .set_include_managed_resources((managed == ManagedInstances::Included).then_some(true));
        let page = |token| {
            let request = request.clone().set_next_token(token).customize().interceptor(RefuseTruncated(OPERATION));
            async move {
                let send = |attempts| request.interceptor(attempts).send();
                let response = self.caller.call(OPERATION, None, send).await?;
                let interfaces = response.network_interfaces.ok_or_else(|| no_list(OPERATION))?;
                Ok(Page { items: interfaces.iter().filter_map(interface).collect(), next: response.next_token })
            }
        };
        Ok(all_pages(OPERATION, None, page).await?.into_iter().collect())
    }
}

fn filter<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> wire::Filter {
    wire::Filter::builder().name(name).set_values(Some(values.map(String::from).collect())).build()
}

fn no_list(operation: Operation) -> Failure {
    errors::invalid_response(operation, None, "the response has no list")
}

/// Refuses a truncated response. The SDK's parser takes the end of the input for the end of a list, so that the
/// instances in the missing part would count as gone.
#[derive(Debug)]
struct RefuseTruncated(Operation);

impl Intercept for RefuseTruncated {
    fn name(&self) -> &'static str {
        "RefuseTruncated"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let end = format!("</{}Response>", self.0);
        let ended = response.body().bytes().is_some_and(|body| body.trim_ascii_end().ends_with(end.as_bytes()));
        if response.status().is_success() && !ended { Err("the response is truncated".into()) } else { Ok(()) }
    }
}

/// Converts a network interface to its id and public address.
fn interface(wire: &wire::NetworkInterface) -> Option<(Shared, Option<Shared>)> {
    let public = wire.association().and_then(|association| association.public_ip()).filter(|ip| !ip.is_empty());
    Some((wire.network_interface_id()?.into(), public.map(Shared::from)))
}

/// Converts an instance. Containers are reached at its IPv4 address, or at IPv6 in an IPv6-only subnet.
fn instance(wire: wire::Instance, meta_labels: MetaLabels) -> Option<(InstanceId, Option<Instance>)> {
    let id: Shared = wire.instance_id?.as_str().into();
    let ipv4: Option<IpAddr> = wire.private_ip_address.as_deref().and_then(|text| text.parse().ok());
    let address = ipv4.or_else(|| wire.ipv6_address.as_deref()?.parse().ok());
    let tags = wire.tags.iter().flatten();
    let details = (meta_labels != MetaLabels::Off).then(|| {
        Arc::new(InstanceDetails {
            instance_id: id.clone(),
            instance_type: wire.instance_type.as_ref().map(|kind| kind.as_str().into()),
            private_ip: wire.private_ip_address.as_deref().map(Shared::from),
            public_ip: wire.public_ip_address.as_deref().filter(|ip| !ip.is_empty()).map(Shared::from),
            subnet_id: wire.subnet_id.as_deref().map(Shared::from),
            tags: tags.filter_map(|tag| Some((tag.key()?.into(), tag.value()?.into()))).collect(),
        })
    });
    Some((id.into(), address.map(|address| Instance { address, details })))
}
