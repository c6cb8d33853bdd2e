//! A stand-in for AWS: the SDK's requests are answered here, without a connection.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use ecs_discovery::aws::{Aws, Offline};
use ecs_discovery::config::Config;
use ecs_discovery::inventory::{Attempt, Cached, Observer, Scope};
use ecs_discovery::targets::{has_target, needs_instance};

use crate::runtime::block_on;

/// The operations that the program calls.
pub(crate) const OPERATIONS: [&str; 13] = [
    "ListClusters",
    "ListTasks",
    "DescribeTasks",
    "DescribeTaskDefinition",
    "DescribeContainerInstances",
    "DescribeInstances",
    "DescribeServices",
    "DescribeClusters",
    "DescribeNetworkInterfaces",
    "ReceiveMessage",
    "DeleteMessageBatch",
    "GetCallerIdentity",
    "AssumeRole",
];

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// What responds to a request: an operation, and the body of the request.
type Respond = dyn Fn(&str, &str) -> Response + Send + Sync;

/// The stand-in, which responds as it is told.
#[derive(Clone)]
pub(crate) struct StandIn(Arc<Mutex<Arc<Respond>>>);

impl StandIn {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Arc::new(|_: &str, _: &str| unreachable!("no call is expected")))))
    }

    /// Changes how requests are responded to.
    pub(crate) fn set(&self, respond: impl Fn(&str, &str) -> Response + Send + Sync + 'static) {
        *self.0.lock().unwrap() = Arc::new(respond);
    }
}

impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StandIn")
    }
}

impl HttpClient for StandIn {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for StandIn {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        let operation = match request.headers().get("x-amz-target") {
            // The services with JSON.
            Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
            // Those with a query.
            None => body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default().to_owned(),
        };
        assert!(OPERATIONS.contains(&operation.as_str()), "an unexpected call: {operation:?}");
        let respond = self.0.lock().unwrap().clone();
        let Response { status, body } = respond(&operation, &body);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body.into())))
    }
}

/// The stand-in with the clients that call it.
pub(crate) struct Clients {
    pub(crate) aws: StandIn,
    pub(crate) offline: Offline,
}

thread_local! {
    static CLIENTS: Clients = {
        let aws = StandIn::new();
        Clients { offline: block_on(Offline::new(aws.clone())).unwrap(), aws }
    };
}

/// Does something with the clients. They are costly to create.
pub(crate) fn with_clients<T>(work: impl FnOnce(&Clients) -> T) -> T {
    CLIENTS.with(work)
}

/// Observes nothing.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn attempt(&self, _: &Attempt<'_>) {}
    fn cached(&self, _: &Scope, _: Cached, _: usize) {}
}

/// Returns a source with the contents of a cache file.
pub(crate) fn source(offline: &Offline, config: &Config, cache_file: &[u8]) -> Aws {
    let scope = Scope { region: "eu-west-1".into(), account: Some("123456789012".into()) };
    let (rules, same) = (config.rules.clone(), config.rules.clone());
    let of_task: [ecs_discovery::aws::OfTask; 2] = [
        Arc::new(move |task: &_, definition: &_| needs_instance(task, definition, &rules)),
        Arc::new(move |task: &_, definition: &_| has_target(task, definition, &same)),
    ];
    Aws::offline(offline, scope, &config.aws, cache_file, of_task, Arc::new(Nobody))
}

pub(crate) const CLUSTER: &str = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod";
pub(crate) const FARGATE_TASK: &str = "arn:aws:ecs:eu-west-1:123456789012:task/prod/fargate";
pub(crate) const EC2_TASK: &str = "arn:aws:ecs:eu-west-1:123456789012:task/prod/ec2";
pub(crate) const INSTANCE: &str = "arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/ci";

