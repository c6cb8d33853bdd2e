//! Start and end: exit codes, signals, where region and credentials come from, and one refresh at a time.

use std::fs;
use std::time::{Duration, Instant};

use ecs_discovery::file_sd::{self, Format};
use simaws::{Fault, FaultKind, Options};

use crate::fixtures::{TWO_CLUSTERS, fargate, on_fargate, two_clusters};
use crate::harness::{Ended, Scene, Signal, text, until};

const ONE: &str = "10.0.0.1:9102";

/// What a pipe holds (Linux: pipe(7)).
const PIPE: u64 = 65_536;

fn small() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod")
}

/// Sends a signal: the program ends well, within a second, and leaves no litter.
fn ends_at_once(scene: &mut Scene, signal: Signal) -> Ended {
    let start = Instant::now();
    let ended = scene.send(signal);
    let took = start.elapsed();
    assert_eq!(ended.code, Some(0), "{signal:?}: {ended:?}");
    assert!(took < Duration::from_secs(1), "{signal:?}: {took:?}");
    scene.assert_no_litter();
    ended
}

#[test]
fn a_signal_between_refreshes_ends_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut scene = small().flag("-config.scrape-interval=1h");
        scene.start_with(&[ONE]);
        ends_at_once(&mut scene, signal);
        assert_eq!(scene.targets().len(), 1);
    }
}

#[test]
fn a_signal_during_a_hanging_call_ends_it() {
    for (operation, signal) in
        [("ecs:ListTasks", Signal::TERM), ("ec2:DescribeInstances", Signal::INT), ("sts:AssumeRole", Signal::TERM)]
    {
        let mut scene = Scene::of(two_clusters()).flag("-config.role-arn=arn:aws:iam::123456789012:role/reader");
        scene.aws.add_fault(Fault::always(operation, FaultKind::Hang));
        scene.start();
        until("the call hangs", || scene.aws.calls().get(operation) > 0);
        ends_at_once(&mut scene, signal);
        assert_eq!(scene.bytes(), None);
    }
}

#[test]
fn a_signal_while_credentials_are_waited_for_ends_it() {
    let mut scene = with_container_credentials();
    scene.aws.add_fault(Fault::always("metadata:credentials", FaultKind::Hang));
    scene.start();
    until("the call hangs", || scene.aws.calls().get("metadata:credentials") > 0);
    ends_at_once(&mut scene, Signal::TERM);
}

#[test]
fn a_signal_while_nobody_reads_what_is_printed_ends_it() {
    let mut scene = Scene::of(fargate(500)).flag("-config.cluster=prod").flag("-config.write-to=-");
    scene.stdout_is_not_read();
    scene.start();
    until("the pipe is full", || scene.program().unread() >= PIPE);
    ends_at_once(&mut scene, Signal::TERM);
}

#[test]
fn a_limited_run_ends_with_the_result_of_its_last_refresh() {
    let mut scene = small().flag("-config.scrape-times=3");
    let ended = scene.run();
    assert_eq!((ended.code, scene.aws.take_calls().get("ecs:ListTasks")), (Some(0), 3));
    scene.aws.add_fault(Fault::once("ecs:ListTasks", FaultKind::Denied));
    assert_eq!(scene.run().code, Some(0), "only the first one failed");
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Denied).skip(2));
    let ended = scene.run();
    assert_eq!(ended.code, Some(1));
    assert_eq!(text(ended.log().last().unwrap(), "error"), "the last refresh failed");
    scene.until_targets(&[ONE]);
}

