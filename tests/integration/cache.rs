//! What cannot change outlives a restart in a file beside the output; and whatever is in that file does no harm.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use simaws::Calls;

use crate::fixtures::{TWO_CLUSTERS, two_clusters};
use crate::harness::{Ended, Scene, all_at_once, text};

/// What both clusters cost in one refresh when nothing is remembered, and when what cannot change is.
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

/// One refresh, which has to find everything at this cost.
fn refresh(scene: &mut Scene, cost: &[(&str, usize)]) -> Ended {
    scene.aws.take_calls();
    let ended = scene.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    scene.until_targets(&TWO_CLUSTERS);
    assert_eq!(scene.aws.calls(), Calls::of(cost));
    ended
}

#[test]
fn a_restart_asks_only_for_what_may_have_changed() {
    let mut scene = once();
    refresh(&mut scene, &COLD);
    let file = scene.bytes();
    fs::remove_file(scene.file()).unwrap();
    refresh(&mut scene, &WARM);
    assert_eq!(scene.bytes(), file, "the file is the same, whether AWS or the cache knows");
    scene.assert_no_litter();
}

#[test]
fn nobody_else_reads_it_and_a_refresh_that_learns_nothing_leaves_it_alone() {
    let mut scene = once();
    refresh(&mut scene, &COLD);
    let cache = fs::metadata(scene.cache()).unwrap();
    assert_eq!(cache.permissions().mode() & 0o777, 0o600);
    refresh(&mut scene, &WARM);
    assert_eq!(fs::metadata(scene.cache()).unwrap().modified().unwrap(), cache.modified().unwrap());
}

#[test]
fn switched_off_it_is_neither_written_nor_read() {
    let mut scene = once().flag("-config.cache=off");
    refresh(&mut scene, &COLD);
    assert!(!scene.cache().exists());
    let mut scene = scene.flag("-config.cache=on");
    refresh(&mut scene, &COLD);
    let mut scene = scene.flag("-config.cache=off");
    refresh(&mut scene, &COLD);
}

#[test]
fn one_that_is_of_no_use_is_ignored_with_one_line_and_replaced() {
    let version_2 = r#"{"format":"ecs-discovery cache","version":2,"something":"else"}"#;
    let cases = [
        ("\u{0}\u{1}", "expected value"),
        ("{\"format\":\"ecs-discovery cache\",\"version\":1,\"task_def", "EOF while parsing"),
        (r#"{"format":"another","version":1}"#, "not a cache file of ecs-discovery"),
        (version_2, "version 2 is not supported, only 1"),
    ];
    all_at_once(&cases, |(contents, why)| {
        let mut scene = once();
        fs::write(scene.cache(), contents).unwrap();
        let ended = refresh(&mut scene, &COLD);
        let lines: Vec<serde_json::Value> =
            ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let about = |line: &&serde_json::Value| text(line, "message").starts_with("cache ");
        let [line] = lines.iter().filter(about).collect::<Vec<_>>()[..] else { panic!("{}", ended.stderr) };
        assert!(text(line, "reason").starts_with(why), "{line}");
        refresh(&mut scene, &WARM);
    });
}

#[test]
fn one_that_cannot_be_read_or_written_is_only_a_warning() {
    let mut scene = once();
    fs::create_dir(scene.cache()).unwrap();
    let ended = refresh(&mut scene, &COLD);
    assert!(ended.stderr.contains("not a regular file"), "{}", ended.stderr);
    let mut scene = scene.flag("-config.scrape-times=3");
    let ended = scene.run();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr.matches("cannot write the cache file").count(), 1, "{}", ended.stderr);
}

#[test]
fn an_explanation_leaves_none_behind() {
    let mut scene = Scene::of(two_clusters()).flag("-config.cluster=prod,other").flag("-explain");
    assert_eq!(scene.run().code, Some(0));
    assert!(!scene.cache().exists());
}
