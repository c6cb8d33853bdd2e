mod events;
mod model;

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time;

use super::*;
use crate::config::Interval;
use crate::inventory::{Fetched, Snapshot, TaskStatus};
use crate::output::{Earlier, Output};
use crate::refresh::fixtures::{Fixture, ScopeAndFile, Script, Step, running, unlisted};

fn daemon(fixture: &Fixture, script: &Script) -> Daemon<Script> {
    let ScopeAndFile { refresher, publisher } = fixture.scope(script);
    Daemon::new(vec![refresher], publisher, Arc::default(), Arc::default())
}

fn every(seconds: u64, limit: u64) -> RefreshConfig {
    RefreshConfig {
        interval: Interval::Every(Duration::from_secs(seconds)),
        watch: true,
        limit: NonZeroU64::new(limit),
    }
}

#[tokio::test(start_paused = true)]
async fn refreshes_at_once_and_then_at_each_interval() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let start = time::Instant::now();
    assert_eq!(daemon(&fixture, &script).run(every(60, 3)).await, Ok(()));
    let starts: Vec<u64> = script.starts.borrow().iter().map(|at| (*at - start).as_secs()).collect();
    assert_eq!(starts, [0, 60, 120]);
}

#[tokio::test(start_paused = true)]
async fn skips_ticks_after_a_refresh_that_outlasts_the_interval() {
    let slow = Step::Takes(Duration::from_secs(150), running(&["a"]));
    let (fixture, script) = (Fixture::new(), Script::of([slow, Step::Learns(running(&["a"]))]));
    let start = time::Instant::now();
    assert_eq!(daemon(&fixture, &script).run(every(60, 3)).await, Ok(()));
    let starts: Vec<u64> = script.starts.borrow().iter().map(|at| (*at - start).as_secs()).collect();
    assert_eq!(starts, [0, 180, 240], "two ticks were missed, and none is made up");
}

#[tokio::test(start_paused = true)]
async fn last_refresh_of_a_limited_run_decides_the_result() {
    let (failing, fine) = (Step::Learns(unlisted()), Step::Learns(running(&["a"])));
    let run =
        async |steps: [&Step; 2]| daemon(&Fixture::new(), &Script::of(steps.map(Step::clone))).run(every(1, 2)).await;
    assert_eq!(run([&failing, &fine]).await, Ok(()));
    assert_eq!(run([&fine, &failing]).await, Err(LastRefreshFailed));
}

/// Returns a snapshot in which the last of the tasks is not up yet.
fn last_pending(tasks: &[&str]) -> Snapshot {
    let mut snapshot = running(tasks);
    let listed = snapshot.clusters[0].tasks.as_mut().unwrap();
    if let Some(Fetched::Known(task)) = listed.last_mut().map(|listed| &mut listed.task) {
        Arc::make_mut(task).last_status = TaskStatus::Pending;
    }
    snapshot
}

/// Runs for this time.
async fn run_for(seconds: u64, daemon: Daemon<Script>, when: RefreshConfig) {
    let ended = time::timeout(Duration::from_secs(seconds), daemon.run(when)).await;
    assert!(ended.is_err(), "it has no limit");
}

fn unlimited(interval: Interval) -> RefreshConfig {
    RefreshConfig { interval, watch: true, limit: None }
}

fn seconds_of<'a>(start: time::Instant, times: impl IntoIterator<Item = &'a time::Instant>) -> Vec<u64> {
    times.into_iter().map(|at| (*at - start).as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn pending_task_is_a_target_as_soon_as_a_look_finds_it_up() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(last_pending(&["a", "b"]))]));
    let looks = [Ok(last_pending(&["a", "b"])), Ok(last_pending(&["a", "b"])), Ok(running(&["a", "b"]))];
    script.next_look.borrow_mut().extend(looks);
    let start = time::Instant::now();
    run_for(59, daemon(&fixture, &script), unlimited(Interval::Every(Duration::from_secs(60)))).await;
    assert_eq!(fixture.tasks().unwrap(), ["a", "b"]);
    let looks = script.looks.borrow();
    assert_eq!(seconds_of(start, looks.iter().map(|(at, _)| at)), [2, 4, 6], "none once nothing is pending");
    assert!(looks.iter().all(|(_, tasks)| tasks.iter().map(|task| task.id()).eq(["b"])));
}

