//! The region chain: the flag, the environment, the profile, the ECS task metadata endpoint, IMDS.
//!
//! The SDK's own chain lacks the task metadata endpoint, and on EC2 only ECS agents from 1.104 on
//! set `AWS_REGION` in containers (ECS Developer Guide, "Amazon ECS task metadata endpoint version 4").

use std::time::Duration;

use aws_config::Region;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::{ProvideRegion, RegionProviderChain, future};
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_ecs::config::SharedHttpClient;
use serde::Deserialize;

use crate::http::{self, HttpError};

/// The time limit for the endpoint, which is on the same host.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the chain, in the order in which a region is looked for.
pub(super) fn chain(flag: Option<&str>, http: SharedHttpClient) -> RegionProviderChain {
    let config = ProviderConfig::without_region().with_http_client(http);
    RegionProviderChain::first_try(flag.map(|region| Region::new(region.to_owned())))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(TaskMetadata)
        .or_else(ImdsRegionProvider::builder().configure(&config).build())
}

/// The task metadata endpoint of the ECS agent.
#[derive(Debug)]
struct TaskMetadata;

impl ProvideRegion for TaskMetadata {
    fn region(&self) -> future::ProvideRegion<'_> {
        let Ok(endpoint) = std::env::var("ECS_CONTAINER_METADATA_URI_V4") else {
            return future::ProvideRegion::ready(None);
        };
        future::ProvideRegion::new(async move {
            let asked = tokio::time::timeout(TIMEOUT, task_arn(&format!("{endpoint}/task"))).await;
            match asked.map_err(Box::from).flatten() {
                Ok(arn) => region_of(&arn),
                Err(error) => {
                    tracing::warn!(endpoint, error, "the ECS task metadata endpoint does not tell the region");
                    None
                }
            }
        })
    }
}

/// The fourth field of `arn:aws:ecs:REGION:ACCOUNT:task/…`.
fn region_of(arn: &str) -> Option<Region> {
    let region = arn.split(':').nth(3).filter(|region| !region.is_empty())?;
    Some(Region::new(region.to_owned()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    #[serde(rename = "TaskARN")]
    task_arn: String,
}

async fn task_arn(url: &str) -> Result<String, HttpError> {
    let (status, body) = http::get(url).await?;
    if !status.is_success() {
        return Err(format!("it answers {status}").into());
    }
    Ok(serde_json::from_slice::<Metadata>(&body)?.task_arn)
}