#[test]
fn a_limited_run_that_cannot_write_fails() {
    let mut scene = small().flag("-config.scrape-times=1").writing("nowhere/ecs.yml");
    let ended = scene.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn what_makes_aws_unusable_ends_it_at_the_start() {
    let without_keys = |scene: Scene| scene.env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
    let cases: [(Scene, &str); 5] = [
        (small().env("AWS_REGION", ""), "no AWS region: set -config.region"),
        (without_keys(small()), "no AWS credentials in the environment, the profile \"default\", a web identity,"),
        (
            without_keys(small()).flag("-config.role-arn=arn:aws:iam::1:role/x"),
            "no AWS credentials in the environment, the profile \"default\", a web identity,",
        ),
        (small().env("AWS_MAX_ATTEMPTS", "0"), "AWS_MAX_ATTEMPTS=0"),
        (small().env("AWS_MAX_ATTEMPTS", "many"), "AWS_MAX_ATTEMPTS=many"),
    ];
    for (mut scene, why) in cases {
        let ended = scene.run();
        assert_eq!(ended.code, Some(1), "{why}");
        let log = ended.log();
        let last = log.last().unwrap();
        assert!(text(last, "error").contains(why) && text(last, "level") == "ERROR", "{last}");
        assert_eq!((scene.bytes(), scene.aws.calls().total()), (None, 0), "{why}");
    }
}

#[test]
fn a_wrong_command_line_is_refused() {
    let wrong: [(&[&str], &str); 7] = [
        (&["-config.clutser=x"], "clutser"),
        (&["-config.scrape-interval=0"], "scrape-interval"),
        (&["-config.scrape-interval=-1m"], "scrape-interval"),
        (&["-config.scrape-times=many"], "scrape-times"),
        (&["-config.dynamic-port-detection", "true", "-config.cluster=x"], "dynamic-port-detection"),
        (&["stray"], "stray"),
        (&["-config.role-arn"], "role-arn"),
    ];
    for (flags, what) in wrong {
        let mut scene = flags.iter().fold(small(), |scene, flag| scene.flag(flag));
        let ended = scene.run();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{flags:?}");
        assert!(ended.stderr.lines().next().unwrap().contains(what), "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("Usage") && scene.aws.calls().total() == 0);
    }
}

#[test]
fn help_and_version_are_what_was_asked_for() {
    for (flag, what) in [
        ("-help", "-config.scrape-interval"),
        ("--help", "-config.write-to"),
        ("-h", "-config.cluster"),
        ("-version", env!("CARGO_PKG_VERSION")),
    ] {
        let ended = small().flag(flag).run();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{flag}");
        assert!(ended.stdout.contains(what), "{flag}: {}", ended.stdout);
    }
}

#[test]
fn the_region_comes_from_the_task_metadata_where_nothing_else_tells_it() {
    let scene = small().flag("-config.scrape-times=1");
    let endpoint = format!("{}/v4/t1", scene.aws.url());
    let mut scene = scene.env("ECS_CONTAINER_METADATA_URI_V4", &endpoint).env("AWS_REGION", "");
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
fn task_metadata_without_a_region_is_no_region() {
    for kind in [FaultKind::ServerError, FaultKind::EmptyObject, FaultKind::Html, FaultKind::Reset, FaultKind::Hang] {
        let scene = small().env("AWS_REGION", "");
        let endpoint = format!("{}/v4/t1", scene.aws.url());
        let mut scene = scene.env("ECS_CONTAINER_METADATA_URI_V4", &endpoint);
        scene.aws.add_fault(Fault::always("metadata:task", kind));
        let ended = scene.run();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("no AWS region"), "{}", ended.stderr);
    }
}

fn with_container_credentials() -> Scene {
    let scene = small().env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
    let endpoint = format!("{}/credentials", scene.aws.url());
    scene.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint)
}

#[test]
fn credentials_come_from_the_container() {
    let mut scene = with_container_credentials().flag("-config.scrape-times=3");
    assert_eq!(scene.run().code, Some(0));
    let calls = scene.aws.calls();
    assert_eq!(calls.access_keys("ecs:ListTasks"), ["ASIA-simaws-task"; 3]);
    assert!(calls.get("metadata:credentials") <= 2, "once to see whether there are any, once for the calls");
}

#[test]
fn credentials_that_are_out_of_order_for_now_do_not_end_it() {
    let mut scene = with_container_credentials();
    scene.aws.add_fault(Fault::always("metadata:credentials", FaultKind::ServerError));
    scene.start();
    scene.until_message("ListTasks failed");
    scene.aws.clear_faults();
    scene.until_targets(&[ONE]);
    scene.stop();
}

/// Three calls to a first refresh and two to a later one. Refreshes that begin at the next tick after the
/// last one's end begin at 0, 1,000 and 2,000 ms at the earliest; back to back they would end by 2,100 ms.
#[test]
fn a_refresh_that_outlasts_the_interval_skips_ticks_and_never_overlaps() {
    let mut scene = small().flag("-config.scrape-interval=500ms").flag("-config.scrape-times=3");
    scene.aws.set_options(Options { latency: Duration::from_millis(300), ..Options::default() });
    let start = Instant::now();
    assert_eq!(scene.run().code, Some(0));
    let calls = scene.aws.calls();
    assert_eq!((calls.get("ecs:ListTasks"), calls.max_in_flight()), (3, 1));
    assert!(start.elapsed() >= Duration::from_millis(2600), "{:?}", start.elapsed());
}

#[test]
fn standard_output_gets_a_document_for_each_change() {
    let mut scene = Scene::of(two_clusters()).flag("-config.write-to=-");
    scene.start();
    scene.until_message("targets written");
    scene.after_refreshes(2);
    scene.comes_up("prod", on_fargate("web-2", "web:1", "10.0.1.2"));
    scene.until_logged("a new target", |line| line["targets"] == 5);
    let ended = ends_at_once(&mut scene, Signal::TERM);
    let documents: Vec<_> = ended.stdout.split("---\n").collect();
    let targets = |text: &str| file_sd::parse(text.as_bytes(), Format::Yaml).unwrap().len();
    assert_eq!(documents.iter().map(|text| targets(text)).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(fs::read_dir(scene.directory()).unwrap().count(), 0);
    assert_eq!(TWO_CLUSTERS.iter().filter(|target| documents[0].contains(*target)).count(), 4);
}

#[test]
fn logs_are_logfmt_unless_json_is_asked_for() {
    let mut scene = small().flag("-log.format=logfmt").flag("-log.level=info").flag("-config.scrape-times=1");
    let ended = scene.run();
    let line = ended.stderr.lines().find(|line| line.contains("targets written")).unwrap();
    assert!(line.contains("level=info") && line.contains("targets=1 added=1 removed=0"), "{line}");
    let quiet = scene.flag("-log.level=error").run();
    assert_eq!(quiet.stderr, "");
}
