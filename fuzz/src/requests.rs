//! Requests to the web endpoints.
//!
//! If the first byte of the input is `?`, the rest is a query for `/targets`; if it is `/`, one for the status page; otherwise all
//! of it is what a client sends.
//!
//! Invariant: nothing panics, and all that comes back is well-formed responses with a status that the program means. `/targets`
//! lists what a query selects; if that is nothing, it responds with an empty list only for a place that was seen to be empty, with
//! 503 if there may be targets that could not be learned, and with 404 otherwise. The page shows a query's text as text.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use ecs_discovery::config::Config;
use ecs_discovery::file_sd::{Format, TargetGroup, parse};
use ecs_discovery::inventory::{
    Container, ContainerDefinition, NetworkMode, Pattern, Task, TaskDefinition, TaskStatus,
};
use ecs_discovery::status::SharedStatus;
use ecs_discovery::telemetry::Telemetry;
use ecs_discovery::web::{App, serve_connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::memory::within;
use crate::runtime::block_on;
use crate::snapshots::{self, CLUSTER, DEFINITION, settings, task_arn};

/// A cluster that could not be listed.
const UNKNOWN_CLUSTER: &str = "arn:aws:ecs:eu-west-1:123456789012:cluster/dark";

/// The services of the tasks, of which the last one stops and is no target.
const SERVICES: [&str; 3] = ["web", "api", "stopping"];

/// Runs the target.
pub fn run(data: &[u8]) {
    within((4 << 20) + 100 * data.len(), || match data {
        [b'?', query @ ..] => check_targets(&encoded(query)),
        [b'/', query @ ..] => check_page(&encoded(query)),
        bytes => check_raw(bytes),
    });
}

fn app() -> Arc<App> {
    thread_local! {
        static APP: std::cell::OnceCell<Arc<App>> = const { std::cell::OnceCell::new() };
    }
    let create = || {
        let config = settings(&["-config.cluster=*", "-web.listen-address=:0", "-config.filter-label=<fuzz>"]);
        let flags = config.web.as_ref().map(|web| web.flags.clone()).unwrap_or_default();
        let status = Arc::new(SharedStatus::default());
        status.published(Arc::new(snapshots::publish(world(), &config)));
        let telemetry_path = "/metrics".into();
        let stalled_after = Duration::from_secs(1 << 30);
        Arc::new(App { status, telemetry: Arc::new(Telemetry::default()), telemetry_path, stalled_after, flags })
    };
    APP.with(|app| app.get_or_init(create).clone())
}

fn config() -> Config {
    settings(&[])
}

fn world() -> ecs_discovery::inventory::Snapshot {
    let container = |ip: [u8; 4]| Container {
        name: "<fuzz>".into(),
        ipv4: Some(ip.into()),
        last_status: TaskStatus::Running,
        ..Container::default()
    };
    let task = |(at, service): (u8, &str)| Task {
        arn: task_arn(service),
        cluster: Some(CLUSTER.into()),
        definition: DEFINITION.into(),
        group: Some(format!("service:{service}").as_str().into()),
        last_status: TaskStatus::Running,
        stop_requested: service == "stopping",
        version: 1,
        on_managed_instance: false,
        container_instance: None,
        attachment_ipv4: None,
        containers: vec![container([10, 0, 0, at])],
        details: None,
    };
    let definition = TaskDefinition {
        family: "web".into(),
        revision: 3,
        network_mode: NetworkMode::Awsvpc,
        containers: vec![ContainerDefinition {
            name: "<fuzz>".into(),
            docker_labels: [("PROMETHEUS_EXPORTER_PORT".into(), "9102".into()), ("<fuzz>".into(), "".into())].into(),
            ..ContainerDefinition::default()
        }],
    };
    let mut world = snapshots::snapshot((1..).zip(SERVICES).map(task).collect(), definition);
    snapshots::add_failed_cluster(&mut world, UNKNOWN_CLUSTER);
    world
}

/// Percent-encodes what cannot be part of a request's target.
fn encoded(query: &[u8]) -> String {
    let mut text = String::new();
    for byte in query {
        if byte.is_ascii_alphanumeric() || b"-._~!$'()*+,;=:@/?&%".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// A response.
struct Response {
    status: u16,
    body: Vec<u8>,
}

/// Sends bytes, and returns what comes back until the server closes the connection.
fn exchange(bytes: &[u8]) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(16 << 10);
    let (app, mut received) = (app(), Vec::new());
    block_on(async {
        let (mut from_server, mut to_server) = tokio::io::split(&mut client);
        let send = async {
            // The server may have closed the connection.
            let _ = to_server.write_all(bytes).await;
        };
        // Without an end of what is sent, the server waits for more until its time limit.
        tokio::join!(serve_connection(server, app), send, async {
            let _ = from_server.read_to_end(&mut received).await;
        });
    });
    received
}

/// Takes the first of some responses.
fn take_response<'a>(bytes: &'a [u8], sent: &[u8]) -> (Response, &'a [u8]) {
    let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(400)]);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {}", shown()));
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
    let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let status: u16 = line
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| line.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or_else(|| panic!("no status: {line:?}"));
    let mut length = 0;
    for field in fields.split("\r\n").filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once(": ").unwrap_or_else(|| panic!("no field: {field:?}"));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{field:?}");
        assert!(!name.eq_ignore_ascii_case("transfer-encoding"), "lengths are known: {field:?}");
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().expect("a length");
        }
    }
    let rest = &bytes[end + 4..];
    let has_body = rest.len() >= length && !rest.starts_with(b"HTTP/1.");
    let is_head = sent.windows(5).any(|five| five == b"HEAD ");
    assert!(has_body || is_head, "{} of {length} bytes: {}", rest.len(), shown());
    let (body, rest) = rest.split_at(if has_body { length } else { 0 });
    (Response { status, body: body.to_vec() }, rest)
}

