//! A panic costs a refresh: the program restarts discovery in the same process, and goes on serving targets.
//!
//! The real program has no panic to trigger, so a test runs in its place: the same `run`, with a source that panics
//! while a file exists.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, fs};

use ecs_discovery::aws::{Aws, Sqs, StartError};
use ecs_discovery::cli::{self, Parsed};
use ecs_discovery::config::Config;
use ecs_discovery::inventory::{Attempt, Cached, ClusterRef, Failure, Observer, Scope, Snapshot, Source, TaskArn};
use ecs_discovery::run::{connect, run_with};
use simaws::{Fault, FaultKind};
use tokio::signal::unix::{SignalKind, signal};

use crate::fixtures::{API, SHOP, TWO_CLUSTERS, WEB, fargate, on_fargate, two_clusters};
use crate::harness::{Scene, Server, is_failure, run_concurrently, stand_in_flags, text, wait_until};

const ONE: &str = "10.0.0.1:9102";
const TWO: &str = "10.0.0.2:9102";

/// While this file exists in the program's working directory, refreshes panic. It may say how many are spared first.
const TRIGGER: &str = "panic";

/// The test that runs in place of the program.
const STAND_IN: &str = "panics::limited_run_ends_with_an_error";

/// AWS, except that it panics on request.
struct Panicking {
    aws: Aws,
    /// The number of refreshes so far.
    refreshes: usize,
}

impl Panicking {
    fn panic_if_requested(&self) {
        let Ok(spared) = fs::read_to_string(TRIGGER) else { return };
        assert!(self.refreshes < spared.parse().unwrap_or(0), "requested by the test");
    }
}

impl Source for Panicking {
    fn scope(&self) -> &Scope {
        self.aws.scope()
    }

    fn covers(&self, cluster_arn: &str) -> bool {
        self.aws.covers(cluster_arn)
    }

    async fn snapshot(&mut self, report: Option<&mut dyn FnMut(Snapshot)>) -> Snapshot {
        self.panic_if_requested();
        self.refreshes += 1;
        self.aws.snapshot(report).await
    }

    async fn look(&mut self, base: &Snapshot, cluster: &ClusterRef, tasks: &[TaskArn]) -> Result<Snapshot, Failure> {
        self.aws.look(base, cluster, tasks).await
    }

    fn calls(&self) -> Vec<u32> {
        self.aws.calls()
    }
}

/// The error code of responses that cause a panic.
const EVIL: &str = "EvilException";

/// An observer that panics while a call with the code [`EVIL`] is in progress.
struct PanickingObserver(Arc<dyn Observer>);

impl Observer for PanickingObserver {
    fn attempt(&self, attempt: &Attempt<'_>) {
        assert!(attempt.code != EVIL, "requested by the test");
        self.0.attempt(attempt);
    }

    fn cached(&self, scope: &Scope, cache: Cached, entries: usize) {
        self.0.cached(scope, cache, entries);
    }
}

async fn connect_panicking(
    config: &Config,
    observer: Arc<dyn Observer>,
) -> Result<(Vec<Panicking>, Vec<Sqs>), StartError> {
    let (sources, queues) = connect(config, Arc::new(PanickingObserver(observer))).await?;
    Ok((sources.into_iter().map(|aws| Panicking { aws, refreshes: 0 }).collect(), queues))
}

/// Runs in place of the program, to its end.
fn run_in_place_of_the_program(flags: Vec<OsString>) {
    let Ok(Parsed::Run(config)) = cli::parse(flags, |name| env::var_os(name)) else { panic!("flags to run with") };
    ecs_discovery::init_logs(config.log);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        let shutdown = async {
            terminate.recv().await;
        };
        run_with(*config, shutdown, connect_panicking).await
    });
    result.unwrap();
}

/// Returns a scene with one task, and a program that panics on request.
fn one_task() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod").with_stand_in(STAND_IN)
}

fn trigger(scene: &Scene) -> PathBuf {
    scene.directory().join(TRIGGER)
}

/// Returns how many refreshes have panicked, as a whole or in part.
fn panics(server: Server) -> Option<f64> {
    let metrics = server.metrics();
    let failures = metrics.series("refresh_failures_total{").into_iter().filter(|series| series.contains("\"panic\""));
    failures.map(|series| metrics.value(series)).sum()
}

#[test]
fn restarts_discovery_in_the_same_process_and_loses_no_targets() {
    let mut scene = one_task();
    let server = scene.serve();
    scene.wait_for_targets(&[ONE]);
    assert_eq!(panics(server), Some(0.0));
    let reader = scene.reader(&[ONE]);
    fs::write(trigger(&scene), "").unwrap();
    wait_until("two refreshes panicked", || panics(server) >= Some(2.0));
    assert_eq!(server.targets("/targets").len(), 1);
    assert_eq!(server.get("/").status, 200);
    let line = scene.wait_for_message("panic");
    assert!(text(&line, "error").starts_with("requested by the test"), "{line}");
    scene.aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", FaultKind::Denied));
    fs::remove_file(trigger(&scene)).unwrap();
    scene.wait_for_refreshes(1);
    let failed = |line: &_| is_failure(line, "DescribeTaskDefinition", "AccessDeniedException");
    assert!(!scene.log().iter().any(failed), "the task definition is restored from the cache file");
    scene.aws.clear_faults();
    scene.add_task("prod", on_fargate("web-2", "web:1", "10.0.0.2"));
    scene.wait_for_targets(&[ONE, TWO]);
    reader.stop();
    scene.stop();
}

