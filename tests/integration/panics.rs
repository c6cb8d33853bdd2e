//! A panic, wherever it comes from, costs a refresh: the program starts over as the same process.
//!
//! The real program has none that could be asked for, so a test plays it: the same `run`, told by a signal to panic.

use std::ffi::OsString;

use ecs_discovery::cli::{self, Parsed};
use tokio::signal::unix::{SignalKind, signal};

use crate::fixtures::{fargate, on_fargate};
use crate::harness::{Scene, Server, Signal, flags_of_the_understudy, text, wait_until};

const ONE: &str = "10.0.0.1:9102";
const TWO: &str = "10.0.0.2:9102";

const PANIC: Signal = Signal::USR1;

/// The test that plays the program where it is started as that.
const PLAYER: &str = "panics::a_limited_run_ends_with_a_panic";

/// Plays the program, to its end, with these flags.
fn play(flags: Vec<OsString>) {
    let Ok(Parsed::Run(config)) = cli::parse(flags, |name| std::env::var_os(name)) else { panic!("it is to run") };
    ecs_discovery::telemetry::init(config.log);
    let shutdown = async {
        let (mut end, mut panic) =
            (signal(SignalKind::terminate()).unwrap(), signal(SignalKind::user_defined1()).unwrap());
        tokio::select! {
            _ = end.recv() => {}
            _ = panic.recv() => panic!("as the test asks"),
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ecs_discovery::run(*config, shutdown)).unwrap();
}

/// One task, and the program that can be made to panic.
fn one_task() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod").played_by(PLAYER)
}

/// Has it panic, and waits until it listens again.
fn panic(scene: &mut Scene, times: usize) -> Server {
    scene.program().send(PANIC);
    let lines = |scene: &mut Scene, message: &str| -> Vec<_> {
        scene.log().into_iter().filter(|line| text(line, "message") == message).collect()
    };
    wait_until("it listens again", || lines(scene, "listening").len() == times + 1);
    let said = lines(scene, "panic");
    assert_eq!(said.len(), times);
    assert_eq!(text(&said[times - 1], "error"), "as the test asks");
    let listening = lines(scene, "listening");
    Server(text(&listening[times], "address").parse().unwrap())
}

fn panics(server: Server) -> Option<f64> {
    server.metrics().value("refresh_failures_total{stage=\"panic\"}")
}

#[test]
fn the_program_starts_over_as_the_same_process_and_no_target_is_lost() {
    let mut scene = one_task();
    let server = scene.serve();
    scene.wait_for_targets(&[ONE]);
    assert_eq!(panics(server), Some(0.0));
    let reader = scene.reader(&[ONE]);
    for times in 1..=2 {
        let server = panic(&mut scene, times);
        assert!(!scene.program().has_exited());
        assert_eq!(panics(server), Some(times as f64));
        assert_eq!(server.targets("/targets").len(), 1, "known from the file");
        scene.wait_for_message("started over after a panic");
    }
    // What it learned before is in the cache.
    scene.wait_for_refreshes(1);
    assert_eq!(scene.aws.calls().get("ecs:DescribeTaskDefinition"), 1);
    scene.add_task("prod", on_fargate("web-2", "web:1", "10.0.0.2"));
    scene.wait_for_targets(&[ONE, TWO]);
    reader.stop();
    scene.stop();
}

#[test]
fn after_a_panic_aws_is_asked_no_sooner_than_it_would_have_been() {
    let mut scene = one_task().flag("-config.scrape-interval=1h");
    scene.serve();
    scene.wait_for_targets(&[ONE]);
    scene.aws.take_calls();
    panic(&mut scene, 1);
    scene.wait_for_message("started over after a panic");
    let server = panic(&mut scene, 2);
    assert_eq!(server.get("/-/healthy").status, 200);
    let metrics = server.metrics();
    let timestamp = |name: &str| metrics.value(name).unwrap();
    assert!(timestamp("last_refresh_timestamp_seconds") > 0.0, "the one that panicked");
    assert_eq!(timestamp("last_successful_refresh_timestamp_seconds"), 0.0);
    assert_eq!(scene.aws.calls().total(), 0);
    scene.stop();
}

#[test]
fn a_limited_run_ends_with_a_panic() {
    if let Some(flags) = flags_of_the_understudy() {
        return play(flags);
    }
    let mut scene = one_task().flag("-config.scrape-interval=1h").flag("-config.scrape-times=2");
    scene.start_and_wait_for(&[ONE]);
    let exited = scene.send(PANIC);
    assert_ne!(exited.code, Some(0));
    assert_eq!(scene.targets().len(), 1);
}
