//! STS, and the endpoints on the link-local address of a task.

use std::time::Duration;

use serde_json::json;
use simaws::{Calls, Options};

use crate::client::{send, sts};
use crate::{start, world};

const ASSUME: &str =
    "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fdiscovery&RoleSessionName=s1";

#[test]
fn credentials_lifetime_is_an_option() {
    let aws = start(world());
    aws.set_options(Options { credentials_lifetime: Duration::ZERO, ..Options::default() });
    let past = sts(&aws, ASSUME).all("Expiration").concat();
    aws.set_options(Options { credentials_lifetime: Duration::from_secs(900), ..Options::default() });
    let reply = sts(&aws, &format!("{ASSUME}&ExternalId=e1&DurationSeconds=900"));
    assert!(reply.all("Expiration").concat() > past);
    assert!(reply.all("AccessKeyId").concat().starts_with("ASIA-discovery-"));
    assert_eq!(reply.all("Arn"), ["arn:aws:sts::123456789012:assumed-role/discovery/s1"]);
    let request = &aws.calls().requests("sts:AssumeRole")[1];
    assert_eq!((&request["RoleSessionName"], &request["ExternalId"]), (&json!("s1"), &json!("e1")));
    assert!(aws.unexpected().is_empty());
}

#[test]
fn caller_identity_has_the_account() {
    let aws = start(world());
    assert_eq!(sts(&aws, "Action=GetCallerIdentity").all("Account"), ["123456789012"]);
}

#[test]
fn invalid_calls_are_rejected_and_recorded() {
    let aws = start(world());
    for (parameters, code) in [
        ("Action=AssumeRole&RoleArn=x", "ValidationError"),
        (&format!("{ASSUME}&DurationSeconds=60"), "ValidationError"),
        ("Action=GetFederationToken", "InvalidAction"),
    ] {
        let reply = sts(&aws, parameters);
        assert_eq!(reply.xml_error(), (400, code.to_owned()));
        assert!(reply.body.contains("<ErrorResponse xmlns=") && reply.body.contains("<Type>Sender</Type>"));
    }
    assert_eq!(aws.unexpected().len(), 3);
}

#[test]
fn task_metadata_and_credentials() {
    let aws = start(world());
    let known = send(&aws, "GET /v4/t1/task", "").json();
    assert_eq!(known["TaskARN"], "arn:aws:ecs:us-east-1:123456789012:task/prod/t1");
    assert_eq!((&known["Family"], &known["Revision"]), (&json!("web"), &json!("3")));
    let other = send(&aws, "GET /v4/anything/task", "").json();
    assert_eq!(other["Cluster"], "arn:aws:ecs:us-east-1:123456789012:cluster/prod");
    let credentials = send(&aws, "GET /credentials", "").json();
    assert!(credentials["AccessKeyId"].is_string() && credentials["Expiration"].is_string());
    assert_eq!(aws.calls(), Calls::of(&[("metadata:task", 2), ("metadata:credentials", 1)]));
}

#[test]
fn web_identity_gets_a_session() {
    let aws = start(world());
    let with_token = ASSUME.replace("AssumeRole", "AssumeRoleWithWebIdentity") + "&WebIdentityToken=t";
    assert!(sts(&aws, &with_token).all("AccessKeyId").concat().starts_with("ASIA-discovery-"));
    assert!(aws.unexpected().is_empty());
}

#[test]
fn instance_metadata() {
    let aws = start(world());
    let token = send(&aws, "PUT /latest/api/token", "");
    assert!(token.head.contains("x-aws-ec2-metadata-token-ttl-seconds: 21600"), "{}", token.head);
    assert_eq!(send(&aws, "GET /latest/meta-data/placement/region", "").body, "us-east-1");
    let role = send(&aws, "GET /latest/meta-data/iam/security-credentials/", "").body;
    let credentials = send(&aws, &format!("GET /latest/meta-data/iam/security-credentials/{role}"), "").json();
    assert_eq!(
        (&credentials["Code"], &credentials["AccessKeyId"]),
        (&json!("Success"), &json!("ASIA-simaws-instance"))
    );
}
