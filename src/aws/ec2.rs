//! Amazon EC2: where instances are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Instance};

use super::calls::Buckets;
use super::failure;
use super::pages::{Page, all_pages};
use crate::inventory::{Failure, InstanceId};

/// A filter takes up to 200 values (`FilterLimitExceeded`).
pub(super) const BATCH: usize = 200;

/// What EC2 says.
pub(super) struct Ec2 {
    client: Client,
    buckets: Arc<Buckets>,
}

impl Ec2 {
    pub(super) fn new(client: Client, buckets: Arc<Buckets>) -> Self {
        Self { client, buckets }
    }

    /// The primary private addresses of up to [`BATCH`] instances, none for one that has none. An instance
    /// that is missing in the answer does not exist.
    ///
    /// The ids go into a filter: among `InstanceIds` a single unknown one fails the whole call
    /// (`InvalidInstanceID.NotFound`). `managed` also shows ECS Managed Instances, which EC2 hides from
    /// filtered listings (Amazon EC2 API Reference, DescribeInstances, `IncludeManagedResources`).
    pub(super) async fn addresses(
        &self,
        ids: &[&InstanceId],
        managed: bool,
    ) -> Result<HashMap<InstanceId, Option<IpAddr>>, Failure> {
        const OPERATION: &str = "DescribeInstances";
        let values: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        let filter = Filter::builder().name("instance-id").set_values(Some(values)).build();
        let request = self
            .client
            .describe_instances()
            .filters(filter)
            .max_results(1000)
            .set_include_managed_resources(managed.then_some(true));
        let page = |token| {
            let request = request.clone().set_next_token(token);
            async move {
                let call = async { request.send().await.map_err(|error| failure::of_call(OPERATION, None, error)) };
                let answer = self.buckets.instances.call(|| failure::given_up(OPERATION, None), call).await?;
                let lacks_list = || failure::bad_answer(OPERATION, None, "the answer has no list");
                let reservations = answer.reservations.ok_or_else(lacks_list)?;
                let instances =
                    reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
                Ok(Page { items: instances.filter_map(address).collect(), next: answer.next_token })
            }
        };
        Ok(all_pages(OPERATION, None, page).await?.into_iter().collect())
    }
}

/// The address that containers on an instance are reached at; IPv6 where its subnet has nothing else.
fn address(wire: Instance) -> Option<(InstanceId, Option<IpAddr>)> {
    let ipv4 = wire.private_ip_address.and_then(|text| text.parse().ok());
    let ipv6 = wire.ipv6_address.and_then(|text| text.parse().ok());
    Some((wire.instance_id?.as_str().into(), ipv4.or(ipv6)))
}
