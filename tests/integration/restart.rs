//! The file that is there already: the last good state, or something that is only replaced when all is known.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use ecs_discovery::writer::LARGEST_FILE;
use simaws::{Fault, FaultKind};

use crate::fixtures::{API, BUS, SHOP, TWO_CLUSTERS, WEB, two_clusters};
use crate::harness::{Scene, all_at_once, text};

/// As the original program wrote it, with labels in an order of its own and in Go's quotes.
const ORIGINALS: &str = r#"- targets:
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

/// A scene with the file that a healthy program has left behind.
fn after_a_healthy_run(name: &str) -> Scene {
    let mut scene = both_clusters().writing(name);
    scene.start_with(&TWO_CLUSTERS);
    scene.stop();
    scene
}

fn denied(cluster: &str) -> Fault {
    Fault::always("ecs:ListTasks", FaultKind::Denied).cluster(cluster)
}

/// What a reader could notice: bytes, inode, modification time.
fn appearance(scene: &Scene) -> (Option<Vec<u8>>, u64, i64, i64) {
    let file = fs::metadata(scene.file()).unwrap();
    let bytes = (file.is_file() && file.len() < 1 << 20).then(|| scene.bytes().unwrap());
    (bytes, file.ino(), file.mtime(), file.mtime_nsec())
}

#[test]
fn a_restart_during_a_total_outage_does_not_touch_the_file() {
    all_at_once(&["ecs_file_sd.yml", "ecs.json"], |name| {
        let mut scene = after_a_healthy_run(name);
        let before = appearance(&scene);
        scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
        scene.start();
        scene.until_message("ListTasks failed: keeping 2 targets of cluster prod");
        scene.until_message("ListTasks failed: keeping 2 targets of cluster other");
        scene.after_refreshes(3);
        assert_eq!(appearance(&scene), before);
        scene.stop();
    });
}

/// Meta labels are in the file for this too: what was learned of tasks and hosts survives the restart.
#[test]
fn a_restart_during_a_total_outage_keeps_meta_labels() {
    let mut scene = both_clusters().flag("-config.meta-labels");
    scene.start_with(&TWO_CLUSTERS);
    scene.stop();
    let before = appearance(&scene);
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    scene.start();
    scene.until_message("ListTasks failed: keeping 2 targets of cluster prod");
    scene.after_refreshes(2);
    assert_eq!(appearance(&scene), before);
    let hosts = scene.groups().iter().filter_map(|group| group.labels.get("__meta_ecs_ec2_instance_id")).count();
    assert_eq!(hosts, 2);
    scene.stop();
}

#[test]
fn a_restart_while_nobody_answers_does_not_touch_the_file() {
    let mut scene = after_a_healthy_run("ecs_file_sd.yml").env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let before = appearance(&scene);
    scene.start();
    scene.until_message("ListTasks failed: keeping 2 targets of cluster prod");
    scene.until_message("targets unchanged");
    assert_eq!(appearance(&scene), before);
    scene.stop();
}

#[test]
fn a_restart_while_a_cluster_is_denied_keeps_its_targets() {
    all_at_once(&["ecs_file_sd.yml", "ecs.json"], |name| {
        let mut scene = after_a_healthy_run(name);
        let reader = scene.reader(&[WEB, API, BUS]);
        scene.aws.add_fault(denied("prod"));
        scene.aws.change(|world| world.cluster_mut("other").remove_task("shop-1"));
        scene.start_with(&[WEB, API, BUS]);
        reader.stop();
        scene.stop();
    });
}

#[test]
fn a_cluster_that_is_no_longer_configured_loses_its_targets_at_the_restart() {
    let mut scene = after_a_healthy_run("ecs_file_sd.yml").flag("-config.cluster=other");
    scene.start_with(&[SHOP, BUS]);
    scene.stop();
}

#[test]
fn the_originals_file_is_understood() {
    let mut scene = both_clusters();
    scene.file_holds(ORIGINALS);
    scene.aws.add_fault(denied("prod"));
    let reader = scene.reader(&[API, WEB]);
    scene.start_with(&TWO_CLUSTERS);
    let (kept, written) = (
        scene.groups(),
        ecs_discovery::file_sd::parse(ORIGINALS.as_bytes(), ecs_discovery::file_sd::Format::Yaml).unwrap(),
    );
    assert!(written.iter().all(|group| kept.contains(group)), "{kept:?}");
    assert!(scene.log().iter().all(|line| !text(line, "message").starts_with(NOT_OURS)));
    scene.aws.clear_faults();
    scene.until_logged("labels are ours", |line| line["added"] == 2 && line["removed"] == 2);
    scene.until_targets(&TWO_CLUSTERS);
    reader.stop();
    scene.stop();
}

