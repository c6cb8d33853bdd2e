//! ECS: operations, limits, pages, quotas.

use serde_json::{Value, json};
use simaws::{Calls, Cluster, Describe, Options, Service, Task, World};

use crate::client::{ecs, listing, send, try_send};
use crate::{start, world};

const ARN: &str = "arn:aws:ecs:us-east-1:123456789012";

fn paged(size: usize) -> Options {
    Options { page_size: Some(size), ..Options::default() }
}

#[test]
fn active_clusters_are_listed() {
    let aws = start(world());
    aws.change(|world| world.cluster_mut("empty").status = "INACTIVE".to_owned());
    let reply = ecs(&aws, "ListClusters", json!({}));
    assert_eq!(reply.json(), json!({"clusterArns": [format!("{ARN}:cluster/prod")]}));
    assert!(reply.head.contains("x-amzn-requestid: 5e1f"), "{}", reply.head);
    assert!(reply.head.contains("content-type: application/x-amz-json-1.1"), "{}", reply.head);
    let inactive = ecs(&aws, "ListTasks", json!({"cluster": "empty"}));
    assert_eq!(inactive.error(), (400, "ClusterNotFoundException".to_owned()));
    assert!(aws.unexpected().is_empty());
}

#[test]
fn tasks_are_listed_by_cluster_and_desired_status() {
    let aws = start(world());
    aws.change(|world| {
        let prod = world.cluster_mut("prod");
        prod.add_task(Task::fargate("hidden", "web:3")).task_mut("hidden").listed = false;
        prod.add_task(Task::fargate("gone", "web:3").desired_status("STOPPED").last_status("STOPPED"));
    });
    let list = |body: Value| listing(&aws, "ListTasks", "taskArns", body).1;
    let arns = |ids: &[&str]| ids.iter().map(|id| format!("{ARN}:task/prod/{id}")).collect::<Vec<_>>();
    assert_eq!(list(json!({"cluster": "prod"})), arns(&["t1", "t2", "gone"]));
    assert_eq!(
        list(json!({"cluster": format!("{ARN}:cluster/prod"), "desiredStatus": "RUNNING"})),
        arns(&["t1", "t2"])
    );
    assert_eq!(list(json!({"cluster": "empty"})), arns(&[]));
    for cluster in ["none", "default", "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"] {
        let reply = ecs(&aws, "ListTasks", json!({"cluster": cluster}));
        assert_eq!(reply.error(), (400, "ClusterNotFoundException".to_owned()), "{cluster}");
    }
    aws.change(|world| {
        world.add_cluster(Cluster::new("default").with_task(Task::fargate("d", "web:3"))).clusters.len()
    });
    assert_eq!(list(json!({})), [format!("{ARN}:task/default/d")]);
    assert!(aws.unexpected().is_empty());
}

#[test]
fn any_page_size_gives_the_same_tasks() {
    let mut cluster = Cluster::new("prod");
    cluster.tasks = (0..250).map(|n| Task::fargate(&format!("t{n}"), "web:3")).collect();
    let aws = start(World::default().with_cluster(cluster));
    let list = |body| listing(&aws, "ListTasks", "taskArns", body);
    let (pages, expected) = list(json!({"cluster": "prod"}));
    assert_eq!((pages, expected.len()), (3, 250));
    for size in [1, 7, 99, 250] {
        aws.set_options(paged(size));
        let pages = 250_usize.div_ceil(size.min(100));
        assert_eq!(list(json!({"cluster": "prod"})), (pages, expected.clone()));
    }
    assert_eq!(list(json!({"cluster": "prod", "maxResults": 50})), (5, expected));
    assert!(aws.unexpected().is_empty());
}

#[test]
fn token_of_another_listing_is_rejected() {
    let aws = start(world());
    aws.set_options(paged(1));
    let token = ecs(&aws, "ListClusters", json!({})).json()["nextToken"].clone();
    let reply = ecs(&aws, "ListTasks", json!({"cluster": "prod", "nextToken": token}));
    assert_eq!(reply.error(), (400, "InvalidParameterException".to_owned()));
    assert_eq!(aws.unexpected().len(), 1);
}

#[test]
fn tasks_are_described_in_the_requested_order() {
    let aws = start(world());
    let wanted = json!({"cluster": "prod", "tasks": ["t2", format!("{ARN}:task/prod/t1")]});
    let body = ecs(&aws, "DescribeTasks", wanted).json();
    let (api, web) = (&body["tasks"][0], &body["tasks"][1]);
    assert_eq!(api["containerInstanceArn"], format!("{ARN}:container-instance/prod/ci1"));
    assert_eq!(api["containers"][0]["networkBindings"][0]["hostPort"], 32768);
    assert_eq!(web["taskArn"], format!("{ARN}:task/prod/t1"));
    assert_eq!(web["taskDefinitionArn"], format!("{ARN}:task-definition/web:3"));
    assert_eq!(web["containers"][0]["networkInterfaces"][0]["privateIpv4Address"], "10.0.0.1");
    assert_eq!(
        (&web["lastStatus"], &web["launchType"], &web["group"]),
        (&json!("RUNNING"), &json!("FARGATE"), &json!("service:web"))
    );
    assert_eq!((&web["tags"], &body["failures"]), (&json!([]), &json!([])));
    let tagged = ecs(&aws, "DescribeTasks", json!({"cluster": "prod", "tasks": ["t1"], "include": ["TAGS"]})).json();
    assert_eq!(tagged["tasks"][0]["tags"], json!([{"key": "team", "value": "x"}]));
}

