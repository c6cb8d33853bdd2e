//! Start and shutdown: exit codes, signals, the sources of region and credentials, no concurrent refreshes.

use std::fs;
use std::time::{Duration, Instant};

use ecs_discovery::file_sd::{self, Format};
use simaws::{Fault, FaultKind, Options};

use crate::fixtures::{TWO_CLUSTERS, fargate, on_fargate, two_clusters};
use crate::harness::{Exited, Scene, Signal, text, wait_until};

const ONE: &str = "10.0.0.1:9102";

/// The capacity of a pipe on Linux, see pipe(7).
const PIPE_CAPACITY: u64 = 65_536;

fn small() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod")
}

/// Sends a signal. The program must exit with code 0 within a second and leave no temporary file.
fn assert_prompt_exit(scene: &mut Scene, signal: Signal) -> Exited {
    let start = Instant::now();
    let exited = scene.send(signal);
    let took = start.elapsed();
    assert_eq!(exited.code, Some(0), "{signal:?}: {exited:?}");
    assert!(took < Duration::from_secs(1), "{signal:?}: {took:?}");
    scene.assert_no_temporary_files();
    exited
}

#[test]
fn signal_between_refreshes_shuts_down() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut scene = small().flag("-config.scrape-interval=1h");
        scene.start_and_wait_for(&[ONE]);
        assert_prompt_exit(&mut scene, signal);
        assert_eq!(scene.targets().len(), 1);
    }
}

#[test]
fn signal_during_a_hanging_call_shuts_down() {
    for (operation, signal) in
        [("ecs:ListTasks", Signal::TERM), ("ec2:DescribeInstances", Signal::INT), ("sts:AssumeRole", Signal::TERM)]
    {
        let mut scene = Scene::of(two_clusters()).flag("-config.role-arn=arn:aws:iam::123456789012:role/reader");
        scene.aws.add_fault(Fault::always(operation, FaultKind::Hang));
        scene.start();
        wait_until("the call hangs", || scene.aws.calls().get(operation) > 0);
        assert_prompt_exit(&mut scene, signal);
        assert_eq!(scene.bytes(), None);
    }
}

#[test]
fn signal_while_waiting_for_credentials_shuts_down() {
    let mut scene = with_container_credentials();
    scene.aws.add_fault(Fault::always("metadata:credentials", FaultKind::Hang));
    scene.start();
    wait_until("the call hangs", || scene.aws.calls().get("metadata:credentials") > 0);
    assert_prompt_exit(&mut scene, Signal::TERM);
}

#[test]
fn signal_while_stdout_is_blocked_shuts_down() {
    let mut scene = Scene::of(fargate(500)).flag("-config.cluster=prod").flag("-config.write-to=-");
    scene.leave_stdout_unread();
    scene.start();
    wait_until("the pipe is full", || scene.program().unread() >= PIPE_CAPACITY);
    assert_prompt_exit(&mut scene, Signal::TERM);
}

#[test]
fn exit_code_is_the_result_of_the_last_refresh() {
    let mut scene = small().flag("-config.scrape-times=3");
    let exited = scene.run();
    assert_eq!((exited.code, scene.aws.take_calls().get("ecs:ListTasks")), (Some(0), 3));
    scene.aws.add_fault(Fault::once("ecs:ListTasks", FaultKind::Denied));
    assert_eq!(scene.run().code, Some(0), "only the first refresh failed");
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).skip(2));
    let exited = scene.run();
    assert_eq!(exited.code, Some(1));
    assert_eq!(text(exited.log().last().unwrap(), "error"), "the last refresh failed");
    scene.wait_for_targets(&[ONE]);
}

#[test]
fn limited_run_that_cannot_write_fails() {
    let mut scene = small().flag("-config.scrape-times=1").write_to("nowhere/ecs.yml");
    let exited = scene.run();
    assert_eq!(exited.code, Some(1), "{}", exited.stderr);
}

