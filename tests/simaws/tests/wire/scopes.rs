//! Several accounts and regions in one simulated AWS.

use serde_json::{Value, json};
use simaws::{Calls, Cluster, Fault, FaultKind, Options, SimAws, World};

use crate::client::{Reply, ecs, send, sts, try_send};
use crate::{start, world};

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";
const IN_TWO: &str = "ASIA-reader-222222222222-000000000001";

/// Returns a home account with `a` and `b` in two regions, and another with `c`.
fn worlds() -> World {
    let with =
        |account: &str, region: &str, cluster: &str| World::new(account, region).with_cluster(Cluster::new(cluster));
    with(ONE, "eu-west-1", "a").with_other(with(ONE, "us-east-1", "b")).with_other(with(TWO, "us-east-1", "c"))
}

fn signed(aws: &SimAws, key: &str, region: &str, target: &str, body: &str) -> Reply {
    let target = if target.is_empty() {
        String::new()
    } else {
        format!("X-Amz-Target: AmazonEC2ContainerServiceV20141113.{target}\r\n")
    };
    let credential = format!("Credential={key}/20260101/{region}/ecs/aws4_request");
    let authorization = format!("Authorization: AWS4-HMAC-SHA256 {credential}, Signature=x/y/z\r\n");
    try_send(aws, "POST /", &format!("{target}{authorization}"), body).unwrap()
}

fn clusters(aws: &SimAws, key: &str, region: &str) -> Value {
    signed(aws, key, region, "ListClusters", "{}").json()["clusterArns"].clone()
}

#[test]
fn role_and_region_decide_what_a_call_sees() {
    let aws = start(worlds());
    for (key, region, expected) in [
        ("AKIA1", "eu-west-1", json!([format!("arn:aws:ecs:eu-west-1:{ONE}:cluster/a")])),
        ("AKIA1", "us-east-1", json!([format!("arn:aws:ecs:us-east-1:{ONE}:cluster/b")])),
        (IN_TWO, "us-east-1", json!([format!("arn:aws:ecs:us-east-1:{TWO}:cluster/c")])),
        (IN_TWO, "eu-west-1", json!([])),
    ] {
        assert_eq!(clusters(&aws, key, region), expected, "{key} {region}");
    }
    let calls = aws.calls();
    let scopes = [(ONE, "eu-west-1"), (ONE, "us-east-1"), (TWO, "eu-west-1"), (TWO, "us-east-1")];
    assert_eq!(calls.scopes(), scopes.map(|(account, region)| format!("{account}/{region}")));
    for (account, region) in scopes {
        assert_eq!(calls.in_scope(account, region), Calls::of(&[("ecs:ListClusters", 1)]));
    }
    assert_eq!(
        send(&aws, "GET /_sim/calls/scopes", "").json()[format!("{TWO}/us-east-1")],
        json!({"ecs:ListClusters": 1})
    );
    assert!(aws.unexpected().is_empty());
}

#[test]
fn session_of_a_role_is_of_the_roles_account() {
    let aws = start(worlds());
    let role = format!("Action=AssumeRole&RoleSessionName=s&RoleArn=arn:aws:iam::{TWO}:role/my-reader");
    let reply = sts(&aws, &role);
    assert_eq!(reply.all("Arn"), [format!("arn:aws:sts::{TWO}:assumed-role/my-reader/s")]);
    let key = reply.all("AccessKeyId").concat();
    let identity = |key: &str| {
        let reply = signed(&aws, key, "us-east-1", "", "Version=2011-06-15&Action=GetCallerIdentity");
        reply.all("Account").concat()
    };
    assert_eq!((identity(&key), identity("AKIA1")), (TWO.to_owned(), ONE.to_owned()));
}

#[test]
fn another_regions_cluster_and_token_are_unknown() {
    let aws = start(worlds());
    aws.change(|world| world.scope_mut(TWO, "us-east-1").add_cluster(Cluster::new("d")).clusters.len());
    aws.set_options(Options { page_size: Some(1), ..Options::default() });
    let list = |region: &str, body: Value| signed(&aws, IN_TWO, region, "ListTasks", &body.to_string());
    let arn = format!("arn:aws:ecs:us-east-1:{TWO}:cluster/c");
    assert_eq!(list("us-east-1", json!({"cluster": arn})).status, 200);
    assert_eq!(list("eu-west-1", json!({"cluster": arn})).error().1, "ClusterNotFoundException");
    let token = signed(&aws, IN_TWO, "us-east-1", "ListClusters", "{}").json()["nextToken"].clone();
    let page = signed(&aws, IN_TWO, "eu-west-1", "ListClusters", &json!({"nextToken": token}).to_string());
    assert_eq!(page.error().1, "InvalidParameterException");
}

#[test]
fn faults_and_quotas_are_of_one_scope() {
    let aws = start(worlds());
    aws.add_fault(Fault::always("*", FaultKind::Denied).account(TWO).region("us-east-1"));
    let status = |key: &str, region: &str| signed(&aws, key, region, "ListClusters", "{}").status;
    assert_eq!(
        [status(IN_TWO, "us-east-1"), status(IN_TWO, "eu-west-1"), status("AKIA1", "us-east-1")],
        [400, 200, 200]
    );
    let role = |account: &str| {
        let parameters = format!("Action=AssumeRole&RoleSessionName=s&RoleArn=arn:aws:iam::{account}:role/r");
        sts(&aws, &parameters).status
    };
    aws.clear_faults();
    aws.add_fault(Fault::always("sts:AssumeRole", FaultKind::Denied).account(TWO));
    assert_eq!([role(TWO), role(ONE)], [403, 200]);
    aws.set_options(Options { quotas: true, ..Options::default() });
    let throttled = (0..5000).find(|_| status(IN_TWO, "us-east-1") != 200);
    assert!(throttled.is_some() && status("AKIA1", "us-east-1") == 200);
}

#[test]
fn world_without_others_serves_every_account_and_region() {
    let aws = start(world());
    let expected = ecs(&aws, "ListClusters", json!({})).json()["clusterArns"].clone();
    assert_eq!(clusters(&aws, IN_TWO, "eu-west-1"), expected);
}

#[test]
fn others_are_part_of_the_world_file() {
    let text = worlds().to_json();
    assert!(!world().to_json().contains("others"));
    assert_eq!(World::from_json(&text).unwrap(), worlds());
    let fault: Fault = serde_json::from_str(r#"{"kind": "denied", "account": "222222222222", "region": "r"}"#).unwrap();
    assert_eq!(fault, Fault::always("*", FaultKind::Denied).account(TWO).region("r"));
}