#[test]
fn records_can_be_missing_or_omitted() {
    let aws = start(world());
    aws.change(|world| {
        world.cluster_mut("prod").task_mut("t1").describe = Describe::Missing;
        world.cluster_mut("prod").task_mut("t2").describe = Describe::Omitted;
        world.cluster_mut("prod").container_instance_mut("ci1").describe = Describe::Missing;
    });
    let other = format!("{ARN}:task/empty/t2");
    let body = ecs(&aws, "DescribeTasks", json!({"cluster": "prod", "tasks": ["t1", "t2", "t3", other]})).json();
    let missing = |arn: String| json!({"arn": arn, "reason": "MISSING"});
    let failures =
        json!([missing(format!("{ARN}:task/prod/t1")), missing(format!("{ARN}:task/prod/t3")), missing(other)]);
    assert_eq!(body, json!({"tasks": [], "failures": failures}));
    let body =
        ecs(&aws, "DescribeContainerInstances", json!({"cluster": "prod", "containerInstances": ["ci1"]})).json();
    let failures = json!([missing(format!("{ARN}:container-instance/prod/ci1"))]);
    assert_eq!(body, json!({"containerInstances": [], "failures": failures}));
}

#[test]
fn container_instances_name_their_instances() {
    let aws = start(world());
    let arn = format!("{ARN}:container-instance/prod/ci1");
    let body = ecs(&aws, "DescribeContainerInstances", json!({"cluster": "prod", "containerInstances": [arn]})).json();
    assert_eq!(body["containerInstances"][0]["ec2InstanceId"], "i-1");
    assert_eq!(body["containerInstances"][0]["containerInstanceArn"], arn);
}

#[test]
fn task_definitions_are_found_by_name_and_arn() {
    let aws = start(world());
    for wanted in ["web:3", "web", &format!("{ARN}:task-definition/web:3")] {
        let body = ecs(&aws, "DescribeTaskDefinition", json!({"taskDefinition": wanted})).json();
        let definition = &body["taskDefinition"];
        assert_eq!((&definition["family"], &definition["revision"]), (&json!("web"), &json!(3)), "{wanted}");
        assert_eq!(definition["networkMode"], "awsvpc");
        assert_eq!(definition["containerDefinitions"][0]["dockerLabels"]["PROMETHEUS_EXPORTER_PORT"], "9102");
    }
    aws.change(|world| world.task_definition_mut("web", 3).status = "DELETED".to_owned());
    for wanted in ["web:3", "none:1"] {
        let reply = ecs(&aws, "DescribeTaskDefinition", json!({"taskDefinition": wanted}));
        assert_eq!(reply.error(), (400, "ClientException".to_owned()));
    }
    assert!(aws.unexpected().is_empty());
}

#[test]
fn exceeded_limits_are_rejected_and_recorded() {
    let aws = start(world());
    let ids: Vec<_> = (0..101).map(|n| format!("t{n}")).collect();
    let rejected = [
        ("ListTasks", json!({"cluster": "prod", "maxResults": 101})),
        ("ListTasks", json!({"cluster": "prod", "serviceName": "web"})),
        ("ListClusters", json!({"maxResults": 0})),
        ("DescribeTasks", json!({"cluster": "prod", "tasks": []})),
        ("DescribeTasks", json!({"cluster": "prod", "tasks": ids})),
        ("DescribeContainerInstances", json!({"cluster": "prod"})),
        ("DescribeContainerInstances", json!({"cluster": "prod", "containerInstances": ids})),
        ("DescribeTaskDefinition", json!({})),
    ];
    for (index, (action, body)) in rejected.into_iter().enumerate() {
        let reply = ecs(&aws, action, body);
        assert_eq!(reply.error(), (400, "InvalidParameterException".to_owned()), "{action}");
        assert_eq!(aws.unexpected().len(), index + 1);
    }
    assert!(aws.unexpected()[3].starts_with("ecs:DescribeTasks: InvalidParameterException: Tasks cannot be empty."));
}

#[test]
fn unknown_calls_are_rejected_and_recorded() {
    let aws = start(world());
    assert_eq!(ecs(&aws, "ListServices", json!({})).error(), (400, "UnknownOperationException".to_owned()));
    assert_eq!(ecs(&aws, "ListTasks", json!("x")).error(), (400, "SerializationException".to_owned()));
    assert_eq!(send(&aws, "GET /latest/meta-data", "").status, 404);
    assert_eq!(try_send(&aws, "POST /", "X-Amz-Target: Logs_20140328.X\r\n", "{}").unwrap().status, 404);
    assert_eq!(aws.unexpected().len(), 4, "{:?}", aws.unexpected());
}