/// Returns the response of an AWS in which all is well: a task on Fargate and one on EC2, with a target each.
pub(crate) fn healthy(operation: &str, request: &str) -> Response {
    let body = match operation {
        "ListClusters" => format!(r#"{{"clusterArns":["{CLUSTER}"]}}"#),
        "ListTasks" => format!(r#"{{"taskArns":["{FARGATE_TASK}","{EC2_TASK}"]}}"#),
        "DescribeTaskDefinition" if request.contains("api:2") => definition("api", 2, "bridge"),
        "DescribeTaskDefinition" => definition("web", 1, "awsvpc"),
        "DescribeTasks" => TASKS.into(),
        "DescribeContainerInstances" => CONTAINER_INSTANCES.into(),
        "DescribeInstances" => INSTANCES.into(),
        "DescribeServices" => SERVICES.into(),
        "DescribeClusters" => CLUSTERS.into(),
        "DescribeNetworkInterfaces" => INTERFACES.into(),
        "ReceiveMessage" => MESSAGES.into(),
        "DeleteMessageBatch" => r#"{"Successful":[{"Id":"0"}],"Failed":[]}"#.into(),
        "GetCallerIdentity" => IDENTITY.into(),
        _ => SESSION.into(),
    };
    Response { status: 200, body: body.into_bytes() }
}

fn definition(family: &str, revision: u32, mode: &str) -> String {
    format!(
        r#"{{"taskDefinition":{{"taskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/{family}:{revision}","family":"{family}","revision":{revision},"networkMode":"{mode}","containerDefinitions":[{{"name":"app","image":"app:1","dockerLabels":{{"PROMETHEUS_EXPORTER_PORT":"9102"}},"environment":[{{"name":"PASSWORD","value":"hunter2"}}]}}]}}}}"#
    )
}

const TASKS: &str = r#"{"tasks":[{"taskArn":"arn:aws:ecs:eu-west-1:123456789012:task/prod/fargate","clusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/prod","taskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1","group":"service:web","lastStatus":"RUNNING","desiredStatus":"RUNNING","launchType":"FARGATE","version":3,"startedAt":1.7e9,"attachments":[{"type":"ElasticNetworkInterface","details":[{"name":"networkInterfaceId","value":"eni-1"},{"name":"privateIPv4Address","value":"10.0.0.1"}]}],"containers":[{"name":"app","lastStatus":"RUNNING","networkInterfaces":[{"privateIpv4Address":"10.0.0.1"}]}],"tags":[{"key":"team","value":"a"}]},{"taskArn":"arn:aws:ecs:eu-west-1:123456789012:task/prod/ec2","clusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/prod","taskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/api:2","containerInstanceArn":"arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/ci","lastStatus":"RUNNING","desiredStatus":"RUNNING","launchType":"EC2","version":5,"containers":[{"name":"app","lastStatus":"RUNNING","networkBindings":[{"bindIP":"0.0.0.0","containerPort":9102,"hostPort":32768,"protocol":"tcp"}]}]}],"failures":[]}"#;

const CONTAINER_INSTANCES: &str = r#"{"containerInstances":[{"containerInstanceArn":"arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/ci","ec2InstanceId":"i-1","attributes":[{"name":"ecs.os-type","value":"linux"}]}],"failures":[]}"#;

const INSTANCES: &str = r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><reservationSet><item><reservationId>r-1</reservationId><instancesSet><item><instanceId>i-1</instanceId><instanceType>m5.large</instanceType><privateIpAddress>10.0.1.1</privateIpAddress><subnetId>subnet-1</subnetId><tagSet><item><key>Name</key><value>host</value></item></tagSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#;

const SERVICES: &str =
    r#"{"services":[{"serviceName":"web","status":"ACTIVE","tags":[{"key":"team","value":"a"}]}],"failures":[]}"#;

const CLUSTERS: &str = r#"{"clusters":[{"clusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/prod","tags":[{"key":"stage","value":"prod"}]}],"failures":[]}"#;

const INTERFACES: &str = r#"<DescribeNetworkInterfacesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><association><publicIp>203.0.113.1</publicIp></association></item></networkInterfaceSet></DescribeNetworkInterfacesResponse>"#;

const MESSAGES: &str = r#"{"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":"{\"source\":\"aws.ecs\",\"detail-type\":\"ECS Task State Change\",\"detail\":{\"clusterArn\":\"arn:aws:ecs:eu-west-1:123456789012:cluster/prod\",\"taskArn\":\"arn:aws:ecs:eu-west-1:123456789012:task/prod/fargate\",\"version\":4,\"lastStatus\":\"RUNNING\",\"desiredStatus\":\"RUNNING\"}}"}]}"#;

const IDENTITY: &str = r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/a</Arn><UserId>u</UserId><Account>123456789012</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"#;

const SESSION: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>i</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser><Credentials><AccessKeyId>k</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"#;
