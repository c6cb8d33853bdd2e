//! Events of a scripted queue.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::LazyLock;

use super::*;
use crate::events::{Message, QueueFailure, QueueState};
use crate::inventory::Scope;
use crate::telemetry::MetricsFormat;

/// A queue of messages, or failures, that come at these times. It waits for them for 20 seconds at a time.
#[derive(Clone, Default)]
struct Scripted {
    next: Rc<RefCell<VecDeque<(Duration, Received)>>>,
    deleted: Rc<RefCell<Vec<String>>>,
    receives: Rc<Cell<usize>>,
    start: Option<time::Instant>,
}

type Received = Result<Vec<Message>, QueueFailure>;

impl Scripted {
    fn of(next: impl IntoIterator<Item = (u64, Received)>) -> Self {
        let next = next.into_iter().map(|(millis, received)| (Duration::from_millis(millis), received));
        Self { next: Rc::new(RefCell::new(next.collect())), start: Some(time::Instant::now()), ..Self::default() }
    }
}

impl EventQueue for Scripted {
    fn url(&self) -> &str {
        "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks"
    }

    fn scope(&self) -> &Scope {
        static SCOPE: LazyLock<Scope> = LazyLock::new(|| Scope { region: "eu-west-1".into(), account: None });
        &SCOPE
    }

    async fn receive(&mut self) -> Received {
        self.receives.set(self.receives.get() + 1);
        let wait_end = time::Instant::now() + Duration::from_secs(20);
        let at = self.next.borrow().front().and_then(|(after, _)| Some(self.start? + *after));
        time::sleep_until(at.unwrap_or(wait_end).min(wait_end)).await;
        if at.is_some_and(|at| at <= time::Instant::now()) {
            return self.next.borrow_mut().pop_front().unwrap().1;
        }
        Ok(Vec::new())
    }

    async fn delete(&mut self, receipts: Vec<String>) -> Result<(), QueueFailure> {
        self.deleted.borrow_mut().extend(receipts);
        Ok(())
    }
}

fn message(body: String) -> Message {
    Message { receipt: format!("receipt of {body}"), body }
}

