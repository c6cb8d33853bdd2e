//! `-healthcheck`: exit 0 or 1 within two seconds, whatever is at the other end.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use simaws::{Fault, FaultKind};

use crate::fixtures::fargate;
use crate::harness::{Ended, Scene};

/// What is promised. The machine may be busy, so the best of a few has to keep it.
const PROMISED: Duration = Duration::from_secs(2);
const TRIES: usize = 5;

fn small() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod")
}

/// Asks at an address as ECS would: in an environment without AWS, and with the same flags as the daemon.
fn check(address: &str) -> Ended {
    let scene = small().env("AWS_REGION", "").env("AWS_ACCESS_KEY_ID", "");
    let mut scene = scene.flag("-healthcheck").flag(&format!("-web.listen-address={address}"));
    let ended = scene.run();
    assert_eq!((scene.aws.calls().total(), scene.bytes(), ended.stdout.as_str()), (0, None, ""));
    ended
}

fn refused(address: &str, why: &str) {
    let mut took = Vec::new();
    while took.iter().all(|took| *took >= PROMISED) {
        assert!(took.len() < TRIES, "too slow: {took:?}");
        let start = Instant::now();
        let ended = check(address);
        took.push(start.elapsed());
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{}", ended.stderr);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
}

#[test]
fn a_program_that_serves_is_healthy_whatever_aws_says() {
    let mut scene = small();
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    let port = scene.serve().0.port();
    scene.after_refreshes(1);
    for address in [format!("127.0.0.1:{port}"), format!(":{port}"), format!("0.0.0.0:{port}")] {
        let ended = check(&address);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{address}");
    }
    scene.stop();
}

/// A port that was free a moment ago; whoever takes it makes the program end, and another is tried.
fn serving_at(host: &str) -> (Scene, u16) {
    for _ in 0..TRIES {
        let port = TcpListener::bind(if host.is_empty() { "[::]:0".to_owned() } else { format!("{host}:0") });
        let port = port.unwrap().local_addr().unwrap().port();
        let mut scene = small().flag(&format!("-web.listen-address={host}:{port}"));
        scene.start();
        let told = scene.until_logged("that it listens, or cannot", |line| {
            line["message"] == "listening" || line["error"].is_string()
        });
        if told["message"] == "listening" {
            return (scene, port);
        }
    }
    panic!("no port is free");
}

#[test]
fn every_form_of_an_address_is_understood() {
    let ipv6 = TcpListener::bind("[::1]:0").is_ok();
    for host in ["", "127.0.0.1", "localhost", "[::1]", "[::]"] {
        if !ipv6 && (host.starts_with('[') || host.is_empty()) {
            eprintln!("{host:?} is skipped: this machine has no IPv6");
            continue;
        }
        let (mut scene, port) = serving_at(host);
        let ended = check(&format!("{host}:{port}"));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{host}");
        scene.stop();
    }
}

#[test]
fn nobody_there_is_not_healthy() {
    refused("127.0.0.1:1", "cannot reach http://127.0.0.1:1/-/healthy: ");
    refused("[::1]:1", "cannot reach http://[::1]:1/-/healthy: ");
    refused("nowhere.invalid:1", "cannot reach http://nowhere.invalid:1/-/healthy");
}

#[test]
fn who_accepts_and_never_answers_is_not_healthy() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let SocketAddr::V4(address) = silent.local_addr().unwrap() else { unreachable!("it is bound to IPv4") };
    refused(&address.to_string(), "within 1.5s");
}

#[test]
fn without_an_address_it_is_a_wrong_command_line() {
    let ended = small().flag("-healthcheck").run();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("-healthcheck requires -web.listen-address"), "{}", ended.stderr);
}