#[tokio::test(start_paused = true)]
async fn nothing_pending_means_no_looks() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    run_for(600, daemon(&fixture, &script), unlimited(Interval::Every(Duration::from_secs(60)))).await;
    assert!(script.looks.borrow().is_empty());
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(last_pending(&["a"]))]));
    let when = RefreshConfig { watch: false, ..unlimited(Interval::Every(Duration::from_secs(60))) };
    run_for(600, daemon(&fixture, &script), when).await;
    assert!(script.looks.borrow().is_empty(), "-config.watch=false");
}

#[tokio::test(start_paused = true)]
async fn failing_looks_cost_nothing_but_calls() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(last_pending(&["a", "b"]))]));
    let failure = crate::refresh::fixtures::failure(crate::inventory::Operation::DescribeTasks);
    script.next_look.borrow_mut().extend(std::iter::repeat_n(Err(failure), 1000));
    run_for(299, daemon(&fixture, &script), unlimited(Interval::Every(Duration::from_secs(60)))).await;
    assert_eq!(fixture.tasks().unwrap(), ["a"]);
    assert_eq!(script.starts.borrow().len(), 5, "the refreshes keep their times");
    assert!(script.looks.borrow().len() < 20, "{} looks", script.looks.borrow().len());
}

/// In each minute another task starts and never comes up. The watch looks at it and finds it gone in the end.
#[tokio::test(start_paused = true)]
async fn crash_loop_is_not_looked_at_for_ever() {
    const HOURS: u64 = 6;
    let crashes = (0..=60 * HOURS).map(|n| Step::Learns(last_pending(&["a", &format!("b-{n}")])));
    let (fixture, script) = (Fixture::new(), Script::of(crashes));
    run_for(HOURS * 3600, daemon(&fixture, &script), unlimited(Interval::Every(Duration::from_secs(60)))).await;
    // Those that are saved up, and one in ten seconds.
    let looks = script.looks.borrow().len() as u64;
    assert!(looks <= 120 + HOURS * 360, "{looks} looks");
}

/// A small fleet needs no more than the shortest interval.
#[tokio::test(start_paused = true)]
async fn automatic_interval_follows_the_fleet() {
    let (fixture, script) = (Fixture::new(), Script::of([Step::Learns(running(&["a"]))]));
    let start = time::Instant::now();
    run_for(35, daemon(&fixture, &script), unlimited(Interval::Auto)).await;
    assert_eq!(seconds_of(start, script.starts.borrow().iter()), [0, 10, 20, 30]);
}

/// Builds loops for several scopes that share a file.
fn several(fixture: &Fixture, scripts: &[&Script]) -> Daemon<Script> {
    let scopes = scripts.iter().map(|script| fixture.scope(script).refresher).collect();
    let output =
        Output::open(&crate::config::Output::File { path: fixture.path(), format: crate::file_sd::Format::Yaml });
    let earlier = output.earlier();
    let restored = scripts.iter().map(|_| match &earlier {
        Earlier::Groups(groups) => groups.clone(),
        _ => Arc::default(),
    });
    Daemon::new(scopes, Publisher::new(output, &earlier, restored), Arc::default(), Arc::default())
}

#[tokio::test(start_paused = true)]
async fn slow_scope_delays_no_other() {
    let slow = Script::of([Step::Takes(Duration::from_secs(100), running(&["slow"]))]);
    let fast = Script::of([running(&["a"]), running(&["b"]), running(&["c"])].map(Step::Learns));
    let fixture = Fixture::new();
    run_for(65, several(&fixture, &[&slow, &fast]), unlimited(Interval::Every(Duration::from_secs(60)))).await;
    assert_eq!(fixture.tasks().unwrap(), ["b"]);
    assert_eq!(fast.starts.borrow().len(), 2);
}

/// Each quarter of the scopes that hang holds its turns for five seconds only.
#[tokio::test(start_paused = true)]
async fn many_slow_scopes_do_not_delay_another() {
    let slow = || Script::of([Step::Takes(Duration::from_secs(1000), running(&["slow"]))]);
    let (slow, fast) = ((0..32).map(|_| slow()).collect::<Vec<_>>(), Script::of([Step::Learns(running(&["fast"]))]));
    let fixture = Fixture::new();
    let scripts: Vec<_> = slow.iter().chain([&fast]).collect();
    run_for(21, several(&fixture, &scripts), unlimited(Interval::Every(Duration::from_secs(60)))).await;
    assert_eq!(fixture.tasks().unwrap(), ["fast"]);
}

