//! The log: what each level shows, and that no text from AWS controls a terminal or fakes a line.

use serde_json::Value;
use simaws::{Cluster, Fault, FaultKind, TaskDefinition, World};

use crate::fixtures::{PORT_LABEL, on_fargate, two_clusters};
use crate::harness::{Exited, Scene, text};

/// Makes one refresh of both clusters, with a throttled call, and returns its log.
fn refresh_once(level: &str) -> (Scene, Exited) {
    let mut scene = Scene::of(two_clusters()).flag("-config.scrape-times=1").flag(&format!("-log.level={level}"));
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Throttle).times(1).cluster("prod"));
    let exited = scene.run();
    assert_eq!(exited.code, Some(0));
    (scene, exited)
}

fn with_message<'a>(log: &'a [Value], message: &str) -> Vec<&'a Value> {
    log.iter().filter(|line| text(line, "message") == message).collect()
}

#[test]
fn debug_shows_every_call_decision_and_write() {
    let (scene, exited) = refresh_once("debug");
    let log = exited.log();
    let calls = with_message(&log, "AWS call");
    assert_eq!(calls.len(), scene.aws.calls().total(), "{calls:#?}");
    for call in &calls {
        let of_a_cluster =
            !["ListClusters", "DescribeTaskDefinition", "DescribeInstances"].contains(&text(call, "operation"));
        assert_eq!(call["cluster"].is_string(), of_a_cluster, "{call}");
        assert!(call["attempt"].is_u64() && call["seconds"].is_f64() && !text(call, "code").is_empty(), "{call}");
        assert!(!text(call, "request_id").is_empty(), "{call}");
    }
    let throttled: Vec<_> = calls.iter().filter(|call| text(call, "code") == "ThrottlingException").collect();
    assert_eq!(throttled.len(), 1);
    assert_eq!((text(throttled[0], "operation"), &throttled[0]["attempt"]), ("ListTasks", &1.into()));
    assert!(calls.iter().any(|call| text(call, "operation") == "ListTasks" && call["attempt"] == 2));
    let decisions = with_message(&log, "tasks to describe");
    assert_eq!(decisions.len(), 2, "one per cluster");
    for decision in decisions {
        assert!(text(decision, "cluster").starts_with("arn:"), "{decision}");
        let counts = ["new", "unsettled", "invalidated", "due", "cached"].map(|count| decision[count].as_u64());
        assert_eq!(counts, [2, 0, 0, 0, 0].map(Some), "{decision}");
    }
    assert_eq!(with_message(&log, "targets written").len(), 1);
}

#[test]
fn why_tasks_are_described_again() {
    let mut world = two_clusters();
    world.cluster_mut("prod").add_task(on_fargate("web-2", "web:1", "10.0.1.2").last_status("PENDING"));
    let mut scene =
        Scene::of(world).flag("-config.cluster=prod").flag("-config.scrape-times=2").flag("-log.level=trace");
    let log = scene.run().log();
    let decisions: Vec<_> =
        with_message(&log, "tasks to describe").into_iter().filter(|line| line["cluster"].is_string()).collect();
    let counts = ["new", "unsettled", "due"].map(|count| decisions[1][count].as_u64());
    assert_eq!(counts, [0, 1, 2].map(Some), "{}", decisions[1]);
    let task = log.iter().find(|line| text(line, "reason") == "Unsettled").unwrap();
    assert!(text(task, "task").ends_with("/web-2") && text(task, "level") == "TRACE", "{task}");
}

#[test]
fn cache_file_is_logged_when_it_is_written() {
    let mut scene = Scene::of(two_clusters());
    scene.start();
    let line = scene.wait_for_message("cache file written");
    assert!(line["bytes"].as_u64() > Some(0) && text(&line, "level") == "DEBUG", "{line}");
    scene.stop();
}

