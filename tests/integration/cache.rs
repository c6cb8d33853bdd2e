//! The cache file: immutable data survives a restart, and an invalid file does no harm.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

use simaws::{Calls, Fault, FaultKind, Instance, World};

use crate::fixtures::{TWO_CLUSTERS, two_clusters, with_definitions};
use crate::harness::{Exited, Scene, run_concurrently, text, wait_until};

/// The calls of one refresh of both clusters. With a cache file too: up to forty entries of each kind are compared with AWS
/// at once.
const CALLS: [(&str, usize); 5] = [
    ("ecs:ListTasks", 2),
    ("ecs:DescribeTasks", 2),
    ("ecs:DescribeTaskDefinition", 4),
    ("ecs:DescribeContainerInstances", 2),
    ("ec2:DescribeInstances", 1),
];

fn once() -> Scene {
    Scene::of(two_clusters()).flag("-config.cluster=prod,other").flag("-config.scrape-times=1")
}

/// Runs one refresh, which must find all targets with exactly the calls of [`CALLS`].
fn refresh(scene: &mut Scene) -> Exited {
    scene.aws.take_calls();
    let exited = scene.run();
    assert_eq!(exited.code, Some(0), "{}", exited.stderr);
    scene.wait_for_targets(&TWO_CLUSTERS);
    assert_eq!(scene.aws.calls(), Calls::of(&CALLS));
    exited
}

/// What the cache file saves is known without these.
fn deny_what_is_cached(scene: &Scene) {
    for operation in ["ecs:DescribeTaskDefinition", "ecs:DescribeContainerInstances"] {
        scene.aws.add_fault(Fault::always(operation, FaultKind::Denied));
    }
}

/// Returns whether a start without an output file finds all targets by means of the cache file.
fn starts_with_cache(scene: &mut Scene) -> bool {
    deny_what_is_cached(scene);
    fs::remove_file(scene.file()).unwrap();
    let exited = scene.run();
    scene.aws.clear_faults();
    let started = exited.code == Some(0);
    if started {
        scene.wait_for_targets(&TWO_CLUSTERS);
    }
    started
}

#[test]
fn restart_finds_the_same_without_describing_what_is_cached() {
    let mut scene = once();
    refresh(&mut scene);
    let file = scene.bytes();
    assert!(starts_with_cache(&mut scene));
    assert_eq!(scene.bytes(), file, "the output is the same with and without the cache");
    scene.assert_no_temporary_files();
}

#[test]
fn cache_is_private_and_rewritten_only_when_it_changes() {
    let mut scene = once();
    refresh(&mut scene);
    let cache = fs::metadata(scene.cache()).unwrap();
    assert_eq!(cache.permissions().mode() & 0o777, 0o600);
    refresh(&mut scene);
    assert_eq!(fs::metadata(scene.cache()).unwrap().modified().unwrap(), cache.modified().unwrap());
}

#[test]
fn disabled_cache_is_neither_written_nor_read() {
    let mut scene = once().flag("-config.cache=off");
    refresh(&mut scene);
    assert!(!scene.cache().exists());
    let mut scene = scene.flag("-config.cache=on");
    refresh(&mut scene);
    assert!(scene.cache().exists());
    let mut scene = scene.flag("-config.cache=off");
    assert!(!starts_with_cache(&mut scene));
}

