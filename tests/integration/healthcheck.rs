//! `-healthcheck`: exits with 0 or 1 within two seconds, whatever the other end does.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use simaws::{Fault, FaultKind};

use crate::fixtures::fargate;
use crate::harness::{Exited, Scene};

/// The documented limit. The machine may be busy, so one of a few tries must keep it.
const LIMIT: Duration = Duration::from_secs(2);
const TRIES: usize = 5;

fn small() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod")
}

/// Checks an address as ECS does: without AWS in the environment, and with the flags of the daemon.
fn check(address: &str) -> Exited {
    let scene = small().without_env("AWS_REGION").without_env("AWS_ACCESS_KEY_ID");
    let mut scene = scene.flag("-healthcheck").flag(&format!("-web.listen-address={address}"));
    let exited = scene.run();
    assert_eq!((scene.aws.calls().total(), scene.bytes(), exited.stdout.as_str()), (0, None, ""));
    exited
}

fn assert_unhealthy(address: &str, why: &str) {
    let mut took = Vec::new();
    while took.iter().all(|took| *took >= LIMIT) {
        assert!(took.len() < TRIES, "too slow: {took:?}");
        let start = Instant::now();
        let exited = check(address);
        took.push(start.elapsed());
        assert_eq!((exited.code, exited.stderr.lines().count()), (Some(1), 1), "{}", exited.stderr);
        assert!(exited.stderr.contains(why), "{}", exited.stderr);
    }
}

#[test]
fn healthy_while_aws_denies_everything() {
    let mut scene = small();
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    let port = scene.serve().0.port();
    scene.wait_for_refreshes(1);
    for address in [format!("127.0.0.1:{port}"), format!(":{port}"), format!("0.0.0.0:{port}")] {
        let exited = check(&address);
        assert_eq!((exited.code, exited.stderr.as_str()), (Some(0), ""), "{address}");
    }
    scene.stop();
}

/// Starts the program on a port that was free a moment ago. If another process takes it meanwhile, tries another port.
fn serving_at(host: &str) -> (Scene, u16) {
    for _ in 0..TRIES {
        let port = TcpListener::bind(if host.is_empty() { "[::]:0".to_owned() } else { format!("{host}:0") });
        let port = port.unwrap().local_addr().unwrap().port();
        let mut scene = small().flag(&format!("-web.listen-address={host}:{port}"));
        scene.start();
        let line = scene
            .wait_for_log("listening, or an error", |line| line["message"] == "listening" || line["error"].is_string());
        if line["message"] == "listening" {
            return (scene, port);
        }
    }
    panic!("no free port");
}

#[test]
fn every_form_of_listen_address_is_accepted() {
    let ipv6 = TcpListener::bind("[::1]:0").is_ok();
    for host in ["", "127.0.0.1", "localhost", "[::1]", "[::]"] {
        if !ipv6 && (host.starts_with('[') || host.is_empty()) {
            eprintln!("skipped {host:?}: this machine has no IPv6");
            continue;
        }
        let (mut scene, port) = serving_at(host);
        let exited = check(&format!("{host}:{port}"));
        assert_eq!((exited.code, exited.stderr.as_str()), (Some(0), ""), "{host}");
        scene.stop();
    }
}

#[test]
fn unhealthy_when_nothing_listens() {
    assert_unhealthy("127.0.0.1:1", "cannot reach http://127.0.0.1:1/-/healthy: ");
    assert_unhealthy("[::1]:1", "cannot reach http://[::1]:1/-/healthy: ");
    assert_unhealthy("nowhere.invalid:1", "cannot reach http://nowhere.invalid:1/-/healthy");
}

#[test]
fn unhealthy_when_the_server_never_responds() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let SocketAddr::V4(address) = silent.local_addr().unwrap() else { unreachable!("bound to IPv4") };
    assert_unhealthy(&address.to_string(), "within 1.5s");
}

#[test]
fn healthcheck_without_listen_address_is_a_usage_error() {
    let exited = small().flag("-healthcheck").run();
    assert_eq!(exited.code, Some(2));
    assert!(exited.stderr.contains("-healthcheck requires -web.listen-address"), "{}", exited.stderr);
}