fn check_raw(bytes: &[u8]) {
    let received = exchange(bytes);
    let mut rest = received.as_slice();
    while !rest.is_empty() {
        let (response, others) = take_response(rest, bytes);
        assert!([200, 400, 404, 405, 408, 414, 431, 503].contains(&response.status), "{}", response.status);
        rest = others;
    }
}

fn get(target: &str) -> Option<Response> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: fuzz\r\nConnection: close\r\n\r\n");
    let received = exchange(request.as_bytes());
    let (response, rest) = take_response(&received, b"");
    assert!(rest.is_empty(), "one response for one request");
    // A head that is too long.
    (![414, 431].contains(&response.status)).then_some(response)
}

fn check_page(query: &str) {
    let Some(page) = get(&format!("/?{query}")) else { return };
    assert!([200, 400, 404].contains(&page.status), "{}", page.status);
    let html = String::from_utf8(page.body).expect("text");
    assert!(!html.to_ascii_lowercase().contains("<fuzz"), "a query's text as HTML");
}

fn check_targets(query: &str) {
    let Some(response) = get(&format!("/targets?{query}")) else { return };
    let targets = || parse(&response.body, Format::Json).expect("target groups");
    match expected(query) {
        Expected::Targets(selected) => {
            assert_eq!((response.status, targets()), (200, selected));
        }
        Expected::Empty => assert_eq!((response.status, targets()), (200, vec![]), "{query}"),
        Expected::Status(status) => assert_eq!(response.status, status, "{query}"),
    }
}

#[derive(Debug)]
enum Expected {
    Targets(Vec<TargetGroup>),
    Empty,
    Status(u16),
}

/// Returns the response to a query, by its documentation.
fn expected(query: &str) -> Expected {
    const NAMES: [&str; 5] = ["cluster", "region", "account", "service", "family"];
    let pairs = form_urlencoded::parse(query.as_bytes());
    let pairs: Vec<_> = pairs.filter(|(name, _)| NAMES.contains(&&**name)).collect();
    if pairs.len() > 200 || pairs.iter().any(|(_, value)| value.len() > 512) {
        return Expected::Status(400);
    }
    let values = |wanted: &str| {
        let values: BTreeSet<&str> =
            pairs.iter().filter(|(name, _)| name == wanted).map(|(_, value)| &**value).collect();
        Some(values).filter(|values| !values.is_empty())
    };
    // Without a value of a name, it does not narrow; what has none of it is not selected by one.
    let is = |name: &str, value: Option<&str>| {
        values(name).is_none_or(|values| value.is_some_and(|value| values.contains(value)))
    };
    let is_cluster = |arn: Option<&str>| {
        let matches = |text: &&str, arn| Pattern::parse(text).is_ok_and(|pattern| pattern.matches(arn));
        values("cluster").is_none_or(|values| arn.is_some_and(|arn| values.iter().any(|text| matches(text, arn))))
    };
    let in_scope = is("region", Some("eu-west-1")) && is("account", Some("123456789012"));
    let is_task = |service: Option<&str>| is("service", service) && is("family", service.map(|_| "web")) && in_scope;
    let all = snapshots::publish(world(), &config()).targets;
    let selected = all.iter().filter(|group| {
        let service = group.labels.get("task_group").and_then(|group| group.strip_prefix("service:"));
        is_task(service) && is_cluster(Some(CLUSTER))
    });
    let selected: Vec<_> = selected.cloned().collect();
    if pairs.is_empty() || !selected.is_empty() {
        return Expected::Targets(selected);
    }
    if in_scope && is_cluster(Some(UNKNOWN_CLUSTER)) {
        return Expected::Status(503);
    }
    let clusters = [None, Some(CLUSTER), Some(UNKNOWN_CLUSTER)];
    let was_seen = clusters.into_iter().any(|cluster| is_cluster(cluster) && is_task(None))
        || SERVICES.iter().any(|service| is_cluster(Some(CLUSTER)) && is_task(Some(service)));
    if was_seen { Expected::Empty } else { Expected::Status(404) }
}
