//! Events of a queue: how soon they take effect, what damaged ones do, and what happens while the queue fails.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simaws::{Calls, Fault, FaultKind};

use super::fixtures::{address, fargate, on_fargate};
use super::harness::{Scene, Server, assert_takes_less_than, run_concurrently, text, wait_until};

const QUEUE: &str = "tasks";

/// A machine with other tests to run may take longer than the second that is promised.
const PROMPTLY: Duration = Duration::from_secs(10);

/// Returns a scene of the cluster `prod` with one task, whose next refresh is ten minutes after the first.
fn scene() -> Scene {
    let scene = Scene::of(fargate(1)).flag("-config.cluster=prod").flag("-config.scrape-interval=10m");
    let url = scene.aws.queue(QUEUE);
    scene.flag(&format!("-config.events-queue={url}"))
}

/// Starts the program, and waits for the first refresh and the first call to the queue.
fn serve(scene: &mut Scene) -> Server {
    let server = scene.serve();
    scene.wait_for_targets(&[&target(0)]);
    wait_until("the queue is asked", || scene.aws.calls().get("sqs:ReceiveMessage") > 0);
    scene.aws.take_calls();
    server
}

fn target(n: usize) -> String {
    format!("{}:9102", address(n))
}

/// Returns the event that a task is in this state.
fn event(scene: &Scene, cluster: &str, task: &str, version: i64, statuses: [&str; 2]) -> Value {
    let world = scene.aws.world();
    json!({
        "version": "0",
        "id": "9bcdac79-b31f-4d3d-9410-fbd727c29fab",
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": world.account,
        "region": world.region,
        "detail": {
            "clusterArn": world.cluster_arn(cluster),
            "taskArn": world.task_arn(cluster, task),
            "lastStatus": statuses[0],
            "desiredStatus": statuses[1],
            "version": version,
        },
    })
}

fn put(scene: &Scene, event: &Value) {
    scene.aws.put_message(QUEUE, &event.to_string());
}

/// Adds the nth task to the cluster, and puts the events of its start into the queue.
fn start_task(scene: &Scene, n: usize) {
    let id = format!("web-{n}");
    for (version, status) in [(1, "PROVISIONING"), (2, "PENDING"), (3, "ACTIVATING"), (4, "RUNNING")] {
        if status == "RUNNING" {
            let mut task = on_fargate(&id, "web:1", &address(n));
            task.version = Some(version);
            scene.add_task("prod", task);
        }
        put(scene, &event(scene, "prod", &id, version, [status, "RUNNING"]));
    }
}

fn stop_task(scene: &Scene, n: usize) {
    let id = format!("web-{n}");
    scene.aws.change(|world| world.cluster_mut("prod").tasks.retain(|task| task.id != id));
    put(scene, &event(scene, "prod", &id, 5, ["DEACTIVATING", "STOPPED"]));
}

fn wait_until_deleted(scene: &Scene) {
    wait_until("all messages are deleted", || scene.aws.messages(QUEUE) == 0);
}

fn warnings(scene: &mut Scene) -> usize {
    scene.log().iter().filter(|line| text(line, "level") == "WARN").count()
}

#[test]
fn task_that_starts_is_a_target_at_once_and_one_that_stops_is_none() {
    let mut scene = scene();
    serve(&mut scene);
    let start = Instant::now();
    start_task(&scene, 1);
    scene.wait_for_targets(&[&target(0), &target(1)]);
    assert!(start.elapsed() < PROMPTLY, "{:?}", start.elapsed());
    wait_until_deleted(&scene);
    let calls = scene.aws.take_calls();
    let of_ecs = ["ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeTaskDefinition"].map(|name| calls.get(name));
    assert_eq!(of_ecs, [0, 1, 0], "{calls}");

    let start = Instant::now();
    scene.aws.change(|world| {
        let task = world.cluster_mut("prod").tasks.iter_mut().find(|task| task.id == "web-1").unwrap();
        (task.desired_status, task.version) = (Some("STOPPED".into()), Some(5));
    });
    put(&scene, &event(&scene, "prod", "web-1", 5, ["RUNNING", "STOPPED"]));
    scene.wait_for_targets(&[&target(0)]);
    assert!(start.elapsed() < PROMPTLY, "{:?}", start.elapsed());
    assert_eq!(scene.aws.calls().get("ecs:DescribeTasks"), 1);
    scene.stop();
}

