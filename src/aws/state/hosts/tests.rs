use aws_credential_types::Credentials;
use aws_sdk_ecs::config::{BehaviorVersion, Region};
use simaws::{
    Cluster, ContainerInstance as SimulatedInstance, Fault, FaultKind, Instance as Ec2Instance, SimAws, World,
};

use super::*;
use crate::aws::api::{Caller, Reporter};
use crate::cli::{Parsed, parse};
use crate::inventory::{Attempt, Observer, Scope, TaskStatus};

struct Nobody;

impl Observer for Nobody {
    fn attempt(&self, _: &Attempt<'_>) {}
    fn cached(&self, _: &Scope, _: Cached, _: usize) {}
}

fn hosts(aws: &SimAws, attribute_ttl: Option<Duration>) -> Hosts {
    let Ok(Parsed::Run(config)) = parse([], |_| None) else { panic!("the defaults must be valid") };
    let scope = Scope { region: "us-east-1".into(), account: None };
    let (caller, credentials) = (
        Caller::new(Reporter::new(scope.into(), std::sync::Arc::new(Nobody))),
        Credentials::new("AKIA", "x", None, None, ""),
    );
    let http = aws_smithy_http_client::Builder::new().build_http();
    let ecs = aws_sdk_ecs::Config::builder()
        .http_client(http.clone())
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials.clone())
        .endpoint_url(aws.url());
    let ec2 = aws_sdk_ec2::Config::builder()
        .http_client(http)
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .endpoint_url(aws.url());
    let ecs = Ecs::new(aws_sdk_ecs::Client::from_conf(ecs.build()), caller.clone(), &config.aws);
    let ec2 = Ec2::new(aws_sdk_ec2::Client::from_conf(ec2.build()), caller, config.aws.meta_labels);
    Hosts::new(ecs, ec2, BTreeMap::new(), attribute_ttl)
}

fn world(instances: usize) -> World {
    let mut prod = Cluster::new("prod");
    for n in 0..instances {
        prod.add_container_instance(SimulatedInstance::new(&format!("ci-{n:03}"), "i-1"));
    }
    World::default().with_cluster(prod).with_instance(Ec2Instance::new("i-1", "10.0.0.1"))
}

fn task(n: usize) -> Task {
    let arn = |kind: &str, id: &str| format!("arn:aws:ecs:us-east-1:123456789012:{kind}/prod/{id}");
    Task {
        arn: arn("task", &n.to_string()).as_str().into(),
        cluster: None,
        definition: "api:1".into(),
        group: None,
        last_status: TaskStatus::Running,
        stop_requested: false,
        version: 0,
        on_managed_instance: false,
        container_instance: Some(arn("container-instance", &format!("ci-{n:03}")).as_str().into()),
        attachment_ipv4: None,
        containers: vec![],
        details: None,
    }
}

/// Resolves the hosts of the first tasks; returns that of the first one, and the number of failures.
async fn resolve(hosts: &mut Hosts, tasks: usize) -> (Fetched<HostAddress, NoHost>, usize) {
    let (cluster, tasks): (ClusterRef, Vec<Task>) = ("prod".into(), (0..tasks).map(task).collect());
    let tasks: Vec<_> = tasks.iter().map(|task| (&cluster, task)).collect();
    let mut failures = Failures::default();
    let mut resolved = hosts.resolve(&tasks, &mut failures).await;
    let first = tasks[0].1.container_instance.as_ref().unwrap();
    (resolved.remove(first).unwrap(), failures.len())
}

fn set_attribute(aws: &SimAws, value: &str) {
    let attribute = serde_json::json!({"name": "ecs-discovery.host", "value": value});
    aws.change(|world| world.cluster_mut("prod").container_instance_mut("ci-000").attributes = vec![attribute]);
}

fn named(value: &str) -> Fetched<HostAddress, NoHost> {
    Fetched::Known(HostAddress::Attribute(value.into()))
}

#[tokio::test]
async fn a_changed_attribute_is_noticed_and_a_failed_call_keeps_the_last_one() {
    let aws = SimAws::start_blocking(world(1)).unwrap();
    let mut hosts = hosts(&aws, Some(Duration::ZERO));
    let of_instance = Fetched::Known(HostAddress::Instance(std::net::IpAddr::from([10, 0, 0, 1]).into()));
    assert_eq!(resolve(&mut hosts, 1).await, (of_instance, 0));
    set_attribute(&aws, " host-1.internal ");
    assert_eq!(resolve(&mut hosts, 1).await, (named("host-1.internal"), 0));
    set_attribute(&aws, "host-2.internal");
    for kind in [FaultKind::Denied, FaultKind::CutBody, FaultKind::EmptyObject] {
        aws.add_fault(Fault::always("ecs:DescribeContainerInstances", kind));
        assert_eq!(resolve(&mut hosts, 1).await, (named("host-1.internal"), 1));
        aws.clear_faults();
    }
    assert_eq!(resolve(&mut hosts, 1).await, (named("host-2.internal"), 0));
}

#[tokio::test]
async fn attributes_are_cached_and_a_call_refreshes_as_many_as_it_takes() {
    let aws = SimAws::start_blocking(world(150)).unwrap();
    let described = |aws: &SimAws| -> Vec<usize> {
        let requests = aws.take_calls().requests("ecs:DescribeContainerInstances");
        requests.iter().map(|request| request["containerInstances"].as_array().unwrap().len()).collect()
    };
    for (ttl, filled) in [(Some(Duration::from_secs(600)), 100), (None, 1)] {
        let mut hosts = hosts(&aws, ttl);
        resolve(&mut hosts, 149).await;
        assert_eq!(described(&aws).iter().sum::<usize>(), 149);
        resolve(&mut hosts, 149).await;
        assert_eq!(described(&aws).len(), 0);
        resolve(&mut hosts, 150).await;
        assert_eq!(described(&aws), [filled], "{ttl:?}");
    }
}
