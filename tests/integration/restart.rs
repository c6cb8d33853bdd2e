//! The existing file at a start: last known targets, or a foreign file that is replaced only after a full success.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use ecs_discovery::writer::LARGEST_FILE;
use simaws::{Fault, FaultKind};

use crate::fixtures::{API, BUS, SHOP, TWO_CLUSTERS, WEB, two_clusters};
use crate::harness::{Scene, run_concurrently, text};

/// A file of the original program, `prometheus-ecs-discovery`: other label orders, quotes as Go writes them.
const ORIGINAL_FILE: &str = r#"- targets:
  - 10.1.0.1:32768
  labels:
    task_arn: arn:aws:ecs:us-east-1:123456789012:task/prod/api-1
    task_name: api
    job: api
    task_revision: "1"
    task_group: service:api
    cluster_arn: arn:aws:ecs:us-east-1:123456789012:cluster/prod
    container_name: app
    container_arn: arn:aws:ecs:us-east-1:123456789012:container/prod/api-1/app
    docker_image: app:latest
    __metrics_path__: /metrics
- labels:
    cluster_arn: arn:aws:ecs:us-east-1:123456789012:cluster/prod
    container_arn: arn:aws:ecs:us-east-1:123456789012:container/prod/web-1/app
    container_name: app
    docker_image: app:latest
    task_arn: arn:aws:ecs:us-east-1:123456789012:task/prod/web-1
    task_group: ""
    task_name: web
    task_revision: "1"
  targets:
  - 10.0.1.1:9102
"#;

const NOT_OURS: &str = "the existing file is unreadable";

fn both_clusters() -> Scene {
    Scene::of(two_clusters()).flag("-config.cluster=prod,other")
}

/// Returns a scene with the file that a healthy run has left.
fn after_a_healthy_run(name: &str) -> Scene {
    let mut scene = both_clusters().write_to(name);
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.stop();
    scene
}

fn denied(cluster: &str) -> Fault {
    Fault::always("ecs:ListTasks", FaultKind::Denied).cluster(cluster)
}

/// Returns what a reader could notice: bytes (of a small file), inode, modification time.
fn appearance(scene: &Scene) -> (Option<Vec<u8>>, u64, i64, i64) {
    let file = fs::metadata(scene.file()).unwrap();
    let bytes = (file.is_file() && file.len() < 1 << 20).then(|| scene.bytes().unwrap());
    (bytes, file.ino(), file.mtime(), file.mtime_nsec())
}

#[test]
fn restart_during_an_outage_does_not_touch_the_file() {
    run_concurrently(&["ecs_file_sd.yml", "ecs.json"], |name| {
        let mut scene = after_a_healthy_run(name);
        let before = appearance(&scene);
        scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
        scene.start();
        scene.wait_for_message("ListTasks failed: keeping 2 targets of cluster prod");
        scene.wait_for_message("ListTasks failed: keeping 2 targets of cluster other");
        scene.wait_for_refreshes(3);
        assert_eq!(appearance(&scene), before);
        scene.stop();
    });
}

#[test]
fn restart_during_an_outage_keeps_meta_labels() {
    let mut scene = both_clusters().flag("-config.meta-labels");
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.stop();
    let before = appearance(&scene);
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    scene.start();
    scene.wait_for_message("ListTasks failed: keeping 2 targets of cluster prod");
    scene.wait_for_refreshes(2);
    assert_eq!(appearance(&scene), before);
    let hosts = scene.groups().iter().filter_map(|group| group.labels.get("__meta_ecs_ec2_instance_id")).count();
    assert_eq!(hosts, 2);
    scene.stop();
}

#[test]
fn restart_while_aws_is_unreachable_does_not_touch_the_file() {
    let mut scene = after_a_healthy_run("ecs_file_sd.yml").env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let before = appearance(&scene);
    scene.start();
    scene.wait_for_message("ListTasks failed: keeping 2 targets of cluster prod");
    scene.wait_for_message("targets unchanged");
    assert_eq!(appearance(&scene), before);
    scene.stop();
}

#[test]
fn restart_while_a_cluster_is_denied_keeps_its_targets() {
    run_concurrently(&["ecs_file_sd.yml", "ecs.json"], |name| {
        let mut scene = after_a_healthy_run(name);
        let reader = scene.reader(&[WEB, API, BUS]);
        scene.aws.add_fault(denied("prod"));
        scene.aws.change(|world| world.cluster_mut("other").remove_task("shop-1"));
        scene.start_and_wait_for(&[WEB, API, BUS]);
        reader.stop();
        scene.stop();
    });
}

#[test]
fn cluster_removed_from_the_flags_loses_its_targets_at_restart() {
    let mut scene = after_a_healthy_run("ecs_file_sd.yml").flag("-config.cluster=other");
    scene.start_and_wait_for(&[SHOP, BUS]);
    scene.stop();
}