#[test]
fn what_is_not_ours_is_left_alone_until_all_is_known() {
    let ours = ORIGINALS.as_bytes();
    let cases: [(&str, &[u8]); 9] = [
        ("garbage.yml", b"{{{ nothing: [that, anybody, wrote"),
        ("binary.yml", &[0xff, 0xfe, 0x00, 0x01, 0x80, 0x7f, 0x00]),
        ("configuration.yml", b"global:\n  scrape_interval: 15s\nscrape_configs: []\n"),
        ("others_targets.yml", b"- targets: ['localhost:9090']\n  labels: {team: x}\n"),
        ("no_labels.yml", b"- targets: ['localhost:9090']\n"),
        ("cut.yml", &ours[..ours.len() / 3]),
        ("text.yml", b"hello\n"),
        ("garbage.json", b"[{\"targets\": [\"a:1\"]"),
        ("yaml.json", ours),
    ];
    all_at_once(&cases, |(name, bytes)| {
        let scene = both_clusters().writing(name);
        scene.file_holds(bytes);
        is_left_alone_until_all_is_known(scene);
    });
}

#[test]
fn what_is_too_large_is_left_alone_until_all_is_known() {
    all_at_once(&[100_000_000, LARGEST_FILE, LARGEST_FILE + 1, 1 << 33], |&size| {
        let scene = both_clusters();
        File::create(scene.file()).unwrap().set_len(size).unwrap();
        is_left_alone_until_all_is_known(scene);
    });
}

fn is_left_alone_until_all_is_known(mut scene: Scene) {
    let before = appearance(&scene);
    scene.aws.add_fault(denied("prod"));
    scene.start();
    assert!(!text(&scene.until_message(NOT_OURS), "reason").is_empty());
    scene.until_message("existing file not overwritten");
    scene.after_refreshes(2);
    assert_eq!(appearance(&scene), before);
    scene.aws.clear_faults();
    scene.until_message("targets written");
    scene.until_targets(&TWO_CLUSTERS);
    scene.stop();
}

#[test]
fn what_may_not_be_read_is_left_alone_until_all_is_known() {
    let mut scene = both_clusters().writing("volume/ecs.yml");
    let volume = scene.directory().join("volume");
    fs::create_dir(&volume).unwrap();
    scene.file_holds(ORIGINALS);
    fs::set_permissions(scene.file(), Permissions::from_mode(0o000)).unwrap();
    let user = scene.as_ordinary_user();
    chown(&volume, Some(user), None).unwrap();
    let before = fs::metadata(scene.file()).unwrap().ino();
    scene.aws.add_fault(denied("prod"));
    scene.start();
    assert!(text(&scene.until_message(NOT_OURS), "reason").contains("ermission denied"));
    scene.after_refreshes(2);
    assert_eq!(fs::metadata(scene.file()).unwrap().ino(), before);
    scene.aws.clear_faults();
    scene.until_message("targets written");
    fs::set_permissions(scene.file(), Permissions::from_mode(0o644)).unwrap();
    scene.until_targets(&TWO_CLUSTERS);
}

#[test]
fn a_directory_in_the_files_place_is_said_and_left_alone() {
    let mut scene = both_clusters();
    fs::create_dir(scene.file()).unwrap();
    scene.start();
    scene.until_message(NOT_OURS);
    let error = scene.until_message("cannot write targets");
    assert!(text(&error, "error").contains("not a regular file"), "{error}");
    scene.after_refreshes(1);
    scene.assert_no_litter();
    fs::remove_dir(scene.file()).unwrap();
    scene.until_message("targets written");
    scene.until_targets(&TWO_CLUSTERS);
    scene.stop();
}

#[test]
fn an_empty_file_has_no_targets_to_keep() {
    let mut scene = both_clusters();
    scene.file_holds("");
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied));
    scene.start();
    scene.after_refreshes(2);
    assert_eq!(scene.bytes().as_deref(), Some(&b""[..]));
    scene.aws.clear_faults();
    scene.until_targets(&TWO_CLUSTERS);
    scene.stop();
}