#[tokio::test(start_paused = true)]
async fn failing_scope_keeps_its_own_targets_only() {
    let failing = Script::of([Step::Learns(running(&["kept"])), Step::Learns(unlisted())]);
    let other = Script::of([running(&["a"]), running(&["b"])].map(Step::Learns));
    let fixture = Fixture::new();
    run_for(125, several(&fixture, &[&failing, &other]), unlimited(Interval::Every(Duration::from_secs(60)))).await;
    assert_eq!(fixture.tasks().unwrap(), ["b", "kept"]);
}

#[tokio::test(start_paused = true)]
async fn limited_run_of_several_scopes_writes_once_a_round() {
    let slow = Script::of([Step::Takes(Duration::from_secs(30), running(&["slow"]))]);
    let fast = Script::of([Step::Learns(running(&["fast"]))]);
    let fixture = Fixture::new();
    let watched = async {
        time::sleep(Duration::from_secs(29)).await;
        fixture.tasks()
    };
    let (ended, before) = tokio::join!(several(&fixture, &[&slow, &fast]).run(every(60, 1)), watched);
    assert_eq!((ended, before), (Ok(()), None));
    assert_eq!(fixture.tasks().unwrap(), ["fast", "slow"]);
}

#[tokio::test(start_paused = true)]
async fn scope_that_was_never_refreshed_keeps_its_restored_targets() {
    let fixture = Fixture::new();
    fixture.scope(&Script::of([Step::Learns(running(&["old"]))])).refresh().await;
    let (hanging, other) = (
        Script::of([Step::Takes(Duration::from_secs(1000), running(&[]))]),
        Script::of([Step::Learns(running(&["new"]))]),
    );
    run_for(100, several(&fixture, &[&hanging, &other]), unlimited(Interval::Every(Duration::from_secs(60)))).await;
    assert_eq!(fixture.tasks().unwrap(), ["new", "old"]);
}

#[tokio::test(start_paused = true)]
async fn first_targets_are_published_as_they_are_learned() {
    let slow = Script::of([Step::Takes(Duration::from_secs(10), running(&["a", "b", "c"]))]);
    let second = Duration::from_secs(1);
    slow.reports.borrow_mut().extend([(second, running(&["a"])), (second, running(&["a", "b"]))]);
    let fixture = Fixture::new();
    let daemon = daemon(&fixture, &slow);
    let status = daemon.status.clone();
    let watched = async {
        let mut seen = Vec::new();
        for _ in 0..14 {
            time::sleep(Duration::from_millis(1001)).await;
            seen.push((fixture.tasks().map_or(0, |tasks| tasks.len()), status.get().ready));
        }
        seen.dedup();
        seen
    };
    let seen = tokio::select! {
        seen = watched => seen,
        _ = daemon.run(unlimited(Interval::Every(Duration::from_secs(60)))) => unreachable!(),
    };
    assert_eq!(seen, [(1, false), (2, false), (3, true)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_partial_replaces_known_targets() {
    let fixture = Fixture::new();
    fixture.scope(&Script::of([Step::Learns(running(&["old", "other"]))])).refresh().await;
    let slow = Script::of([Step::Takes(Duration::from_secs(100), running(&["a"]))]);
    slow.reports.borrow_mut().push((Duration::from_secs(1), running(&["a"])));
    run_for(50, daemon(&fixture, &slow), unlimited(Interval::Every(Duration::from_secs(60)))).await;
    assert_eq!(fixture.tasks().unwrap(), ["old", "other"]);
}

#[tokio::test(start_paused = true)]
async fn first_targets_are_kept_if_the_refresh_fails_in_the_end() {
    let fixture = Fixture::new();
    let failing = Script::of([Step::Takes(Duration::from_secs(10), unlisted())]);
    failing.reports.borrow_mut().push((Duration::from_secs(1), running(&["a"])));
    run_for(50, daemon(&fixture, &failing), unlimited(Interval::Every(Duration::from_secs(60)))).await;
    assert_eq!(fixture.tasks().unwrap(), ["a"]);
}
