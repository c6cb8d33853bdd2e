//! `-config.environment-labels`: environment variables in place of docker labels, and nothing else of the environment.

use std::fs;

use simaws::{Calls, Cluster, ContainerDefinition, TaskDefinition, World};

use crate::fixtures::{PORT_LABEL, on_fargate};
use crate::harness::{Scene, wait_until};

const FLAG: &str = "-config.environment-labels";

/// Returns a cluster `prod` with a container without docker labels, one of whose variables is a password.
fn express() -> World {
    let app = ContainerDefinition::new("app", &[])
        .variable("DATABASE_PASSWORD", "hunter2")
        .variable(PORT_LABEL, "9102")
        .variable("PROMETHEUS_EXPORTER_PATH", "/internal");
    World::default()
        .with_cluster(Cluster::new("prod").with_task(on_fargate("web-1", "web:1", "10.0.1.1").group("service:web")))
        .with_task_definition(TaskDefinition::new("web", 1, "awsvpc").with_container(app))
}

fn once() -> Scene {
    Scene::of(express()).flag("-config.cluster=prod").flag("-config.scrape-times=1").flag("-log.level=trace")
}

/// Runs one refresh, which must find these targets, and must not find that the cache file was wrong.
fn refresh(scene: &mut Scene, targets: &[&str]) {
    let exited = scene.run();
    assert_eq!(exited.code, Some(0), "{}", exited.stderr);
    assert!(!exited.stderr.contains("hunter2") && !exited.stderr.contains("corrected"), "{}", exited.stderr);
    scene.wait_for_targets(targets);
}

#[test]
fn other_variables_are_kept_nowhere() {
    let mut scene = once().flag(FLAG);
    refresh(&mut scene, &["10.0.1.1:9102"]);
    let file = String::from_utf8(scene.bytes().unwrap()).unwrap();
    let cache = fs::read_to_string(scene.cache()).unwrap();
    assert!(cache.contains("/internal") && file.contains("/internal"), "{file}{cache}");
    assert!(!cache.contains("hunter2") && !file.contains("hunter2"), "{file}{cache}");
}

/// A cached definition has only the variables that counted when it was described.
#[test]
fn cached_definitions_are_described_again_when_other_variables_count() {
    let mut scene = once();
    refresh(&mut scene, &[]);
    let mut scene = scene.flag(FLAG);
    refresh(&mut scene, &["10.0.1.1:9102"]);
    refresh(&mut scene, &["10.0.1.1:9102"]);
    let mut scene = scene.flag("-config.path-label=OTHER");
    refresh(&mut scene, &["10.0.1.1:9102"]);
    assert!(!fs::read_to_string(scene.cache()).unwrap().contains("/internal"));
    let mut scene = scene.flag("-config.path-label=PROMETHEUS_EXPORTER_PATH");
    refresh(&mut scene, &["10.0.1.1:9102"]);
    assert!(fs::read_to_string(scene.cache()).unwrap().contains("/internal"));
    let mut scene = scene.flag("-config.environment-labels=false");
    refresh(&mut scene, &[]);
    assert!(!fs::read_to_string(scene.cache()).unwrap().contains("/internal"));
}

#[test]
fn explain_names_the_variables() {
    let mut scene = Scene::of(express()).flag(FLAG).flag("-explain").flag("-log.level=error");
    let text = scene.run().stdout;
    let from =
        "10.0.1.1:9102 path=/internal (from the environment: PROMETHEUS_EXPORTER_PATH, PROMETHEUS_EXPORTER_PORT)";
    assert!(text.contains(from), "{text}");
    let mut scene = scene.flag("-explain=json");
    let json: serde_json::Value = serde_json::from_str(&scene.run().stdout).unwrap();
    let names = &json["containers"][0]["environment_labels"];
    assert_eq!(*names, serde_json::json!(["PROMETHEUS_EXPORTER_PATH", PORT_LABEL]));
}

#[test]
fn variables_take_no_further_calls() {
    let mut scene = once().flag(FLAG).flag("-config.scrape-times=3");
    scene.run();
    let expected = [("ecs:ListTasks", 3), ("ecs:DescribeTasks", 3), ("ecs:DescribeTaskDefinition", 1)];
    wait_until("the calls are counted", || scene.aws.calls() == Calls::of(&expected));
}
