//! The web endpoints over real HTTP: disabled by default, the responses, the page.

mod hostile;
mod load;
mod metrics;
mod targets;

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ecs_discovery::config::ListenAddress;
use ecs_discovery::web::{App, bind, serve};
use simaws::{Cluster, Fault, FaultKind, TaskDefinition, World};

use crate::fixtures::{PORT_LABEL, TWO_CLUSTERS, fargate, on_fargate, two_clusters};
use crate::harness::{Scene, Server, TcpState, tcp_sockets, wait_until};

const ONE: &str = "10.0.0.1:9102";

/// Returns a scene with one target in the cluster `prod`.
fn small() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod")
}

/// Returns a scene with both clusters, which are configured by name.
fn both_clusters() -> Scene {
    Scene::of(two_clusters()).flag("-config.cluster=prod,other")
}

/// Serves an app of the library in this process, and sends requests to it.
fn with_app<T: Send + 'static>(patience: Duration, client: impl FnOnce(Server) -> T + Send + 'static) -> T {
    let app = App {
        status: Arc::default(),
        telemetry: Arc::default(),
        telemetry_path: "/metrics".into(),
        stalled_after: patience,
        flags: vec![],
    };
    let work = async {
        let listener = bind(&ListenAddress { host: Some("127.0.0.1".into()), port: 0 }).await.unwrap();
        let server = Server(listener.local_addr().unwrap());
        let _server = serve(listener, Arc::new(app)).unwrap();
        tokio::task::spawn_blocking(move || client(server)).await.unwrap()
    };
    blocking(work)
}

fn blocking<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn ready_after_the_first_success_and_healthy_throughout() {
    let mut scene = small();
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    let server = scene.serve();
    scene.wait_for_refreshes(3);
    assert_eq!((server.get("/-/healthy").status, server.get("/-/ready").status), (200, 503));
    scene.aws.clear_faults();
    scene.wait_for_targets(&[ONE]);
    wait_until("ready", || server.get("/-/ready").status == 200);
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    scene.wait_for_failure("ListTasks", "AccessDeniedException");
    scene.wait_for_refreshes(2);
    let states = (server.get("/-/healthy").status, server.get("/-/ready").status);
    assert_eq!(states, (200, 200), "readiness does not go away");
    scene.stop();
}

#[test]
fn ready_with_last_known_targets_of_an_earlier_run() {
    let mut scene = small();
    scene.start_and_wait_for(&[ONE]);
    scene.stop();
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    let server = scene.serve();
    wait_until("ready", || server.get("/-/ready").status == 200);
    assert_eq!(server.targets("/targets"), scene.groups());
    scene.stop();
}

#[test]
fn unhealthy_when_the_loop_stalls() {
    let response = with_app(Duration::ZERO, |server| server.get("/-/healthy"));
    assert_eq!(response.status, 503);
    assert!(response.body.starts_with("the refresh loop has made no progress"), "{}", response.body);
    assert_eq!(with_app(Duration::MAX, |server| server.get("/-/healthy")).status, 200);
}

#[test]
fn status_codes_and_headers() {
    let statuses = with_app(Duration::MAX, |server| {
        let request = |method: &str, path: &str| server.request(method, path, "");
        let rejected = request("POST", "/targets");
        assert_eq!((rejected.status, rejected.header("allow")), (405, "GET, HEAD"));
        let head = request("HEAD", "/");
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-type"), "text/html; charset=utf-8");
        assert_eq!((head.header("x-content-type-options"), head.header("cache-control")), ("nosniff", "no-store"));
        ["/nothing", "/metrics/", "/targets/", "//", "/-/healthy?x"].map(|path| request("GET", path).status)
    });
    assert_eq!(statuses, [404, 404, 404, 404, 200]);
}

