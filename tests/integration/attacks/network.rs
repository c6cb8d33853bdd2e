//! An attacker who can reach the web endpoints. Publications go on, and other clients get responses.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::fixtures::{fargate, on_fargate};
use crate::harness::{Scene, Server, wait_until};

/// The number of connections that attackers open before the test ends.
const CONNECTIONS: usize = 2_000;

/// The number of publications that must not wait for them.
const PUBLICATIONS: usize = 10;

/// An attacker keeps this many connections open.
const HELD: usize = 100;

/// More than the server needs, and far fewer than the attackers' connections.
const MOST_DESCRIPTORS: f64 = 250.0;

/// Uses a connection in a harmful way.
type Attack = fn(&mut TcpStream) -> std::io::Result<()>;

const ATTACKS: [Attack; 6] = [
    |_| Ok(()),
    |stream| stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: never finished"),
    |stream| stream.write_all(&b"GET /targets HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50)),
    |stream| stream.write_all(&[b"GET / HTTP/1.1\r\nX: ", &b"a".repeat(100_000)[..]].concat()),
    |stream| {
        stream.write_all(b"POST /targets HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n")?;
        stream.write_all(&[b'x'; 100_000])
    },
    |stream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")?;
        stream.read(&mut [0]).map(drop)
    },
];

/// Opens connections until `stop` is set, and keeps the last ones open.
fn attack(server: Server, first: usize, opened: &AtomicUsize, stop: &AtomicBool) {
    let mut held = std::collections::VecDeque::new();
    for n in first.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // A full backlog of the server is a success of the attacker, and no more.
        let Ok(mut stream) = TcpStream::connect(server.0) else { continue };
        // Never waits for the server.
        stream.set_nonblocking(true).unwrap();
        let _ = ATTACKS[n % ATTACKS.len()](&mut stream);
        opened.fetch_add(1, Ordering::Relaxed);
        held.push_back(stream);
        if held.len() > HELD {
            held.pop_front();
        }
    }
}

#[test]
fn thousands_of_connections_do_not_delay_publications() {
    let mut scene = Scene::of(fargate(1)).flag("-config.cluster=prod");
    let server = scene.serve();
    scene.wait_for_targets(&["10.0.0.1:9102"]);
    let (stop, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|threads| {
        for first in 0..3 {
            let (stop, opened) = (&stop, &opened);
            threads.spawn(move || attack(server, first, opened, stop));
        }
        // Each publication is waited for with the deadline of all tests, while connections come all the time.
        for n in 0..PUBLICATIONS {
            let before = opened.load(Ordering::Relaxed);
            scene.add_task("prod", on_fargate(&format!("more-{n}"), "web:1", &format!("10.0.1.{n}")));
            wait_until("the target is in the file", || scene.targets().len() == n + 2);
            let wanted = (before + CONNECTIONS / PUBLICATIONS).min(CONNECTIONS);
            wait_until("more connections", || opened.load(Ordering::Relaxed) >= wanted);
            assert_eq!(server.get("/-/healthy").status, 200);
        }
        let open = server.get("/metrics").body;
        let open = open.lines().find_map(|line| line.strip_prefix("process_open_fds ")?.parse::<f64>().ok());
        assert!(open.is_some_and(|open| open < MOST_DESCRIPTORS), "{open:?} descriptors");
        stop.store(true, Ordering::Relaxed);
    });
    assert!(opened.into_inner() >= CONNECTIONS / 2);
    scene.stop();
}
