//! Slow, greedy and broken clients: refreshes go on, and other clients get responses.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{ONE, small};
use crate::harness::{Scene, Server, read_until_closed, wait_until};

/// After this many blocked writes in a row, the server has stopped reading.
const BLOCKED_WRITES: usize = 100;

/// Starts the program with its web endpoints and waits for its first refresh.
fn serving() -> (Scene, Server) {
    let mut scene = small();
    let server = scene.serve();
    scene.wait_for_targets(&[ONE]);
    (scene, server)
}

/// Waits for more refreshes.
fn assert_refreshes_continue(scene: &Scene) {
    let listings = || scene.aws.calls().get("ecs:ListTasks");
    let before = listings();
    wait_until("more refreshes", || listings() > before + 5);
}

#[test]
fn too_large_head_is_rejected() {
    let (mut scene, server) = serving();
    let long = "a".repeat(20 << 10);
    for request in [
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(100)),
    ] {
        let response = server.send(request.as_bytes());
        // Unread request bytes may make the kernel reset the connection before the response is read.
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 4"), "{response}");
    }
    assert_eq!(server.get("/-/healthy").status, 200);
    scene.stop();
}

#[test]
fn invalid_http_is_rejected() {
    let (mut scene, server) = serving();
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"] {
        let response = server.send(bytes);
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 4"), "{response}");
    }
    assert_eq!(server.get("/-/healthy").status, 200);
    scene.stop();
}

#[test]
fn idle_connections_time_out() {
    let (mut scene, server) = serving();
    let mut idle: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    for stream in idle.iter_mut().step_by(2) {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: never finished").unwrap();
    }
    assert_refreshes_continue(&scene);
    assert_eq!(server.get("/-/healthy").status, 200);
    let last = read_until_closed(idle.remove(99));
    assert!(last.is_empty(), "{last}");
    let first = read_until_closed(idle.swap_remove(0));
    assert!(first.is_empty() || first.starts_with("HTTP/1.1 408"), "{first}");
    scene.stop();
}

#[test]
fn client_that_never_reads_blocks_nobody() {
    let (mut scene, server) = serving();
    let mut stream = server.connect();
    stream.set_nonblocking(true).unwrap();
    let requests = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let (mut sent, mut blocked) = (0, 0);
    wait_until("the server stops reading", || {
        match stream.write(&requests[sent % requests.len()..]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => blocked += 1,
            bytes => (sent, blocked) = (sent + bytes.unwrap(), 0),
        }
        blocked > BLOCKED_WRITES
    });
    assert_refreshes_continue(&scene);
    assert_eq!(server.get("/metrics").status, 200);
    assert_refreshes_continue(&scene);
    scene.stop();
}

#[test]
fn open_connections_do_not_delay_shutdown() {
    let (mut scene, server) = serving();
    let streams: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    assert_refreshes_continue(&scene);
    scene.stop();
    assert_eq!(streams.into_iter().map(read_until_closed).collect::<String>(), "");
    let refused = TcpStream::connect_timeout(&server.0, Duration::from_secs(5));
    assert!(refused.is_err(), "the port is still open");
}
