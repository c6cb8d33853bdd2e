use std::num::NonZeroU64;

use super::*;
use crate::refresh::fixtures::{Fixture, ScopeAndFile, Script, Step, running, unlisted};

fn daemon(fixture: &Fixture, script: &Script) -> Daemon<Script> {
    let ScopeAndFile { refresher, publisher } = fixture.scope(script);
    Daemon::new(vec![refresher], publisher, Arc::default(), Arc::default())
}

fn every(seconds: u64, limit: u64) -> RefreshConfig {
    RefreshConfig { interval: Duration::from_secs(seconds), limit: NonZeroU64::new(limit) }
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
