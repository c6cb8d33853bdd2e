//! The control API over HTTP, and the program.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;
use simaws::World;

use crate::client::{ecs, send};
use crate::{start, world};

#[test]
fn world_round_trips_through_json() {
    let text = world().to_json();
    assert_eq!(World::from_json(&text).unwrap(), world());
    assert!(World::from_json(r#"{"taskdefinitions": []}"#).is_err());
}

#[test]
fn world_is_replaced_and_returned() {
    let aws = start(World::default());
    assert_eq!(send(&aws, "PUT /_sim/world", &world().to_json()).status, 200);
    assert_eq!(aws.world(), world());
    assert_eq!(World::from_json(&send(&aws, "GET /_sim/world", "").body).unwrap(), world());
    let rejected = send(&aws, "PUT /_sim/world", r#"{"clusters": 1}"#);
    assert!(rejected.status == 400 && rejected.body.contains("invalid type"), "{rejected:?}");
    assert_eq!(aws.world(), world());
}

#[test]
fn faults_options_and_calls_are_available() {
    let aws = start(world());
    let list = || ecs(&aws, "ListTasks", json!({"cluster": "prod"}));
    let fault = r#"{"operation": "ecs:ListTasks", "cluster": "prod", "times": 1, "kind": "throttle"}"#;
    assert_eq!(send(&aws, "POST /_sim/faults", fault).status, 200);
    assert_eq!([list().status, list().status], [400, 200]);
    send(&aws, "POST /_sim/faults", r#"{"kind": "error", "status": 500, "code": "X", "message": "y"}"#);
    assert_eq!(list().status, 500);
    send(&aws, "DELETE /_sim/faults", "");
    assert_eq!(send(&aws, "PUT /_sim/options", r#"{"pageSize": 1, "latencyMillis": 1}"#).status, 200);
    assert_eq!(list().json()["taskArns"].as_array().unwrap().len(), 1);
    assert_eq!(send(&aws, "GET /_sim/calls", "").json(), json!({"ecs:ListTasks": 4}));
    assert_eq!(send(&aws, "GET /_sim/load", "").json(), json!({"throttled": 1, "maxInFlight": 1}));
    send(&aws, "POST /_sim/calls/reset", "");
    assert_eq!(send(&aws, "GET /_sim/calls", "").json(), json!({}));
    send(&aws, "GET /nothing", "");
    assert_eq!(send(&aws, "GET /_sim/unexpected", "").json().as_array().unwrap().len(), 1);
    assert_eq!(send(&aws, "GET /_sim/nothing", "").status, 404);
    assert_eq!(aws.unexpected().len(), 1);
}

#[test]
fn program_prints_its_url_and_exits_when_stdin_closes() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_simaws"))
        .args(["--page-size", "3", "--latency-ms", "0", "--quotas", "--until-stdin-closes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();
    let address = url.strip_prefix("http://").unwrap();
    std::net::TcpStream::connect(address).unwrap();
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    assert!(lines.next().is_none());
}

#[test]
fn program_rejects_unknown_arguments() {
    let output = Command::new(env!("CARGO_BIN_EXE_simaws")).arg("--worlds").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("simaws: unknown argument --worlds\nusage:"));
}
