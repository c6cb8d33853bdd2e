//! Clients that are slow, greedy or broken: refreshes go on, and others are answered.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{ONE, small};
use crate::harness::{Scene, Server, until, until_closed};

/// So many refusals to take more bytes are no pause any more.
const IN_A_ROW: usize = 100;

/// A program that serves and refreshes.
fn serving() -> (Scene, Server) {
    let mut scene = small();
    let server = scene.serve();
    scene.until_targets(&[ONE]);
    (scene, server)
}

/// Refreshes are made as before.
fn refreshes_go_on(scene: &Scene) {
    let asked = || scene.aws.calls().get("ecs:ListTasks");
    let before = asked();
    until("refreshes go on", || asked() > before + 5);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let (mut scene, server) = serving();
    let long = "a".repeat(20 << 10);
    for request in [
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(100)),
    ] {
        let answer = server.send(request.as_bytes());
        // The rest of what was sent may make the kernel reset the connection before the answer is read.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(server.get("/-/healthy").status, 200);
    scene.stop();
}

#[test]
fn what_is_not_http_is_refused() {
    let (mut scene, server) = serving();
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"] {
        let answer = server.send(bytes);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(server.get("/-/healthy").status, 200);
    scene.stop();
}

/// More of them than are answered side by side: the next client waits until they are sent away.
#[test]
fn a_hundred_idle_connections_cost_only_time() {
    let (mut scene, server) = serving();
    let mut idle: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    for stream in idle.iter_mut().step_by(2) {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: never finished").unwrap();
    }
    refreshes_go_on(&scene);
    assert_eq!(server.get("/-/healthy").status, 200);
    let first = until_closed(idle.swap_remove(0));
    assert!(first.is_empty() || first.starts_with("HTTP/1.1 408"), "{first}");
    scene.stop();
}

#[test]
fn a_client_that_never_reads_holds_nobody_up() {
    let (mut scene, server) = serving();
    let mut stream = server.connect();
    stream.set_nonblocking(true).unwrap();
    let requests = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let (mut sent, mut refused) = (0, 0);
    until("nothing more is read of what nobody wants answered", || {
        match stream.write(&requests[sent % requests.len()..]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => refused += 1,
            bytes => (sent, refused) = (sent + bytes.unwrap(), 0),
        }
        refused > IN_A_ROW
    });
    refreshes_go_on(&scene);
    assert_eq!(server.get("/metrics").status, 200);
    refreshes_go_on(&scene);
    scene.stop();
}

/// The program ends at once though clients are still connected.
#[test]
fn connections_do_not_hold_up_the_end() {
    let (mut scene, server) = serving();
    let streams: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    refreshes_go_on(&scene);
    scene.stop();
    assert_eq!(streams.into_iter().map(until_closed).collect::<String>(), "");
    let refused = TcpStream::connect_timeout(&server.0, Duration::from_secs(5));
    assert!(refused.is_err(), "somebody still listens");
}