#[test]
fn unusable_aws_configuration_is_fatal_at_start() {
    let without_keys = |scene: Scene| scene.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY");
    let cases: [(Scene, &str); 5] = [
        (small().without_env("AWS_REGION"), "no AWS region: set -config.region"),
        (without_keys(small()), "no AWS credentials in the environment, the profile \"default\", a web identity,"),
        (
            without_keys(small()).flag("-config.role-arn=arn:aws:iam::1:role/x"),
            "no AWS credentials in the environment, the profile \"default\", a web identity,",
        ),
        (small().env("AWS_MAX_ATTEMPTS", "0"), "AWS_MAX_ATTEMPTS=0"),
        (small().env("AWS_MAX_ATTEMPTS", "many"), "AWS_MAX_ATTEMPTS=many"),
    ];
    for (mut scene, why) in cases {
        let exited = scene.run();
        assert_eq!(exited.code, Some(1), "{why}");
        let log = exited.log();
        let last = log.last().unwrap();
        assert!(text(last, "error").contains(why) && text(last, "level") == "ERROR", "{last}");
        assert_eq!((scene.bytes(), scene.aws.calls().total()), (None, 0), "{why}");
    }
}

#[test]
fn invalid_command_line_exits_with_2() {
    let invalid: [(&[&str], &str); 7] = [
        (&["-config.clutser=x"], "clutser"),
        (&["-config.scrape-interval=0"], "scrape-interval"),
        (&["-config.scrape-interval=-1m"], "scrape-interval"),
        (&["-config.scrape-times=many"], "scrape-times"),
        (&["-config.dynamic-port-detection", "true", "-config.cluster=x"], "dynamic-port-detection"),
        (&["stray"], "stray"),
        (&["-config.role-arn"], "role-arn"),
    ];
    for (flags, what) in invalid {
        let mut scene = flags.iter().fold(small(), |scene, flag| scene.flag(flag));
        let exited = scene.run();
        assert_eq!((exited.code, exited.stdout.as_str()), (Some(2), ""), "{flags:?}");
        assert!(exited.stderr.lines().next().unwrap().contains(what), "{flags:?}: {}", exited.stderr);
        assert!(exited.stderr.contains("Usage") && scene.aws.calls().total() == 0);
    }
}

#[test]
fn help_and_version_are_printed_to_stdout() {
    for (flag, what) in [
        ("-help", "-config.scrape-interval"),
        ("--help", "-config.write-to"),
        ("-h", "-config.cluster"),
        ("-version", env!("CARGO_PKG_VERSION")),
    ] {
        let exited = small().flag(flag).run();
        assert_eq!((exited.code, exited.stderr.as_str()), (Some(0), ""), "{flag}");
        assert!(exited.stdout.contains(what), "{flag}: {}", exited.stdout);
    }
}

#[test]
fn region_falls_back_to_the_task_metadata() {
    let scene = small().flag("-config.scrape-times=1");
    let endpoint = format!("{}/v4/t1", scene.aws.url());
    let mut scene = scene.env("ECS_CONTAINER_METADATA_URI_V4", &endpoint).without_env("AWS_REGION");
    assert_eq!(scene.run().code, Some(0));
    assert_eq!((scene.aws.take_calls().get("metadata:task"), scene.targets().len()), (1, 1));
    let mut scene = scene.flag("-config.region=eu-west-1");
    assert_eq!(scene.run().code, Some(0));
    assert_eq!(scene.aws.take_calls().get("metadata:task"), 0);
    let mut scene = scene.flag("-config.region=").env("AWS_DEFAULT_REGION", "eu-west-1");
    assert_eq!(scene.run().code, Some(0));
    assert_eq!(scene.aws.take_calls().get("metadata:task"), 0);
}