/// Returns the event that a task of a cluster in `eu-west-1` is in this state.
fn event_in(cluster: &str, task: &str, version: u64, status: &str) -> Message {
    let arn = "arn:aws:ecs:eu-west-1:123456789012";
    let detail = format!(
        r#"{{"clusterArn":"{arn}:cluster/{cluster}","taskArn":"{arn}:task/{cluster}/{task}","version":{version},"lastStatus":"{status}"}}"#
    );
    message(format!(r#"{{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{detail}}}"#))
}

fn event(task: &str, version: u64, status: &str) -> Message {
    event_in("prod", task, version, status)
}

fn unavailable() -> QueueFailure {
    QueueFailure { state: QueueState::Unreachable, code: "Timeout".into(), message: "no response".into() }
}

/// Returns the snapshot with this version of the last task.
fn in_version(version: u64, mut snapshot: Snapshot) -> Snapshot {
    let listed = snapshot.clusters[0].tasks.as_mut().unwrap();
    if let Some(Fetched::Known(task)) = listed.last_mut().map(|listed| &mut listed.task) {
        Arc::make_mut(task).version = version;
    }
    snapshot
}

/// Runs a daemon with a queue for this time, at an interval of ten minutes. Returns when it looked, in milliseconds, and
/// how many tasks it looked at.
async fn run_with_queue(seconds: u64, fixture: &Fixture, script: &Script, queue: &Scripted) -> Vec<(u128, usize)> {
    let start = time::Instant::now();
    let when = unlimited(Interval::Every(Duration::from_secs(600)));
    let run = daemon(fixture, script).run_with(when, vec![queue.clone()]);
    assert!(time::timeout(Duration::from_secs(seconds), run).await.is_err(), "it has no limit");
    script.looks.borrow().iter().map(|(at, tasks)| ((*at - start).as_millis(), tasks.len())).collect()
}

#[tokio::test(start_paused = true)]
async fn task_of_an_event_is_a_target_within_a_second() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    script.next_look.borrow_mut().push_back(Ok(running(&["a", "b"])));
    let queue = Scripted::of([
        (100_000, Ok(vec![event("b", 1, "PROVISIONING")])),
        (105_000, Ok(vec![event("b", 2, "PENDING")])),
        (130_000, Ok(vec![event("b", 3, "RUNNING")])),
    ]);
    assert_eq!(run_with_queue(131, &fixture, &script, &queue).await, [(130_500, 1)]);
    assert_eq!(fixture.tasks().unwrap(), ["a", "b"]);
    assert_eq!(queue.deleted.borrow().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn task_that_an_event_says_stops_is_no_target_within_a_second() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a", "b"]))]));
    script.next_look.borrow_mut().push_back(Ok(running(&["a"])));
    let queue = Scripted::of([(100_000, Ok(vec![event("b", 3, "DEACTIVATING"), event("b", 4, "STOPPED")]))]);
    assert_eq!(run_with_queue(101, &fixture, &script, &queue).await, [(100_500, 1)]);
    assert_eq!(fixture.tasks().unwrap(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn messages_that_say_nothing_new_are_deleted_and_cost_no_call() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(in_version(7, running(&["a"])))]));
    let elsewhere = message(event("a", 9, "RUNNING").body.replace("eu-west-1", "us-east-1"));
    let messages = vec![
        event("a", 7, "RUNNING"),
        event("a", 3, "STOPPED"),
        event("gone", 9, "STOPPED"),
        event_in("other", "a", 9, "RUNNING"),
        elsewhere,
        message(r#"{"source":"aws.ec2","detail-type":"x"}"#.into()),
        message("{".into()),
    ];
    let queue = Scripted::of([(100_000, Ok(messages.clone())), (101_000, Ok(messages))]);
    assert_eq!(run_with_queue(300, &fixture, &script, &queue).await, []);
    assert_eq!(queue.deleted.borrow().len(), 14);
    assert_eq!(fixture.tasks().unwrap(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn task_described_in_an_older_version_is_described_again() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let old = in_version(2, last_pending(&["a", "b"]));
    let looks = [Ok(old.clone()), Ok(old), Ok(in_version(3, running(&["a", "b"])))];
    script.next_look.borrow_mut().extend(looks);
    let queue = Scripted::of([(100_000, Ok(vec![event("b", 3, "RUNNING"); 2]))]);
    let when = RefreshConfig { watch: false, ..unlimited(Interval::Every(Duration::from_secs(600))) };
    let start = time::Instant::now();
    let run = daemon(&fixture, &script).run_with(when, vec![queue]);
    assert!(time::timeout(Duration::from_secs(200), run).await.is_err());
    let at: Vec<_> = script.looks.borrow().iter().map(|(at, _)| (*at - start).as_millis()).collect();
    assert_eq!(at, [100_500, 101_500, 103_500]);
    assert_eq!(fixture.tasks().unwrap(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn burst_of_events_shares_calls() {
    let ids: Vec<String> = (0..250).map(|n| format!("task-{n:03}")).collect();
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let batches = ids.chunks(10).map(|ids| ids.iter().map(|id| event(id, 3, "RUNNING")).collect());
    let queue = Scripted::of(batches.map(|batch| (100_000, Ok(batch))).collect::<Vec<_>>());
    // This source describes none of them: a second later they would be described again.
    let looks = run_with_queue(101, &fixture, &script, &queue).await;
    assert_eq!(looks, [(100_500, 100), (100_500, 100), (100_500, 50)]);
}

#[tokio::test(start_paused = true)]
async fn failing_queue_changes_nothing_else_and_is_asked_ever_more_rarely() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let queue = Scripted::of(std::iter::repeat_n((0, Err(unavailable())), 10_000));
    run_with_queue(1801, &fixture, &script, &queue).await;
    assert_eq!(script.starts.borrow().len(), 4, "at 0, 600, 1200 and 1800 s");
    let receives = queue.receives.get();
    assert!((30..=80).contains(&receives), "{receives}");
}

#[tokio::test(start_paused = true)]
async fn queue_that_responds_at_once_is_not_asked_in_a_tight_loop() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let queue = Scripted::of(std::iter::repeat_n((0, Ok(vec![])), 10_000));
    run_with_queue(100, &fixture, &script, &queue).await;
    assert!(queue.receives.get() <= 101, "{}", queue.receives.get());
}

/// Events lengthen the interval from 10 s to 5 min; a failing queue says nothing of what it misses.
#[tokio::test(start_paused = true)]
async fn automatic_interval_is_long_while_events_flow() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let queue = Scripted::of([
        (15_000, Ok(vec![event("a", 1, "PENDING")])),
        (333_000, Err(unavailable())),
        (345_000, Ok(vec![])),
        (355_000, Ok(vec![event("a", 2, "PENDING")])),
    ]);
    let start = time::Instant::now();
    let run = daemon(&fixture, &script).run_with(unlimited(Interval::Auto), vec![queue]);
    assert!(time::timeout(Duration::from_secs(700), run).await.is_err());
    let starts = seconds_of(start, script.starts.borrow().iter());
    assert_eq!(starts, [0, 10, 20, 320, 340, 350, 360, 660]);
}

/// A queue may have lost its rule, or have none for this scope.
#[tokio::test(start_paused = true)]
async fn automatic_interval_is_short_while_no_events_come() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let other = event_in("other", "a", 1, "RUNNING");
    let queue = Scripted::of([(15_000, Ok(vec![event("a", 1, "PENDING")])), (3_700_000, Ok(vec![other]))]);
    let start = time::Instant::now();
    let run = daemon(&fixture, &script).run_with(unlimited(Interval::Auto), vec![queue]);
    assert!(time::timeout(Duration::from_secs(4000), run).await.is_err());
    let starts = seconds_of(start, script.starts.borrow().iter());
    assert_eq!(starts[..4], [0, 10, 20, 320]);
    assert!(starts.ends_with(&[3960, 3970, 3980, 3990]) || starts.ends_with(&[3970, 3980, 3990, 4000]), "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn limited_run_ignores_queues() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let queue = Scripted::of([(0, Ok(vec![event("b", 1, "RUNNING")]))]);
    assert_eq!(daemon(&fixture, &script).run_with(every(60, 3), vec![queue.clone()]).await, Ok(()));
    assert_eq!((queue.receives.get(), script.looks.borrow().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn interval_is_short_again_after_changes_of_which_no_event_told() {
    let changed = Step::Learns(running(&["a", "b"]));
    let same = || Step::Learns(running(&["a"]));
    let (fixture, script) = (Fixture::new(), Script::of([same(), same(), same(), changed]));
    let queue = Scripted::of([(15_000, Ok(vec![event("a", 1, "PENDING")]))]);
    let start = time::Instant::now();
    let run = daemon(&fixture, &script).run_with(unlimited(Interval::Auto), vec![queue]);
    assert!(time::timeout(Duration::from_secs(645), run).await.is_err());
    // The change is found at 320 s, and its event might still come within two minutes.
    let starts = seconds_of(start, script.starts.borrow().iter());
    assert_eq!(starts[..6], [0, 10, 20, 320, 450, 460]);
    assert_eq!(starts.last(), Some(&640));
}

/// The metric follows the warning.
#[tokio::test(start_paused = true)]
async fn missing_events_are_a_metric() {
    let steps = [running(&["a"]), running(&["a", "b"])].map(Step::Learns);
    let (fixture, script) = (Fixture::new(), Script::of(steps));
    let daemon = daemon(&fixture, &script);
    let (telemetry, status) = (daemon.telemetry.clone(), daemon.status.clone());
    let queue = Scripted::of([(400_000, Ok(vec![event("a", 9, "PENDING")]))]);
    let missing = || {
        const SERIES: &str = "ecs_discovery_events_missing{account_id=\"\",region=\"eu-west-1\"} ";
        let text = telemetry.metrics(&status.get(), MetricsFormat::Classic);
        text.lines().find_map(|line| line.strip_prefix(SERIES).map(str::to_owned))
    };
    let watched = async {
        let mut seen = Vec::new();
        // The change is found at 10 s.
        for seconds in [1, 128, 2, 268, 2] {
            time::sleep(Duration::from_secs(seconds)).await;
            seen.push(missing());
        }
        seen
    };
    let seen = tokio::select! {
        seen = watched => seen,
        _ = daemon.run_with(unlimited(Interval::Auto), vec![queue]) => unreachable!(),
    };
    assert_eq!(seen, ["0", "0", "1", "1", "0"].map(|value| Some(value.to_owned())));
}

/// One task is pending all the time.
#[tokio::test(start_paused = true)]
async fn pending_tasks_are_watched_loosely_while_events_flow_and_closely_otherwise() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(last_pending(&["a", "b"]))]));
    let queue = Scripted::of([(15_000, Ok(vec![event("a", 1, "PENDING")])), (100_000, Err(unavailable()))]);
    let looks: Vec<_> = run_with_queue(150, &fixture, &script, &queue).await.iter().map(|(at, _)| at / 1000).collect();
    // The event comes between the looks at 14 and 16 s, and the queue fails after the one at 91 s.
    let loose = [16, 21, 31, 51, 91];
    let close: Vec<u128> = (2..=14).step_by(2).collect();
    let close_again: Vec<u128> = (102..=120).step_by(2).collect();
    assert_eq!(looks, [&close[..], &loose, &close_again].concat());
}

/// The rule is lost after the first event: a look finds a change of which no event tells.
#[tokio::test(start_paused = true)]
async fn new_tasks_are_watched_closely_after_changes_of_which_no_event_told() {
    let steps = [running(&["a"]), running(&["a"]), last_pending(&["a", "b"]), last_pending(&["a", "b", "c"])];
    let (fixture, script) = (Fixture::new(), Script::of(steps.map(Step::Learns)));
    script.next_look.borrow_mut().push_back(Ok(in_version(2, last_pending(&["a", "b"]))));
    let queue = Scripted::of([(1_000, Ok(vec![event("a", 1, "PENDING")]))]);
    let start = time::Instant::now();
    let run = daemon(&fixture, &script).run_with(unlimited(Interval::Auto), vec![queue]);
    assert!(time::timeout(Duration::from_secs(459), run).await.is_err());
    // Two minutes after the look at 315 s, events are missing.
    assert_eq!(seconds_of(start, script.starts.borrow().iter()), [0, 10, 310, 440, 450]);
    let looks = seconds_of(start, script.looks.borrow().iter().map(|(at, _)| at));
    assert_eq!(looks, [315, 325, 345, 385, 442, 444, 446, 448, 452, 454, 456, 458]);
}

/// More tasks than hints are kept, and one that no hint is left for.
fn flood() -> Vec<Message> {
    (0..10_050).map(|n| event(&format!("task-{n:05}"), 3, "RUNNING")).collect()
}

#[tokio::test(start_paused = true)]
async fn dropped_hints_lead_to_a_refresh_at_once() {
    let steps = [running(&["a"]), running(&["a", "lost"])];
    let (fixture, script) = (Fixture::new(), Script::of(steps.map(Step::Learns)));
    let start = time::Instant::now();
    run_with_queue(102, &fixture, &script, &Scripted::of([(100_000, Ok(flood()))])).await;
    assert_eq!(seconds_of(start, script.starts.borrow().iter()), [0, 100]);
    assert_eq!(fixture.tasks().unwrap(), ["a", "lost"]);
}

#[tokio::test(start_paused = true)]
async fn hints_dropped_while_others_are_gathered_or_retried_lead_to_a_refresh_at_once() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let mut messages = flood();
    let second = messages.split_off(5_000);
    let queue = Scripted::of([(100_000, Ok(messages)), (100_100, Ok(second))]);
    let start = time::Instant::now();
    run_with_queue(102, &fixture, &script, &queue).await;
    assert_eq!(seconds_of(start, script.starts.borrow().iter()), [0, 100]);
}

/// Nothing that happens during a refresh may be lost either: it may have listed the tasks before.
#[tokio::test(start_paused = true)]
async fn hints_dropped_during_a_refresh_lead_to_another_one() {
    let slow = Step::Takes(Duration::from_secs(30), running(&["a"]));
    let (fixture, script) = (Fixture::new(), Script::of([slow, Step::Learns(running(&["a", "lost"]))]));
    let start = time::Instant::now();
    run_with_queue(40, &fixture, &script, &Scripted::of([(10_000, Ok(flood()))])).await;
    assert_eq!(seconds_of(start, script.starts.borrow().iter()), [0, 30]);
    assert_eq!(fixture.tasks().unwrap(), ["a", "lost"]);
}

/// Refreshes are as far apart as they would be without events.
#[tokio::test(start_paused = true)]
async fn flood_of_hints_does_not_refresh_without_pause() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let flood = |second: u64| (second * 1000, Ok(flood()));
    let start = time::Instant::now();
    run_with_queue(119, &fixture, &script, &Scripted::of((100..103).map(flood))).await;
    assert_eq!(seconds_of(start, script.starts.borrow().iter()), [0, 100, 110]);
}