#[test]
fn keeps_targets_without_an_output_file() {
    let mut scene = one_task().flag("-config.write-to=");
    let server = scene.serve();
    wait_until("the target is served", || server.get("/targets").body.contains(ONE));
    fs::write(trigger(&scene), "").unwrap();
    wait_until("a refresh panicked", || panics(server) >= Some(1.0));
    scene.aws.add_fault(simaws::Fault::always("*", simaws::FaultKind::Denied));
    fs::remove_file(trigger(&scene)).unwrap();
    scene.wait_for_refreshes(2);
    assert!(server.get("/targets").body.contains(ONE));
    scene.stop();
}

/// A response that causes a panic costs what the call was for; the others go on.
#[test]
fn panic_in_one_call_loses_no_target_and_delays_no_others() {
    let cases = [
        ("ecs:ListTasks", "\"prod\"", SHOP),
        ("ecs:DescribeTasks", "\"prod\"", SHOP),
        ("ecs:DescribeTaskDefinition", "/web:1", API),
        ("ecs:DescribeContainerInstances", "\"prod\"", WEB),
        ("ec2:DescribeInstances", "i-1", WEB),
    ];
    run_concurrently(&cases, |(operation, matching, unaffected)| {
        let scene = Scene::of(two_clusters()).flag("-config.cluster=prod,other").flag("-config.cache=off");
        let mut scene = scene.with_stand_in(STAND_IN);
        let kind = FaultKind::Error { status: 400, code: EVIL.into(), message: "evil".into() };
        scene.aws.add_fault(Fault::always(operation, kind.clone()).matching(matching));
        let server = scene.serve();
        wait_until("a target that does not depend on it", || scene.targets().contains(*unaffected));
        scene.wait_for_failure(operation.split_once(':').unwrap().1, "Panic");
        // It is logged before it is counted.
        wait_until("the panic is counted", || panics(server) >= Some(1.0));
        scene.aws.clear_faults();
        scene.wait_for_targets(&TWO_CLUSTERS);
        let reader = scene.reader(&TWO_CLUSTERS);
        scene.aws.add_fault(Fault::always(operation, kind).matching(matching));
        scene.wait_for_refreshes(3);
        assert_eq!(server.get("/-/healthy").status, 200);
        reader.stop();
        scene.stop();
    });
}

#[test]
fn waits_an_interval_before_it_calls_aws_again() {
    let mut scene = one_task().flag("-config.scrape-interval=1h");
    fs::write(trigger(&scene), "").unwrap();
    let server = scene.serve();
    scene.wait_for_message("a refresh panicked");
    fs::remove_file(trigger(&scene)).unwrap();
    assert_eq!(server.get("/-/healthy").status, 200);
    let metrics = server.metrics();
    let timestamp = |name: &str| metrics.value(name).unwrap();
    assert!(timestamp("last_refresh_timestamp_seconds") > 0.0, "the refresh that panicked");
    assert_eq!(timestamp("last_successful_refresh_timestamp_seconds"), 0.0);
    assert_eq!(scene.aws.calls().total(), 0);
    scene.stop();
}

#[test]
fn unhealthy_after_several_panics_without_a_finished_refresh() {
    let mut scene = one_task();
    let server = scene.serve();
    scene.wait_for_targets(&[ONE]);
    fs::write(trigger(&scene), "").unwrap();
    wait_until("unhealthy", || server.get("/-/healthy").status == 503);
    assert!(panics(server) >= Some(3.0));
    assert!(server.get("/-/healthy").body.contains("panicked"));
    assert_eq!(server.targets("/targets").len(), 1);
    fs::remove_file(trigger(&scene)).unwrap();
    wait_until("healthy again", || server.get("/-/healthy").status == 200);
    scene.stop();
}

/// The account of the process's own credentials, which it asks for, is known only after the restart.
#[test]
fn series_of_a_scope_that_is_gone_after_a_restart_are_removed() {
    let scene = Scene::of(fargate(1)).flag("-config.cluster=arn:aws:ecs:*:123456789012:cluster/prod");
    let mut scene = scene.flag("-config.role-arn=self,arn:aws:iam::222222222222:role/reader").with_stand_in(STAND_IN);
    scene.aws.add_fault(Fault::always("sts:GetCallerIdentity", FaultKind::Denied));
    let server = scene.serve();
    scene.wait_for_targets(&[ONE]);
    let series = |account: &str| {
        let labels = format!("{{account_id=\"{account}\",region=\"us-east-1\"");
        let metrics = server.metrics();
        metrics.0.lines().filter(|line| line.contains(&labels)).count()
    };
    wait_until("there are series without an account", || series("") > 0);
    fs::write(trigger(&scene), "").unwrap();
    wait_until("a refresh panicked", || panics(server) >= Some(1.0));
    scene.aws.clear_faults();
    fs::remove_file(trigger(&scene)).unwrap();
    wait_until("there are series with the account only", || series("") == 0 && series("123456789012") > 0);
    scene.stop();
}

#[test]
fn limited_run_ends_with_an_error() {
    if let Some(flags) = stand_in_flags() {
        return run_in_place_of_the_program(flags);
    }
    let mut scene = one_task().flag("-config.scrape-times=2");
    fs::write(trigger(&scene), "1").unwrap();
    let exited = scene.run();
    assert_ne!(exited.code, Some(0));
    assert!(exited.stderr.contains("Panicked"), "{}", exited.stderr);
    assert_eq!((scene.targets().len(), scene.aws.calls().get("ecs:ListTasks")), (1, 1));
}