#[test]
fn unusable_task_metadata_gives_no_region() {
    for kind in [FaultKind::ServerError, FaultKind::EmptyObject, FaultKind::Html, FaultKind::Reset, FaultKind::Hang] {
        let scene = small().without_env("AWS_REGION");
        let endpoint = format!("{}/v4/t1", scene.aws.url());
        let mut scene = scene.env("ECS_CONTAINER_METADATA_URI_V4", &endpoint);
        scene.aws.add_fault(Fault::always("metadata:task", kind));
        let exited = scene.run();
        assert_eq!(exited.code, Some(1), "{}", exited.stderr);
        assert!(exited.stderr.contains("no AWS region"), "{}", exited.stderr);
    }
}

fn with_container_credentials() -> Scene {
    let scene = small().without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY");
    let endpoint = format!("{}/credentials", scene.aws.url());
    scene.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint)
}

#[test]
fn container_credentials_are_used() {
    let mut scene = with_container_credentials().flag("-config.scrape-times=3");
    assert_eq!(scene.run().code, Some(0));
    let calls = scene.aws.calls();
    assert_eq!(calls.access_keys("ecs:ListTasks"), ["ASIA-simaws-task"; 3]);
    assert!(calls.get("metadata:credentials") <= 2, "one for the check at start, one for the calls");
}

#[test]
fn temporarily_unavailable_credentials_are_not_fatal() {
    let mut scene = with_container_credentials();
    scene.aws.add_fault(Fault::always("metadata:credentials", FaultKind::ServerError));
    scene.start();
    scene.wait_for_message("ListTasks failed");
    scene.aws.clear_faults();
    scene.wait_for_targets(&[ONE]);
    scene.stop();
}

/// With 300 ms per call, the first refresh takes 900 ms (three calls) and later ones 600 ms (two calls). Starting at
/// the next tick of 500 ms, the third ends after 2,600 ms at the earliest; back to back it would end after 2,100 ms.
#[test]
fn slow_refresh_skips_ticks_and_never_overlaps() {
    let mut scene = small().flag("-config.scrape-interval=500ms").flag("-config.scrape-times=3");
    scene.aws.set_options(Options { latency: Duration::from_millis(300), ..Options::default() });
    let start = Instant::now();
    assert_eq!(scene.run().code, Some(0));
    let calls = scene.aws.calls();
    assert_eq!((calls.get("ecs:ListTasks"), calls.max_in_flight()), (3, 1));
    assert!(start.elapsed() >= Duration::from_millis(2600), "{:?}", start.elapsed());
}

#[test]
fn stdout_gets_one_document_per_change() {
    let mut scene = Scene::of(two_clusters()).flag("-config.write-to=-");
    scene.start();
    scene.wait_for_message("targets written");
    scene.wait_for_refreshes(2);
    scene.add_task("prod", on_fargate("web-2", "web:1", "10.0.1.2"));
    scene.wait_for_log("five targets", |line| line["targets"] == 5);
    let exited = assert_prompt_exit(&mut scene, Signal::TERM);
    let documents: Vec<_> = exited.stdout.split("---\n").collect();
    let targets = |text: &str| file_sd::parse(text.as_bytes(), Format::Yaml).unwrap().len();
    assert_eq!(documents.iter().map(|text| targets(text)).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(fs::read_dir(scene.directory()).unwrap().count(), 0);
    assert_eq!(TWO_CLUSTERS.iter().filter(|target| documents[0].contains(*target)).count(), 4);
}

#[test]
fn log_format_and_level_are_applied() {
    let mut scene = small().flag("-log.format=logfmt").flag("-log.level=info").flag("-config.scrape-times=1");
    let exited = scene.run();
    let line = exited.stderr.lines().find(|line| line.contains("targets written")).unwrap();
    assert!(line.contains("level=info") && line.contains("targets=1 added=1 removed=0"), "{line}");
    let quiet = scene.flag("-log.level=error").run();
    assert_eq!(quiet.stderr, "");
}