#[test]
fn telemetry_path_is_configurable() {
    let mut scene = small().flag("-web.telemetry-path=/m");
    let server = scene.serve();
    assert_eq!((server.get("/metrics").status, server.get("/m").status), (404, 200));
    assert!(server.get("/").body.contains("<a href=\"/m\">"));
    scene.stop();
}

#[test]
fn port_in_use_is_fatal_at_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for host in ["127.0.0.1", ""] {
        let mut scene = small().flag(&format!("-web.listen-address={host}:{port}"));
        let exited = scene.run();
        assert_eq!((exited.code, scene.bytes(), scene.aws.calls().total()), (Some(1), None, 0), "{}", exited.stderr);
        let why = format!("cannot listen on port {port} (-web.listen-address): ");
        let log = exited.log();
        let error = log.last().and_then(|line| line["error"].as_str()).unwrap();
        assert!(error.starts_with(&why) && error.contains("in use"), "{error}");
    }
}

#[test]
fn nothing_listens_by_default_and_the_file_is_the_same() {
    let mut scene = both_clusters();
    scene.start_and_wait_for(&TWO_CLUSTERS);
    let before = scene.bytes();
    assert_eq!(tcp_sockets(scene.program().id(), TcpState::Listen), 0);
    scene.stop();
    let mut scene = both_clusters();
    scene.serve();
    scene.wait_for_targets(&TWO_CLUSTERS);
    assert_eq!(tcp_sockets(scene.program().id(), TcpState::Listen), 1);
    assert_eq!(scene.bytes(), before);
    scene.stop();
}

/// Returns a world with scripts and control characters in the texts that users control.
fn scripts() -> World {
    let label = |name: &'static str| (name, "</td><script>alert('1')</script>&amp;");
    let labels = [(PORT_LABEL, "9102,<script>"), label("PROMETHEUS_EXPORTER_JOB_NAME"), label("team")];
    let definition = TaskDefinition::new("web", 1, "awsvpc").container("app", &labels);
    let task = on_fargate("t-1", "web:1", "10.0.0.1").group("service:<script>\u{1b}[2J\n10.0.0.9:9102");
    World::default().with_cluster(Cluster::new("prod").with_task(task)).with_task_definition(definition)
}

#[test]
fn page_shows_the_state_and_escapes_untrusted_text() {
    let mut scene = Scene::of(scripts()).flag("-config.cluster=prod");
    let role = "arn:aws:iam::123456789012:role/reader";
    scene = scene.flag(&format!("-config.role-arn={role}")).flag("-config.external-id=s3cr3t");
    let server = scene.serve();
    scene.wait_for_targets(&[ONE]);
    wait_until("the page shows the target", || server.get("/").body.contains(ONE));
    let page = server.get("/");
    assert!(!page.body.contains("<script") && page.body.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{}", page.body);
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    for text in [
        concat!("ecs-discovery ", env!("CARGO_PKG_VERSION")),
        "<code>-config.cluster</code></td><td><code>prod</code>",
        "<code>-config.external-id</code></td><td><code>(set)</code>",
        role,
        "invalid_port 1",
        "prod: read",
        "invalid port &quot;&lt;script&gt;&quot;",
    ] {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
    for path in ["/", "/metrics", "/targets"] {
        let body = server.get(path).body;
        assert!(
            !body.contains("s3cr3t") && !body.contains("AKIATEST") && !body.contains("simulated"),
            "{path}: {body}"
        );
    }
    assert!(!page.body.contains(|c: char| c.is_control() && c != '\n'), "{}", page.body);
    assert!(page.body.contains("service:&lt;script&gt;\\u{1b}[2J\\n10.0.0.9"), "{}", page.body);
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied));
    wait_until("the page shows the failure", || server.get("/").body.contains("allow ecs:ListTasks"));
    let page = server.get("/").body;
    assert!(
        page.contains("prod: <span class=\"failed\">could not be read completely") && page.contains("(last known)"),
        "{page}"
    );
    scene.stop();
}