#[test]
fn duplicates_and_disorder_do_no_harm() {
    let mut scene = scene();
    serve(&mut scene);
    let task = |version, statuses| event(&scene, "prod", "web-1", version, statuses);
    let events = [
        task(4, ["RUNNING", "RUNNING"]),
        task(1, ["PROVISIONING", "RUNNING"]),
        task(4, ["RUNNING", "RUNNING"]),
        task(3, ["ACTIVATING", "RUNNING"]),
    ];
    let mut started = on_fargate("web-1", "web:1", &address(1));
    started.version = Some(4);
    scene.add_task("prod", started);
    events.iter().chain(&events).for_each(|event| put(&scene, event));
    scene.wait_for_targets(&[&target(0), &target(1)]);
    wait_until_deleted(&scene);
    put(&scene, &events[0]);
    wait_until_deleted(&scene);
    start_task(&scene, 2);
    scene.wait_for_targets(&[&target(0), &target(1), &target(2)]);
    let calls = scene.aws.calls().get("ecs:DescribeTasks");
    assert!(calls <= 3, "{calls}");
    scene.stop();
}

#[test]
fn foreign_unknown_and_damaged_messages_are_deleted_and_counted() {
    let mut scene = scene();
    let server = serve(&mut scene);
    let running = ["RUNNING", "RUNNING"];
    put(&scene, &event(&scene, "other", "web-1", 1, running));
    put(&scene, &json!({"source": "aws.ecs", "detail-type": "ECS Deployment State Change", "detail": {}}));
    let mut damaged = event(&scene, "prod", "web-1", 1, running);
    damaged["detail"]["taskArn"] = json!("web-1");
    put(&scene, &damaged);
    scene.aws.put_message(QUEUE, "\u{0}{");
    scene.aws.put_message(QUEUE, &"x".repeat(300_000));
    wait_until_deleted(&scene);
    let count = |result: &str| server.metrics().value(&format!("events_total{{result=\"{result}\"}}"));
    wait_until("all are counted", || count("other_cluster") == Some(1.0));
    assert_eq!(["other_event", "invalid", "accepted", "dropped"].map(count), [1.0, 3.0, 0.0, 0.0].map(Some));
    assert_eq!(warnings(&mut scene), 0);
    let calls = scene.aws.take_calls();
    assert_eq!(calls.get("ecs:DescribeTasks"), 0, "{calls}");
    scene.stop();
}

/// Returns a series of an operation of the queue, which is in the account and the region of its URL.
fn of_queue(metric: &str, operation: &str, code: &str) -> String {
    let scope = "account_id=\"123456789012\",region=\"us-east-1\"";
    format!("{metric}{{{scope},service=\"sqs\",operation=\"{operation}\"{code}}}")
}

#[test]
fn calls_to_the_queue_are_counted_beside_those_of_refreshes() {
    let mut scene = scene();
    scene.aws.add_fault(Fault::once("sqs:ReceiveMessage", FaultKind::Throttle));
    let server = serve(&mut scene);
    start_task(&scene, 1);
    scene.wait_for_targets(&[&target(0), &target(1)]);
    wait_until_deleted(&scene);
    let value = |series: &str| server.metrics().value(series);
    let requests = |operation: &str, code: &str| {
        value(&of_queue("aws_requests_total", operation, &format!(",code=\"{code}\""))).unwrap_or(0.0)
    };
    wait_until("a call is counted when it ends", || requests("DeleteMessageBatch", "ok") >= 1.0);
    assert!(requests("ReceiveMessage", "ok") >= 1.0);
    assert_eq!(requests("ReceiveMessage", "RequestThrottled"), 1.0, "{}", server.metrics().0);
    assert_eq!(value(&of_queue("aws_throttles_total", "ReceiveMessage", "")), Some(1.0));
    assert_eq!(value(&of_queue("aws_throttles_total", "DeleteMessageBatch", "")), Some(0.0));
    assert!(value(&of_queue("aws_request_duration_seconds_count", "ReceiveMessage", "")) >= Some(2.0));
    assert!(!server.metrics().0.contains("stage=\"receive_message\""), "it is no stage of a refresh");
    scene.stop();
}

