//! Which region: the flag, the environment, the profile, the ECS task metadata endpoint, IMDS.
//!
//! The SDK's own chain does not know the task metadata endpoint, and on EC2 only ECS agents from 1.104 on
//! set `AWS_REGION` in containers (ECS Developer Guide, "Amazon ECS task metadata endpoint version 4").

use std::error::Error;
use std::time::Duration;

use aws_config::Region;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::{ProvideRegion, RegionProviderChain, future};
use aws_config::profile::ProfileFileRegionProvider;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

/// The endpoint is on the same machine.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A task's metadata takes a few kilobytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// The order in which a region is looked for.
pub(super) fn chain(flag: Option<&str>) -> RegionProviderChain {
    RegionProviderChain::first_try(flag.map(|region| Region::new(region.to_owned())))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(TaskMetadata)
        .or_else(ImdsRegionProvider::builder().build())
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

async fn task_arn(url: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    let uri: Uri = url.parse()?;
    let host = uri.host().ok_or("no host in its address")?;
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, host).body(Empty::<Bytes>::new())?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        if !answer.status().is_success() {
            return Err(format!("it answers {}", answer.status()).into());
        }
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await?.to_bytes();
        Ok(serde_json::from_slice::<Metadata>(&body)?.task_arn)
    };
    tokio::select! {
        answer = exchange => answer,
        closed = connection => Err(closed.err().map_or("it hangs up".into(), Box::from)),
    }
}
