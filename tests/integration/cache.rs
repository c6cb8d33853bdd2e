//! The cache file: immutable data survives a restart, and an invalid file does no harm.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use simaws::Calls;

use crate::fixtures::{TWO_CLUSTERS, two_clusters};
use crate::harness::{Exited, Scene, run_concurrently, text};

/// The calls of one refresh of both clusters without a cache file, and with one.
const COLD: [(&str, usize); 5] = [
    ("ecs:ListTasks", 2),
    ("ecs:DescribeTasks", 2),
    ("ecs:DescribeTaskDefinition", 4),
    ("ecs:DescribeContainerInstances", 2),
    ("ec2:DescribeInstances", 1),
];
const WARM: [(&str, usize); 3] = [("ecs:ListTasks", 2), ("ecs:DescribeTasks", 2), ("ec2:DescribeInstances", 1)];

fn once() -> Scene {
    Scene::of(two_clusters()).flag("-config.cluster=prod,other").flag("-config.scrape-times=1")
}

/// Runs one refresh, which must find all targets with exactly these calls.
fn refresh(scene: &mut Scene, calls: &[(&str, usize)]) -> Exited {
    scene.aws.take_calls();
    let exited = scene.run();
    assert_eq!(exited.code, Some(0), "{}", exited.stderr);
    scene.wait_for_targets(&TWO_CLUSTERS);
    assert_eq!(scene.aws.calls(), Calls::of(calls));
    exited
}

#[test]
fn restart_describes_only_what_may_have_changed() {
    let mut scene = once();
    refresh(&mut scene, &COLD);
    let file = scene.bytes();
    fs::remove_file(scene.file()).unwrap();
    refresh(&mut scene, &WARM);
    assert_eq!(scene.bytes(), file, "the output is the same with and without the cache");
    scene.assert_no_temporary_files();
}

#[test]
fn cache_is_private_and_rewritten_only_when_it_changes() {
    let mut scene = once();
    refresh(&mut scene, &COLD);
    let cache = fs::metadata(scene.cache()).unwrap();
    assert_eq!(cache.permissions().mode() & 0o777, 0o600);
    refresh(&mut scene, &WARM);
    assert_eq!(fs::metadata(scene.cache()).unwrap().modified().unwrap(), cache.modified().unwrap());
}

#[test]
fn disabled_cache_is_neither_written_nor_read() {
    let mut scene = once().flag("-config.cache=off");
    refresh(&mut scene, &COLD);
    assert!(!scene.cache().exists());
    let mut scene = scene.flag("-config.cache=on");
    refresh(&mut scene, &COLD);
    let mut scene = scene.flag("-config.cache=off");
    refresh(&mut scene, &COLD);
}

#[test]
fn invalid_cache_is_ignored_with_one_warning_and_replaced() {
    let version_2 = r#"{"format":"ecs-discovery cache","version":2,"something":"else"}"#;
    let cases = [
        ("\u{0}\u{1}", "expected value"),
        ("{\"format\":\"ecs-discovery cache\",\"version\":1,\"task_def", "EOF while parsing"),
        (r#"{"format":"another","version":1}"#, "not a cache file of ecs-discovery"),
        (version_2, "version 2 is not supported, only 1"),
    ];
    run_concurrently(&cases, |(contents, why)| {
        let mut scene = once();
        fs::write(scene.cache(), contents).unwrap();
        let exited = refresh(&mut scene, &COLD);
        let lines: Vec<serde_json::Value> =
            exited.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_cache = |line: &&serde_json::Value| text(line, "message").starts_with("cache ");
        let [line] = lines.iter().filter(of_cache).collect::<Vec<_>>()[..] else { panic!("{}", exited.stderr) };
        assert!(text(line, "reason").starts_with(why), "{line}");
        refresh(&mut scene, &WARM);
    });
}

#[test]
fn unusable_cache_path_is_only_a_warning() {
    let mut scene = once();
    fs::create_dir(scene.cache()).unwrap();
    let exited = refresh(&mut scene, &COLD);
    assert!(exited.stderr.contains("not a regular file"), "{}", exited.stderr);
    let mut scene = scene.flag("-config.scrape-times=3");
    let exited = scene.run();
    assert_eq!(exited.code, Some(0));
    assert_eq!(exited.stderr.matches("cannot write the cache file").count(), 1, "{}", exited.stderr);
}

#[test]
fn explain_writes_no_cache() {
    let mut scene = Scene::of(two_clusters()).flag("-config.cluster=prod,other").flag("-explain");
    assert_eq!(scene.run().code, Some(0));
    assert!(!scene.cache().exists());
}