#[test]
fn calls_are_counted_and_their_bodies_kept() {
    let aws = start(world());
    ecs(&aws, "ListTasks", json!({"cluster": "prod"}));
    ecs(&aws, "ListTasks", json!({"cluster": "empty"}));
    try_send(
        &aws,
        "POST /",
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIA1/20260101/x\r\n",
        "Action=GetCallerIdentity&Version=2011-06-15",
    )
    .unwrap();
    let calls = aws.calls();
    assert_eq!(calls, Calls::of(&[("ecs:ListTasks", 2), ("sts:GetCallerIdentity", 1)]));
    assert_eq!(calls.requests("ecs:ListTasks"), [json!({"cluster": "prod"}), json!({"cluster": "empty"})]);
    assert_eq!(calls.access_keys("sts:GetCallerIdentity"), ["AKIA1"]);
    assert_eq!(aws.take_calls(), calls);
    assert_eq!(aws.calls(), Calls::default());
}

#[test]
fn quotas_throttle() {
    let aws = start(world());
    aws.set_options(Options { quotas: true, ..Options::default() });
    let describe = |_| ecs(&aws, "DescribeTaskDefinition", json!({"taskDefinition": "web:3"}));
    // The bucket holds 50 tokens and refills during the test, so far more calls are made until one fails.
    let replies: Vec<_> = (0..5000).map(describe).take_while(|reply| reply.status == 200).collect();
    assert!((50..5000).contains(&replies.len()), "{} calls succeeded", replies.len());
    assert_eq!(aws.calls().throttled(), 1);
}

#[tokio::test]
async fn server_runs_beside_a_single_threaded_runtime() {
    let aws = simaws::SimAws::start(world()).await.unwrap();
    assert_eq!(ecs(&aws, "ListClusters", json!({})).status, 200);
    assert_eq!(aws.url(), format!("http://{}", aws.address()));
}

#[test]
fn services_are_described_ten_at_a_time() {
    let aws = start(world());
    aws.change(|world| {
        let prod = world.cluster_mut("prod");
        prod.services.push(Service::new("web").tag("team", "x"));
        prod.services.push(Service { describe: Describe::Omitted, ..Service::new("quiet") });
    });
    let wanted = json!({"cluster": "prod", "services": ["web", "gone", "quiet"]});
    let body = ecs(&aws, "DescribeServices", wanted).json();
    let arn = format!("{ARN}:service/prod/web");
    let cluster = format!("{ARN}:cluster/prod");
    let web = json!({"clusterArn": cluster, "serviceArn": arn, "serviceName": "web", "status": "ACTIVE", "tags": []});
    let failures = json!([{"arn": format!("{ARN}:service/prod/gone"), "reason": "MISSING"}]);
    assert_eq!(body, json!({"services": [web], "failures": failures}));
    let tagged = json!({"cluster": "prod", "services": [arn], "include": ["TAGS"]});
    assert_eq!(
        ecs(&aws, "DescribeServices", tagged).json()["services"][0]["tags"],
        json!([{"key": "team", "value": "x"}])
    );
    assert!(aws.unexpected().is_empty());
    for names in [vec![], (0..11).map(|n| format!("s{n}")).collect()] {
        let reply = ecs(&aws, "DescribeServices", json!({"cluster": "prod", "services": names}));
        assert_eq!(reply.error(), (400, "InvalidParameterException".to_owned()));
    }
    let nowhere = ecs(&aws, "DescribeServices", json!({"cluster": "nowhere", "services": ["web"]}));
    assert_eq!(nowhere.error(), (400, "ClusterNotFoundException".to_owned()));
}

#[test]
fn clusters_are_described_by_name_or_arn() {
    let aws = start(world());
    aws.change(|world| world.cluster_mut("prod").tags.push(json!({"key": "env", "value": "p"})));
    let other = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod";
    let wanted = json!({"clusters": ["prod", "none", other], "include": ["TAGS"]});
    let body = ecs(&aws, "DescribeClusters", wanted).json();
    assert_eq!(body["clusters"][0]["tags"], json!([{"key": "env", "value": "p"}]));
    let missing = |arn: &str| json!({"arn": arn, "reason": "MISSING"});
    assert_eq!(body["failures"], json!([missing(&format!("{ARN}:cluster/none")), missing(other)]));
    let by_arn = ecs(&aws, "DescribeClusters", json!({"clusters": [format!("{ARN}:cluster/empty")]})).json();
    assert_eq!((&by_arn["clusters"][0]["clusterName"], &by_arn["clusters"][0]["tags"]), (&json!("empty"), &json!([])));
    assert!(aws.unexpected().is_empty());
    let too_many: Vec<_> = (0..101).map(|n| format!("c{n}")).collect();
    let reply = ecs(&aws, "DescribeClusters", json!({"clusters": too_many}));
    assert_eq!(reply.error(), (400, "InvalidParameterException".to_owned()));
}
