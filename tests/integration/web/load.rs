//! What the web costs: many, slow and idle clients take a bounded amount of memory, and no health check fails.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use simaws::{Cluster, Fault, FaultKind, World};

use super::small;
use crate::fixtures::{exporter, fargate, on_fargate};
use crate::harness::{Scene, Server, wait_until};

/// More than the connections that the server keeps.
const MANY: usize = 200;

/// The number of targets of [`restored`]: 10 MB of JSON.
const TARGETS: usize = 20_000;

const MIB: f64 = 1_048_576.0;

/// How much the process may grow: the limit of all responses, 32 MiB (unit tests check it exactly), and as much again for
/// rendering them, which the allocator may keep. One body per reader would be hundreds.
const LARGEST_GROWTH: f64 = 64.0 * MIB;

/// Returns a scene whose file has many targets, and whose credentials never arrive, so that the program serves only
/// what it has restored.
fn restored() -> Scene {
    // A long interval, because health allows for three of them without progress.
    let scene = small()
        .flag("-config.scrape-interval=1m")
        .without_env("AWS_ACCESS_KEY_ID")
        .without_env("AWS_SECRET_ACCESS_KEY");
    let endpoint = format!("{}/credentials", scene.aws.url());
    scene.aws.add_fault(Fault::always("metadata:credentials", FaultKind::Hang));
    let mut file = String::new();
    for n in 0..TARGETS {
        let cluster = if n % 4 == 0 { "other" } else { "prod" };
        let account = "arn:aws:ecs:us-east-1:123456789012";
        let (host, image) = (n / 250, "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop:2026-01-02");
        write!(
            file,
            "- targets:\n  - 10.0.{host}.{}:9102\n  labels:\n    task_arn: {account}:task/{cluster}/{n:032x}\n    \
             task_name: web\n    task_revision: '1'\n    task_group: service:web\n    \
             cluster_arn: {account}:cluster/{cluster}\n    container_name: app\n    docker_image: {image}\n",
            n % 250
        )
        .unwrap();
    }
    scene.write_file(file);
    scene.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint)
}

fn resident(server: Server) -> f64 {
    let metrics = server.get("/metrics").body;
    metrics.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")?.parse().ok()).unwrap()
}

/// Sends requests without reading a response.
fn slow_readers(server: Server, path: &str, count: usize) -> Vec<TcpStream> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let reader = |_| {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    (0..count).map(reader).collect()
}

fn assert_healthy(server: Server) {
    for path in ["/-/healthy", "/-/ready", "/metrics"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

/// Whether the server has neither sent anything on a connection nor closed it.
fn is_untouched(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn restored_targets_are_served_while_credentials_are_being_fetched() {
    let mut scene = restored();
    let server = scene.serve();
    assert_eq!(server.get("/-/healthy").status, 200);
    wait_until("the targets are restored", || server.get("/targets").status == 200);
    assert_eq!(server.get("/-/ready").status, 200);
    let (served, mut expected) = (server.targets("/targets"), scene.groups());
    expected.sort_unstable();
    assert!(served == expected && served.len() == TARGETS, "{} targets", served.len());
    assert_eq!(server.targets("/targets?cluster=other").len(), TARGETS / 4);
    assert_eq!(scene.aws.calls().get("ecs:ListTasks"), 0);
    scene.stop();
}

#[test]
fn slow_readers_share_one_body_and_leave_health_alone() {
    let mut scene = restored();
    let server = scene.serve();
    wait_until("the targets are restored", || server.get("/targets").status == 200);
    let before = resident(server);
    let mut readers = slow_readers(server, "/targets", MANY / 2);
    readers.extend(slow_readers(server, "/targets?cluster=other", MANY / 2));
    assert_healthy(server);
    // The longest-running of them makes way.
    wait_until("another client gets the targets", || server.get("/targets").status == 200);
    assert_healthy(server);
    let grown = resident(server) - before;
    assert!(grown < LARGEST_GROWTH, "{} MiB", grown / MIB);
    scene.stop();
}

#[test]
fn idle_connections_leave_health_alone() {
    let mut scene = small();
    let server = scene.serve();
    let mut idle: Vec<TcpStream> = (0..MANY).map(|_| server.connect()).collect();
    for stream in idle.iter_mut().step_by(2) {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: never finished").unwrap();
    }
    wait_until("ready", || server.get("/-/ready").status == 200);
    assert_healthy(server);
    assert!(is_untouched(idle.last_mut().unwrap()), "health did not wait until idle connections timed out");
    assert!(!is_untouched(&mut idle[0]), "the longest idle one was closed");
    scene.stop();
}

#[test]
fn head_has_the_length_of_the_body() {
    let mut scene = restored();
    let server = scene.serve();
    wait_until("the targets are restored", || server.get("/targets").status == 200);
    for path in ["/targets", "/targets?cluster=other", "/-/healthy"] {
        let (get, head) = (server.get(path), server.request("HEAD", path, ""));
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
    }
    scene.stop();
}

#[test]
fn many_containers_are_shown_in_pages() {
    let mut scene = Scene::of(fargate(600)).flag("-config.cluster=prod");
    let server = scene.serve();
    wait_until("the targets are served", || server.get("/targets").status == 200);
    let rows = |path: &str| server.get(path).body.matches("<td class=\"verdict target\">").count();
    wait_until("the page shows them", || rows("/") == 500);
    assert_eq!((rows("/?page=1"), rows("/?page=2")), (500, 100));
    assert!(server.get("/").body.contains("<a href=\"/?page=2\">next</a>"));
    assert!(server.get("/?page=2").body.contains("<a href=\"/?page=1\">previous</a>"));
    for path in ["/?page=0", "/?page=3", "/?page=x", "/?page="] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    scene.stop();
}

#[test]
fn page_of_ten_thousand_targets_stays_usable() {
    let clusters = (0..10).map(|cluster| {
        let task = move |n: usize| {
            let (service, id) = (n % 25, format!("task-{cluster}-{n}"));
            on_fargate(&id, "web:1", &format!("10.{cluster}.{}.{}", n / 250, n % 250))
                .group(&format!("service:s-{service}"))
        };
        (0..1000).map(task).fold(Cluster::new(&format!("c-{cluster}")), Cluster::with_task)
    });
    let world = World::default().with_task_definition(exporter("web", 1, "awsvpc"));
    let mut scene = Scene::of(clusters.fold(world, World::with_cluster)).flag("-config.scrape-interval=10m");
    let server = scene.serve();
    scene.wait_for_message("targets written");
    wait_until("the targets are on the page", || {
        server.get("/").body.contains("<b>c-0</b> · <span class=\"target\">1000 target")
    });
    let page = server.get("/").body;
    assert!(page.len() < 300_000, "{} bytes", page.len());
    assert_eq!(page.matches("<td class=\"verdict target\">").count(), 500);
    let last = "<a href=\"/?cluster=c-9&amp;service=s-24\">service:s-24 · <span class=\"target\">40 target</span></a>";
    assert!(page.contains(last), "every service is on the first page: {page}");
    let service = server.get("/?cluster=c-9&service=s-24").body;
    assert_eq!(service.matches("<td class=\"verdict target\">").count(), 40);
    assert!(service.contains("cluster=c-9 service=s-24</code>: 40 targets"), "{service}");
    assert!(server.get("/?cluster=c-*").body.contains("<a href=\"/?cluster=c-*&amp;page=2\">next</a>"));
    scene.stop();
}
