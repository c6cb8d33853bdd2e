//! The region if no flag sets it: from the environment, the profile, the ECS task metadata endpoint, or IMDS.
//!
//! The SDK's own chain lacks the task metadata endpoint, and on EC2 only ECS agents from 1.104 on
//! set `AWS_REGION` in containers (ECS Developer Guide, "Amazon ECS task metadata endpoint version 4").

use std::time::Duration;

use aws_config::imds::Client as Imds;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use serde::Deserialize;

use super::environment::variable;
use super::error::StartError;
use super::imds;
use super::profile::Profiles;
use crate::aws::api::errors;
use crate::http::{self, HttpError};
use crate::inventory::{Shared, is_region};

/// The time limit of a request to the task metadata endpoint, which is on the same host.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;

/// The pause after the first attempt; it grows with their number.
const PAUSE: Duration = Duration::from_millis(100);

/// Returns the first region that is configured.
pub(super) async fn find(profiles: &Profiles, imds: &Imds) -> Result<Shared, StartError> {
    let (region, from) = look_for(profiles, imds).await?;
    if !is_region(&region) {
        return Err(StartError::setting(from, &region, "a region such as eu-west-1"));
    }
    tracing::debug!(region, from, "AWS region");
    Ok(region.into())
}

async fn look_for(profiles: &Profiles, imds: &Imds) -> Result<(String, &'static str), StartError> {
    if let Some(found) = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| Some((variable(name)?, name)))
    {
        return Ok(found);
    }
    let profile = ProfileFileRegionProvider::builder().profile_files(profiles.files.clone()).build();
    if let Some(region) = profile.region().await {
        return Ok((region.to_string(), "region in the AWS profile"));
    }
    if let Some(region) = from_task_metadata().await {
        return Ok((region, "the region of the ECS task"));
    }
    if imds::is_disabled() {
        return Err(StartError::NoRegion(String::new()));
    }
    match imds.get("/latest/meta-data/placement/region").await {
        Ok(region) => Ok((region.into(), "the region of the EC2 instance")),
        Err(error) => Err(StartError::NoRegion(imds::hint(&errors::chain(&error)))),
    }
}

/// Returns the region of the ECS task. The endpoint may be slow when the task starts, and is asked several times.
async fn from_task_metadata() -> Option<String> {
    let endpoint = variable("ECS_CONTAINER_METADATA_URI_V4")?;
    for attempt in 1..=ATTEMPTS {
        let asked = tokio::time::timeout(TIMEOUT, task_arn(&format!("{endpoint}/task"))).await;
        match asked.map_err(Box::from).flatten() {
            Ok(arn) => return region_of(&arn),
            Err(error) => {
                tracing::warn!(endpoint, error, attempt, "the ECS task metadata endpoint does not tell the region");
            }
        }
        if attempt < ATTEMPTS {
            tokio::time::sleep(PAUSE * attempt).await;
        }
    }
    None
}

/// The fourth field of `arn:aws:ecs:REGION:ACCOUNT:task/…`.
fn region_of(arn: &str) -> Option<String> {
    arn.split(':').nth(3).filter(|region| is_region(region)).map(str::to_owned)
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
    arn_in(&body)
}

fn arn_in(metadata: &[u8]) -> Result<String, HttpError> {
    Ok(serde_json::from_slice::<Metadata>(metadata)?.task_arn)
}

/// Returns the region in a response of the task metadata endpoint.
pub fn region_in_metadata(metadata: &[u8]) -> Option<String> {
    region_of(&arn_in(metadata).ok()?)
}
