//! An attacker who can reach the web endpoints. Publications go on, and other clients get responses.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use crate::fixtures::{fargate, on_fargate};
use crate::harness::{Scene, Server, wait_until};

/// The number of attackers, and of connections that each opens while a publication is waited for and keeps open.
const ATTACKERS: usize = 3;
const CONNECTIONS: usize = 70;

/// The number of publications that must not wait for them.
const PUBLICATIONS: usize = 10;

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

/// Opens connections, uses them, and returns those that could be opened.
fn attack(server: Server, first: usize) -> Vec<TcpStream> {
    let open = |n: usize| {
        // A full backlog of the server is a success of the attacker, and no more.
        let mut stream = TcpStream::connect(server.0).ok()?;
        // Never waits for the server.
        stream.set_nonblocking(true).unwrap();
        let _ = ATTACKS[n % ATTACKS.len()](&mut stream);
        Some(stream)
    };
    (first..first + CONNECTIONS).filter_map(open).collect()
}

#[test]
fn thousands_of_connections_do_not_delay_publications() {
    let mut scene = Scene::of(fargate(1)).flag("-config.cluster=prod");
    let server = scene.serve();
    scene.wait_for_targets(&["10.0.0.1:9102"]);
    let (mut held, mut opened) = (Vec::new(), 0);
    for n in 0..PUBLICATIONS {
        // Those of the round before stay open meanwhile.
        held = thread::scope(|threads| {
            let attackers: Vec<_> = (0..ATTACKERS).map(|first| threads.spawn(move || attack(server, first))).collect();
            scene.add_task("prod", on_fargate(&format!("more-{n}"), "web:1", &format!("10.0.1.{n}")));
            wait_until("the target is in the file", || scene.targets().len() == n + 2);
            assert_eq!(server.get("/-/healthy").status, 200);
            attackers.into_iter().flat_map(|attacker| attacker.join().unwrap()).collect()
        });
        opened += held.len();
    }
    assert!(opened >= ATTACKERS * CONNECTIONS * PUBLICATIONS / 2, "{opened} connections");
    let open = server.get("/metrics").body;
    let open = open.lines().find_map(|line| line.strip_prefix("process_open_fds ")?.parse::<f64>().ok());
    assert!(open.is_some_and(|open| open < MOST_DESCRIPTORS), "{open:?} descriptors");
    drop(held);
    scene.stop();
}