#[test]
fn info_shows_changes_only_and_trace_shows_the_sdk() {
    let (_, exited) = refresh_once("info");
    let messages: Vec<_> = exited.log().iter().map(|line| text(line, "message").to_owned()).collect();
    assert_eq!(messages, ["targets written"]);
    let ours = ["AWS call", "task", "target", "container", "cache"];
    let others = |exited: &Exited| {
        let log = exited.log();
        log.iter().filter(|line| !ours.iter().any(|start| text(line, "message").starts_with(start))).count()
    };
    let (debug, trace) = (refresh_once("debug").1, refresh_once("trace").1);
    assert!(others(&trace) > others(&debug) + 10, "{} and {}", others(&trace), others(&debug));
}

#[test]
fn text_from_aws_is_escaped_and_cut() {
    let forged = format!("9102,x\u{1b}[2J\nts=1 level=info \"msg\"=forged\u{9b}\u{202e}\u{2028}{}", "y".repeat(9000));
    let definition = TaskDefinition::new("web", 1, "awsvpc").container("app", &[(PORT_LABEL, &forged)]);
    let cluster = Cluster::new("prod").with_task(on_fargate("web-1", "web:1", "10.0.0.1"));
    let world = || World::default().with_cluster(cluster.clone()).with_task_definition(definition.clone());
    for format in ["logfmt", "json"] {
        let mut scene = Scene::of(world())
            .flag("-config.cluster=prod")
            .flag("-config.scrape-times=1")
            .flag("-log.level=info")
            .flag(&format!("-log.format={format}"));
        let exited = scene.run();
        let lines: Vec<&str> = exited.stderr.lines().collect();
        assert!(lines.iter().any(|line| line.contains("container misconfigured")), "{lines:#?}");
        for line in lines {
            assert!(line.starts_with("ts=20") || line.starts_with("{\"timestamp\":\"20"), "{line:?}");
            assert!(line.len() < 3000, "{} bytes", line.len());
            let is_unsafe = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}');
            assert!(!line.contains(is_unsafe), "{line:?}");
        }
    }
}

/// Returns the levels of the lines about failures and recovery, in order.
fn states(scene: &mut Scene) -> Vec<(String, String)> {
    let is_state = |line: &&Value| {
        let message = text(line, "message");
        message.contains(" failed: ") || message.starts_with("recovered") || message.starts_with("no file written")
    };
    let log = scene.log();
    let lines = log.iter().filter(is_state).filter(|line| text(line, "level") != "DEBUG");
    lines.map(|line| (text(line, "level").to_owned(), text(line, "message").to_owned())).collect()
}

#[test]
fn failures_are_logged_when_they_begin_and_when_they_end() {
    let mut scene = Scene::of(two_clusters())
        .flag("-config.cluster=prod,other")
        .flag("-config.role-arn=arn:aws:iam::123456789012:role/reader");
    scene.aws.add_fault(Fault::always("sts:AssumeRole", FaultKind::Denied));
    scene.start();
    scene.wait_for_refreshes(3);
    let line = |level: &str, message: &str| (level.to_owned(), message.to_owned());
    // The failure may end in the middle of a refresh, which then fails for one cluster only.
    let states = |scene: &mut Scene| -> Vec<_> {
        let of_a_cluster = |message: &str| message.starts_with("AssumeRole failed: keeping 0 targets of cluster ");
        states(scene).into_iter().filter(|(_, message)| !of_a_cluster(message)).collect()
    };
    let begin = [
        line("WARN", "AssumeRole failed: keeping 0 targets"),
        line("WARN", "no file written: refresh failed and no previous targets exist"),
    ];
    assert_eq!(states(&mut scene), begin, "one line for both clusters");
    scene.aws.clear_faults();
    scene.wait_for_message("recovered");
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).cluster("prod"));
    scene.wait_for_failure("ListTasks", "AccessDeniedException");
    scene.wait_for_refreshes(2);
    let then = [
        line("INFO", "recovered: the last refresh had no failures"),
        line("WARN", "ListTasks failed: keeping 2 targets of cluster prod"),
    ];
    assert_eq!(states(&mut scene), [&begin[..], &then].concat());
    scene.stop();
}