#[test]
fn invalid_cache_is_ignored_with_one_warning_and_replaced() {
    let version_1 = r#"{"format":"ecs-discovery cache","version":1,"something":"else"}"#;
    let cases = [
        ("\u{0}\u{1}", "expected value"),
        ("{\"format\":\"ecs-discovery cache\",\"version\":2,\"task_def", "EOF while parsing"),
        (r#"{"format":"another","version":1}"#, "not a cache file of ecs-discovery"),
        (version_1, "version 1 is not supported, only 2"),
    ];
    run_concurrently(&cases, |(contents, why)| {
        let mut scene = once();
        fs::write(scene.cache(), contents).unwrap();
        let exited = refresh(&mut scene);
        let lines: Vec<serde_json::Value> =
            exited.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_cache =
            |line: &&serde_json::Value| text(line, "level") == "WARN" && text(line, "message").starts_with("cache ");
        let [line] = lines.iter().filter(of_cache).collect::<Vec<_>>()[..] else { panic!("{}", exited.stderr) };
        assert!(text(line, "reason").starts_with(why), "{line}");
        assert!(starts_with_cache(&mut scene));
    });
}

#[test]
fn unusable_cache_path_is_only_a_warning() {
    let mut scene = once();
    fs::create_dir(scene.cache()).unwrap();
    let exited = refresh(&mut scene);
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

/// Runs one refresh, and then puts a changed cache file in place of the one that it wrote.
fn tampered(replacements: &[(&str, &str)]) -> Scene {
    let mut scene = once();
    refresh(&mut scene);
    let mut cache = fs::read_to_string(scene.cache()).unwrap();
    for (from, to) in replacements {
        assert!(cache.contains(from), "{cache}");
        cache = cache.replace(from, to);
    }
    fs::write(scene.cache(), cache).unwrap();
    scene.flag("-config.scrape-times=0")
}

#[test]
fn what_was_planted_lasts_for_one_refresh_of_a_small_fleet() {
    let cases = [
        (&[("\"9102\"", "\"6666\"")][..], "task-definition/", 4),
        (&[("\"i-1\"", "\"i-3\""), ("\"i-2\"", "\"i-3\"")], "container-instance/", 2),
    ];
    run_concurrently(&cases, |(replacements, kind, count)| {
        let mut scene = tampered(replacements);
        scene.aws.change(|world| {
            world.add_instance(Instance::new("i-3", "10.6.6.6"));
        });
        scene.aws.take_calls();
        scene.start();
        scene.wait_for_refreshes(1);
        scene.wait_for_targets(&TWO_CLUSTERS);
        let described =
            |calls: Calls| (calls.get("ecs:DescribeTaskDefinition"), calls.get("ecs:DescribeContainerInstances"));
        assert_eq!(described(scene.aws.take_calls()), (4, 2));
        let log = scene.log();
        let corrected: Vec<_> =
            log.iter().filter(|line| text(line, "message").starts_with("cache file corrected")).collect();
        assert!(
            corrected.len() == *count && corrected.iter().all(|line| text(line, "entry").contains(kind)),
            "{corrected:?}"
        );
        scene.wait_for_refreshes(2);
        assert_eq!(described(scene.aws.take_calls()), (0, 0));
        scene.stop();
        let cache = fs::read_to_string(scene.cache()).unwrap();
        assert!(!cache.contains("6666") && !cache.contains("i-3"), "{cache}");
    });
}

#[test]
fn restart_of_a_larger_fleet_compares_forty_definitions_at_a_time() {
    const DEFINITIONS: usize = 100;
    let mut scene = Scene::of(with_definitions(World::default(), DEFINITIONS))
        .flag("-config.cluster=prod")
        .flag("-config.scrape-times=1");
    let described = |scene: &mut Scene| {
        assert_eq!(scene.run().code, Some(0));
        scene.aws.take_calls().get("ecs:DescribeTaskDefinition")
    };
    assert_eq!(described(&mut scene), DEFINITIONS);
    assert_eq!(described(&mut scene), 40);
    let mut scene = scene.flag("-config.scrape-times=2");
    assert_eq!(described(&mut scene), 80);
    let mut scene = scene.flag("-config.scrape-times=4");
    assert_eq!(described(&mut scene), DEFINITIONS, "each of them once");
}

#[test]
fn restored_entries_that_aws_does_not_know_go() {
    let mut scene = tampered(&[]);
    scene.aws.change(|world| {
        world.task_definitions.clear();
        world.clusters.iter_mut().for_each(|cluster| cluster.container_instances.clear());
    });
    scene.start();
    scene.wait_for_targets(&[]);
    scene.stop();
}

/// While AWS does not respond, restored entries stay in use, and the refresh is not a failed one because of that.
#[test]
fn failed_comparison_changes_nothing_and_is_repeated() {
    let mut scene = tampered(&[]);
    deny_what_is_cached(&scene);
    fs::remove_file(scene.file()).unwrap();
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.wait_for_refreshes(2);
    assert!(scene.log().iter().all(|line| line["level"] != "WARN"));
    scene.aws.clear_faults();
    scene.aws.take_calls();
    scene.wait_for_refreshes(2);
    let calls = scene.aws.take_calls();
    assert_eq!((calls.get("ecs:DescribeTaskDefinition"), calls.get("ecs:DescribeContainerInstances")), (4, 2));
    scene.stop();
}

/// Checks that the cache file is ignored because somebody else can have written it, and replaced.
fn assert_not_trusted(mut scene: Scene) {
    let exited = refresh(&mut scene);
    assert!(exited.stderr.contains("not trusted"), "{}", exited.stderr);
    assert_eq!(fs::metadata(scene.cache()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(starts_with_cache(&mut scene));
}

#[test]
fn cache_that_others_can_write_is_not_trusted() {
    run_concurrently(&[0o602, 0o620, 0o666], |&mode| {
        let scene = tampered(&[]).flag("-config.scrape-times=1");
        fs::set_permissions(scene.cache(), Permissions::from_mode(mode)).unwrap();
        assert_not_trusted(scene);
    });
}

#[test]
fn cache_of_another_user_is_not_trusted_except_roots() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can create a file of another user");
        return;
    }
    let scene = tampered(&[]).flag("-config.scrape-times=1");
    chown(scene.cache(), Some(1_000), None).unwrap();
    assert_not_trusted(scene);
    let mut scene = tampered(&[]).flag("-config.scrape-times=1");
    fs::set_permissions(scene.cache(), Permissions::from_mode(0o644)).unwrap();
    let user = scene.as_unprivileged_user();
    chown(scene.directory(), Some(user), None).unwrap();
    assert!(starts_with_cache(&mut scene));
}

#[test]
fn symlink_at_the_path_of_the_cache_is_neither_followed_nor_replaced() {
    let mut scene = tampered(&[]).flag("-config.scrape-times=3");
    let elsewhere = scene.directory().join("elsewhere");
    fs::rename(scene.cache(), &elsewhere).unwrap();
    symlink(&elsewhere, scene.cache()).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    let exited = scene.run();
    assert_eq!(exited.code, Some(0), "{}", exited.stderr);
    assert_eq!(scene.aws.calls().get("ecs:DescribeTaskDefinition"), 8, "nothing was restored");
    assert_eq!(fs::read_link(scene.cache()).unwrap(), elsewhere);
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
    for message in ["cache file ignored", "cannot write the cache file"] {
        assert_eq!(exited.stderr.matches(message).count(), 1, "{}", exited.stderr);
    }
    assert!(exited.stderr.contains("symbolic link"), "{}", exited.stderr);
}

#[test]
fn pipe_at_the_path_of_the_cache_does_not_block() {
    let mut scene = once();
    assert!(Command::new("mkfifo").arg(scene.cache()).status().unwrap().success());
    let exited = refresh(&mut scene);
    assert!(exited.stderr.contains("not a regular file"), "{}", exited.stderr);
}

#[test]
fn removed_or_replaced_cache_is_restored() {
    let mut scene = once().flag("-config.scrape-times=0");
    scene.start_and_wait_for(&TWO_CLUSTERS);
    wait_until("the cache is written", || scene.cache().exists());
    let cache = fs::read(scene.cache()).unwrap();
    scene.wait_for_refreshes(2);
    fs::remove_file(scene.cache()).unwrap();
    wait_until("the cache is back", || fs::read(scene.cache()).is_ok_and(|now| now == cache));
    scene.wait_for_refreshes(2);
    fs::write(scene.cache(), "{}").unwrap();
    wait_until("the cache is restored", || fs::read(scene.cache()).is_ok_and(|now| now == cache));
    scene.stop();
}

#[test]
fn hostile_cache_is_rejected_cheaply() {
    const MANY: usize = 20 << 20;
    const HEADER: &str = r#"{"format":"ecs-discovery cache","version":1,"#;
    type Case = (&'static str, fn() -> String);
    let cases: [Case; 5] = [
        ("brackets", || "[".repeat(MANY)),
        ("nested", || format!("{HEADER}\"task_definitions\":{}", "[".repeat(MANY))),
        ("ignored", || format!("{HEADER}\"other\":{}", "[".repeat(MANY))),
        ("scalar", || format!("{HEADER}\"task_definitions\":\"{}\"}}", "x".repeat(MANY))),
        ("large", || format!("{HEADER}\"other\":\"{}\"}}", "x".repeat(2 * MANY))),
    ];
    run_concurrently(&cases, |(_, content)| {
        let mut scene = once();
        fs::write(scene.cache(), content()).unwrap();
        let exited = refresh(&mut scene);
        let longest = exited.stderr.lines().map(str::len).max().unwrap();
        assert!(exited.stderr.contains("cache file ignored") && longest < 1_000, "a line of {longest} bytes");
    });
}
