//! Amazon EC2: where instances are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_sdk_ec2::operation::describe_instances::DescribeInstancesError;
use aws_sdk_ec2::types as wire;

use super::calls::Buckets;
use super::failure;
use super::pages::{Page, all_pages};
use super::watch::Watch;
use crate::inventory::{Failure, Instance, InstanceDetails, InstanceId, Shared};

/// A filter takes up to 200 values (`FilterLimitExceeded`).
pub(super) const BATCH: usize = 200;

/// How every whole answer ends.
const END: &[u8] = b"</DescribeInstancesResponse>";

/// What EC2 says.
pub(super) struct Ec2 {
    client: Client,
    buckets: Arc<Buckets>,
    watch: Watch,
    details: bool,
}

impl Ec2 {
    /// `details` also keeps what only meta labels need.
    pub(super) fn new(client: Client, buckets: Arc<Buckets>, watch: Watch, details: bool) -> Self {
        Self { client, buckets, watch, details }
    }

    /// Up to [`BATCH`] instances with their primary private addresses, none for one that has none. An instance
    /// that is missing in the answer does not exist.
    ///
    /// The ids go into a filter: among `InstanceIds` a single unknown one fails the whole call
    /// (`InvalidInstanceID.NotFound`). `managed` also shows ECS Managed Instances, which EC2 hides from
    /// filtered listings (Amazon EC2 API Reference, DescribeInstances, `IncludeManagedResources`).
    pub(super) async fn hosts(
        &self,
        ids: &[&InstanceId],
        managed: bool,
    ) -> Result<HashMap<InstanceId, Option<Instance>>, Failure> {
        const OPERATION: &str = "DescribeInstances";
        let values: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        let filter = wire::Filter::builder().name("instance-id").set_values(Some(values)).build();
        let request = self
            .client
            .describe_instances()
            .filters(filter)
            .max_results(1000)
            .set_include_managed_resources(managed.then_some(true));
        let page = |token| {
            let request = request.clone().set_next_token(token).customize();
            let request = request
                .interceptor(self.watch.ec2::<DescribeInstancesError>(OPERATION, &self.buckets.instances))
                .interceptor(Whole);
            async move {
                let call = async { request.send().await.map_err(|error| failure::of_call(OPERATION, None, error)) };
                let answer = self.buckets.instances.call(call).await?;
                let lacks_list = || failure::bad_answer(OPERATION, None, "the answer has no list");
                let reservations = answer.reservations.ok_or_else(lacks_list)?;
                let instances =
                    reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
                Ok(Page {
                    items: instances.filter_map(|wire| instance(wire, self.details)).collect(),
                    next: answer.next_token,
                })
            }
        };
        Ok(all_pages(OPERATION, None, page).await?.into_iter().collect())
    }
}

/// Refuses an answer that stops short. The SDK's reader takes the end of the input for the end of a list,
/// so that the instances in the missing half would count as gone.
#[derive(Debug)]
struct Whole;

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let ended = answer.body().bytes().is_some_and(|body| body.trim_ascii_end().ends_with(END));
        if answer.status().is_success() && !ended { Err("the answer stops short".into()) } else { Ok(()) }
    }
}

/// An instance, where containers on it are reached: at IPv4, or at IPv6 where its subnet has nothing else.
fn instance(wire: wire::Instance, details: bool) -> Option<(InstanceId, Option<Instance>)> {
    let id: Shared = wire.instance_id?.as_str().into();
    let ipv4: Option<IpAddr> = wire.private_ip_address.as_deref().and_then(|text| text.parse().ok());
    let address = ipv4.or_else(|| wire.ipv6_address.as_deref()?.parse().ok());
    let tags = wire.tags.iter().flatten();
    let details = details.then(|| {
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