#[test]
fn file_of_the_original_program_is_read() {
    let mut scene = both_clusters();
    scene.write_file(ORIGINAL_FILE);
    scene.aws.add_fault(denied("prod"));
    let reader = scene.reader(&[API, WEB]);
    scene.start_and_wait_for(&TWO_CLUSTERS);
    let (kept, written) = (
        scene.groups(),
        ecs_discovery::file_sd::parse(ORIGINAL_FILE.as_bytes(), ecs_discovery::file_sd::Format::Yaml).unwrap(),
    );
    assert!(written.iter().all(|group| kept.contains(group)), "{kept:?}");
    assert!(scene.log().iter().all(|line| !text(line, "message").starts_with(NOT_OURS)));
    scene.aws.clear_faults();
    scene.wait_for_log("the labels of both tasks are rewritten", |line| line["added"] == 2 && line["removed"] == 2);
    scene.wait_for_targets(&TWO_CLUSTERS);
    reader.stop();
    scene.stop();
}

#[test]
fn foreign_file_is_kept_until_a_full_success() {
    let ours = ORIGINAL_FILE.as_bytes();
    let cases: [(&str, &[u8]); 9] = [
        ("garbage.yml", b"{{{ not: [yaml"),
        ("binary.yml", &[0xff, 0xfe, 0x00, 0x01, 0x80, 0x7f, 0x00]),
        ("configuration.yml", b"global:\n  scrape_interval: 15s\nscrape_configs: []\n"),
        ("foreign_targets.yml", b"- targets: ['localhost:9090']\n  labels: {team: x}\n"),
        ("no_labels.yml", b"- targets: ['localhost:9090']\n"),
        ("cut.yml", &ours[..ours.len() / 3]),
        ("text.yml", b"hello\n"),
        ("garbage.json", b"[{\"targets\": [\"a:1\"]"),
        ("yaml.json", ours),
    ];
    run_concurrently(&cases, |(name, bytes)| {
        let scene = both_clusters().write_to(name);
        scene.write_file(bytes);
        assert_kept_until_a_full_success(scene);
    });
}

#[test]
fn too_large_file_is_kept_until_a_full_success() {
    run_concurrently(&[100_000_000, LARGEST_FILE, LARGEST_FILE + 1, 1 << 33], |&size| {
        let scene = both_clusters();
        File::create(scene.file()).unwrap().set_len(size).unwrap();
        assert_kept_until_a_full_success(scene);
    });
}

fn assert_kept_until_a_full_success(mut scene: Scene) {
    let before = appearance(&scene);
    scene.aws.add_fault(denied("prod"));
    scene.start();
    assert!(!text(&scene.wait_for_message(NOT_OURS), "reason").is_empty());
    scene.wait_for_message("existing file not overwritten");
    scene.wait_for_refreshes(2);
    assert_eq!(appearance(&scene), before);
    scene.aws.clear_faults();
    scene.wait_for_message("targets written");
    scene.wait_for_targets(&TWO_CLUSTERS);
    scene.stop();
}

#[test]
fn unreadable_file_is_kept_until_a_full_success() {
    let mut scene = both_clusters().write_to("volume/ecs.yml");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    scene.write_file(ORIGINAL_FILE);
    fs::set_permissions(scene.file(), Permissions::from_mode(0o000)).unwrap();
    let user = scene.as_unprivileged_user();
    chown(&volume, Some(user), None).unwrap();
    let before = fs::metadata(scene.file()).unwrap().ino();
    scene.aws.add_fault(denied("prod"));
    scene.start();
    assert!(text(&scene.wait_for_message(NOT_OURS), "reason").contains("ermission denied"));
    scene.wait_for_refreshes(2);
    assert_eq!(fs::metadata(scene.file()).unwrap().ino(), before);
    scene.aws.clear_faults();
    scene.wait_for_message("targets written");
    fs::set_permissions(scene.file(), Permissions::from_mode(0o644)).unwrap();
    scene.wait_for_targets(&TWO_CLUSTERS);
}

#[test]
fn directory_at_the_path_of_the_file_is_reported_and_kept() {
    let mut scene = both_clusters();
    fs::create_dir(scene.file()).unwrap();
    scene.start();
    scene.wait_for_message(NOT_OURS);
    let error = scene.wait_for_message("cannot write targets");
    assert!(text(&error, "error").contains("not a regular file"), "{error}");
    scene.wait_for_refreshes(1);
    scene.assert_no_temporary_files();
    fs::remove_dir(scene.file()).unwrap();
    scene.wait_for_message("targets written");
    scene.wait_for_targets(&TWO_CLUSTERS);
    scene.stop();
}

#[test]
fn empty_file_has_no_last_known_targets() {
    let mut scene = both_clusters();
    scene.write_file("");
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    scene.start();
    scene.wait_for_refreshes(2);
    assert_eq!(scene.bytes().as_deref(), Some(&b""[..]));
    scene.aws.clear_faults();
    scene.wait_for_targets(&TWO_CLUSTERS);
    scene.stop();
}
