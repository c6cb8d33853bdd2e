use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use futures_util::future::join_all;
use simaws::{Cluster, Fault, FaultKind, SimAws, World};

use super::login::Fetching;
use super::*;

const ACCOUNT: &str = "222222222222";

/// Keys that do not expire.
#[derive(Debug)]
struct Keys(&'static str);

impl login::Login for Keys {
    fn fetch(self: Arc<Self>) -> Fetching {
        Box::pin(async move { Ok(Credentials::new(self.0, "secret", None, None, "test")) })
    }

    fn waiting_for(&self) -> String {
        String::new()
    }

    fn too_slow(&self, message: String) -> LoginError {
        LoginError::Unavailable(message)
    }
}

/// Returns the ECS client for a scope. It hardly pauses between attempts.
fn client(aws: &SimAws, identity: &Identity, region: &str) -> aws_sdk_ecs::Client {
    let key = if identity.role().is_some() { "ASIA-reader-222222222222-1" } else { "AKIATEST" };
    let retries = retry::config().unwrap().with_initial_backoff(Duration::from_millis(1));
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(aws.url())
        .retry_config(retries)
        .build();
    let config = with_login(&shared, &Login::new(Background::new(Keys(key))));
    let scope = Scope { region: region.into(), account: identity.account().cloned() };
    Clients::new(&config, identity, &scope).ecs
}

async fn list(client: &aws_sdk_ecs::Client) -> bool {
    client.list_tasks().cluster("prod").send().await.is_ok()
}

/// AWS throttles each account and region by itself, and so does one scope exhaust only its own retries.
#[tokio::test]
async fn throttled_scope_takes_no_retries_from_others() {
    let world = |account, region| World::new(account, region).with_cluster(Cluster::new("prod"));
    let home = world("111111111111", "us-east-1").with_other(world("111111111111", "eu-west-1"));
    let aws = SimAws::start(home.with_other(world(ACCOUNT, "us-east-1"))).await.unwrap();
    let role = Identity::Role(RoleArn::parse(&format!("arn:aws:iam::{ACCOUNT}:role/reader")).unwrap());
    let throttled = client(&aws, &Identity::Own, "us-east-1");
    let others = [client(&aws, &Identity::Own, "eu-west-1"), client(&aws, &role, "us-east-1")];

    aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Throttle).account("111111111111").region("us-east-1"));
    let mut without_retry = false;
    while !without_retry {
        let before = aws.calls().get("ecs:ListTasks");
        assert!(!join_all((0..50).map(|_| list(&throttled))).await.contains(&true));
        without_retry = aws.calls().get("ecs:ListTasks") - before < 100;
    }
    for other in others {
        aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Throttle).times(4));
        assert!(list(&other).await, "the fifth attempt succeeds");
    }
}