#[test]
fn denied_queue_is_a_warning_with_the_action_to_allow() {
    for (operation, message, action) in [
        ("sqs:ReceiveMessage", "cannot receive events: access denied", "allow sqs:ReceiveMessage"),
        ("sqs:DeleteMessageBatch", "cannot delete events: access denied", "allow sqs:DeleteMessage"),
    ] {
        let mut scene = scene();
        put(&scene, &event(&scene, "prod", "web-0", 1, ["RUNNING", "RUNNING"]));
        scene.aws.add_fault(Fault::always(operation, FaultKind::Denied));
        scene.start_and_wait_for(&[&target(0)]);
        assert_eq!(text(&scene.wait_for_message(message), "remedy"), action);
        scene.stop();
    }
}

/// A fault of the queue, and the message that it leads to.
#[derive(Debug)]
struct Failing(FaultKind, &'static str);

#[test]
fn failing_queue_is_one_warning_and_discovery_goes_on() {
    let garbage = FaultKind::Html;
    let cases = [
        Failing(FaultKind::Denied, "cannot receive events: access denied"),
        Failing(FaultKind::Reset, "cannot receive events: the call failed"),
        Failing(FaultKind::Throttle, "cannot receive events: the call failed"),
        Failing(garbage, "cannot receive events: the call failed"),
    ];
    run_concurrently(&cases, |Failing(kind, message)| {
        let mut scene = scene().flag("-config.scrape-interval=100ms");
        scene.aws.add_fault(Fault::always("sqs:ReceiveMessage", kind.clone()));
        let server = scene.serve();
        scene.wait_for_message(message);
        let up = || server.metrics().value(&format!("events_queue_up{{queue=\"{}\"}}", scene.aws.queue(QUEUE)));
        assert_eq!(up(), Some(0.0));
        wait_until("the queue is asked again", || scene.aws.calls().get("sqs:ReceiveMessage") >= 3);
        scene.add_task("prod", on_fargate("web-1", "web:1", &address(1)));
        scene.wait_for_targets(&[&target(0), &target(1)]);
        assert_eq!(warnings(&mut scene), 1, "{kind:?}");

        scene.aws.clear_faults();
        put(&scene, &event(&scene, "prod", "web-1", 1, ["RUNNING", "RUNNING"]));
        scene.wait_for_message("receiving events");
        let up = || server.metrics().value(&format!("events_queue_up{{queue=\"{}\"}}", scene.aws.queue(QUEUE)));
        wait_until("the queue is up", || up() == Some(1.0));
        wait_until_deleted(&scene);
        assert_eq!(warnings(&mut scene), 1, "{kind:?}");
        scene.stop();
    });
}

#[test]
fn missing_queue_is_a_warning_until_it_is_created() {
    let mut scene = scene();
    scene.aws.delete_queue(QUEUE);
    scene.start_and_wait_for(&[&target(0)]);
    scene.wait_for_message("cannot receive events: the queue does not exist");
    scene.aws.queue(QUEUE);
    start_task(&scene, 1);
    scene.wait_for_targets(&[&target(0), &target(1)]);
    scene.stop();
}

/// Such messages are received again and again.
#[test]
fn messages_that_cannot_be_deleted_are_a_warning_and_count_nevertheless() {
    let mut scene = scene();
    scene.aws.set_visibility(QUEUE, Duration::ZERO);
    scene.aws.add_fault(Fault::always("sqs:DeleteMessageBatch", FaultKind::Denied));
    serve(&mut scene);
    start_task(&scene, 1);
    scene.wait_for_targets(&[&target(0), &target(1)]);
    scene.wait_for_message("cannot delete events: access denied");
    scene.aws.take_calls();
    wait_until("it is tried again", || scene.aws.calls().get("sqs:DeleteMessageBatch") >= 2);
    assert_eq!(warnings(&mut scene), 1);
    assert_eq!(scene.aws.calls().get("ecs:DescribeTasks"), 0);
    scene.aws.clear_faults();
    wait_until_deleted(&scene);
    scene.stop();
}

#[test]
fn queue_that_hangs_delays_neither_discovery_nor_shutdown() {
    let mut scene = scene().flag("-config.scrape-interval=100ms");
    scene.aws.add_fault(Fault::always("sqs:ReceiveMessage", FaultKind::Hang));
    scene.start_and_wait_for(&[&target(0)]);
    scene.add_task("prod", on_fargate("web-1", "web:1", &address(1)));
    scene.wait_for_targets(&[&target(0), &target(1)]);
    let start = Instant::now();
    scene.stop();
    assert!(!poll_ended_before(&scene, start));
}

/// Returns whether a call that receives messages ended before this time. (One that the exit of the program breaks off ends
/// then.)
fn poll_ended_before(scene: &Scene, time: Instant) -> bool {
    scene.aws.calls().spans().any(|span| span.operation == "sqs:ReceiveMessage" && span.ended < time)
}

/// The queue would respond after 20 seconds.
#[test]
fn shutdown_does_not_wait_for_a_long_poll() {
    let mut scene = scene();
    assert_takes_less_than(Duration::from_secs(1), || {
        scene.aws.take_calls();
        serve(&mut scene);
        let start = Instant::now();
        scene.stop();
        let took = start.elapsed();
        assert!(!poll_ended_before(&scene, start), "the poll was open when the signal came");
        took
    });
}

#[test]
fn quiet_queue_costs_one_call_per_wait_and_a_limited_run_none() {
    let mut scene = scene();
    scene.start_and_wait_for(&[&target(0)]);
    wait_until("the queue is asked", || scene.aws.calls().get("sqs:ReceiveMessage") > 0);
    let [request] = &scene.aws.calls().requests("sqs:ReceiveMessage")[..] else { panic!("one call") };
    assert_eq!((&request["WaitTimeSeconds"], &request["MaxNumberOfMessages"]), (&json!(20), &json!(10)));
    assert_eq!(request["QueueUrl"], json!(scene.aws.queue(QUEUE)));
    scene.stop();

    let mut scene = self::scene().flag("-config.scrape-times=1");
    put(&scene, &event(&scene, "prod", "web-0", 1, ["RUNNING", "RUNNING"]));
    assert_eq!(scene.run().code, Some(0));
    let refresh = [("ecs:ListTasks", 1), ("ecs:DescribeTasks", 1), ("ecs:DescribeTaskDefinition", 1)];
    assert_eq!(scene.aws.calls(), Calls::of(&refresh));
}

/// AWS may describe a task as it was before the event.
#[test]
fn task_in_an_older_version_than_its_event_is_described_again() {
    let mut scene = scene().flag("-config.watch=false");
    serve(&mut scene);
    let mut task = on_fargate("web-1", "web:1", &address(1)).last_status("PENDING");
    task.version = Some(3);
    scene.add_task("prod", task);
    put(&scene, &event(&scene, "prod", "web-1", 4, ["RUNNING", "RUNNING"]));
    // A call that has only begun may still see the change.
    let described = || scene.aws.calls().spans().any(|span| span.operation == "ecs:DescribeTasks");
    wait_until("it is described", described);
    scene.aws.change(|world| {
        let task = world.cluster_mut("prod").tasks.iter_mut().find(|task| task.id == "web-1").unwrap();
        (task.last_status, task.version) = (Some("RUNNING".into()), Some(4));
    });
    scene.wait_for_targets(&[&target(0), &target(1)]);
    assert!(scene.aws.calls().get("ecs:DescribeTasks") >= 2);
    scene.stop();
}

#[test]
fn arn_in_place_of_the_url_is_an_error_that_shows_the_url() {
    let arn = "arn:aws:sqs:eu-west-1:123456789012:tasks";
    let mut scene = Scene::of(fargate(1)).flag(&format!("-config.events-queue={arn}"));
    let exited = scene.run();
    assert_eq!(exited.code, Some(2));
    assert!(exited.stderr.contains("https://sqs.eu-west-1.amazonaws.com/123456789012/tasks"), "{}", exited.stderr);
}

/// Stops a task whose description is gone, too.
#[test]
fn task_that_aws_no_longer_knows_is_left_to_the_next_refresh_at_the_latest() {
    let mut scene = scene().flag("-config.scrape-interval=2s");
    serve(&mut scene);
    start_task(&scene, 1);
    scene.wait_for_targets(&[&target(0), &target(1)]);
    stop_task(&scene, 1);
    scene.wait_for_targets(&[&target(0)]);
    scene.stop();
}

#[test]
fn task_that_a_failing_or_incomplete_response_omits_is_described_again() {
    run_concurrently(&[FaultKind::Denied, FaultKind::CutBody, FaultKind::EmptyObject], |fault| {
        let mut scene = scene();
        serve(&mut scene);
        scene.aws.add_fault(Fault::once("ecs:DescribeTasks", fault.clone()));
        start_task(&scene, 1);
        scene.wait_for_targets(&[&target(0), &target(1)]);
        scene.stop();
    });
}
