//! Flags as environment variables, and what of them reaches STS.

use ecs_discovery::cli::FLAGS;
use simaws::Task;

use crate::fixtures::{TWO_CLUSTERS, fargate, two_clusters};
use crate::harness::Scene;

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

fn once(scene: Scene) -> Scene {
    scene.flag("-config.scrape-times=1")
}

#[test]
fn the_environment_says_what_the_command_line_does_not() {
    let scene = once(Scene::of(two_clusters())).env("ECS_DISCOVERY_CONFIG_CLUSTER", "other");
    let mut scene = scene.env("ECS_DISCOVERY_CONFIG_SCRAPE_TIMES", "0").env("ECS_DISCOVERY_CONFIG_META_LABELS", "true");
    assert_eq!(scene.run().code, Some(0), "the flag wins: it ends after a refresh");
    let groups = scene.groups();
    assert_eq!(groups.len(), 2);
    assert!(groups.iter().all(|group| group.labels.get("__meta_ecs_cluster") == Some("other")), "{groups:?}");
    let mut scene = scene.flag("-config.cluster=prod,other").flag("-config.meta-labels=false");
    assert_eq!(scene.run().code, Some(0));
    scene.until_targets(&TWO_CLUSTERS);
    assert!(scene.groups().iter().all(|group| group.labels.get("__meta_ecs_cluster").is_none()));
}

/// An error names the variable rather than the flag, since the variable is the one to fix.
#[test]
fn an_invalid_value_names_its_variable() {
    for (variable, value, why) in [
        ("ECS_DISCOVERY_CONFIG_SCRAPE_TIMES", "many", "expected an integer"),
        ("ECS_DISCOVERY_CONFIG_DYNAMIC_PORT_DETECTION", "maybe", "expected true or false"),
        ("ECS_DISCOVERY_CONFIG_META_LABELS", "", "expected true or false"),
        ("ECS_DISCOVERY_EXPLAIN", "yaml", "expected true or false or json"),
        ("ECS_DISCOVERY_CONFIG_CLUSTER", ",", "expected at least one cluster"),
        ("ECS_DISCOVERY_WEB_LISTEN_ADDRESS", "10779", "expected :PORT or HOST:PORT"),
        ("ECS_DISCOVERY_WEB_TELEMETRY_PATH", "metrics", "expected an unused path such as /metrics"),
        ("ECS_DISCOVERY_CONFIG_FILTER_LABEL", "=x", "expected NAME or NAME=VALUE"),
    ] {
        // The harness takes an empty variable away.
        let mut scene = Scene::of(fargate(1)).env(variable, value);
        if value.is_empty() {
            scene.shell(&format!("export {variable}="));
        }
        let ended = scene.run();
        assert_eq!((ended.code, ended.stdout.as_str(), scene.aws.calls().total()), (Some(2), "", 0), "{variable}");
        let first = ended.stderr.lines().next().unwrap();
        assert!(first.contains(variable) && first.contains(why), "{variable}: {first}");
    }
}

#[test]
fn the_help_names_the_variables() {
    let help = Scene::of(fargate(1)).flag("-help").run().stdout;
    assert!(help.contains("ECS_DISCOVERY_CONFIG_CLUSTER"), "{help}");
    for flag in FLAGS {
        let variable = flag.environment_variable();
        let plain = variable.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        assert!(plain && variable.starts_with("ECS_DISCOVERY_") && help.contains(flag.name), "{variable}");
    }
}

#[test]
fn the_external_id_reaches_sts_with_the_name_of_the_session() {
    let scene = Scene::of(fargate(1)).flag("-config.cluster=prod").flag(&format!("-config.role-arn={ROLE}"));
    let mut scene = scene.flag("-config.external-id=tenant 7").flag("-config.scrape-times=3");
    assert_eq!(scene.run().code, Some(0));
    let [request] = &scene.aws.take_calls().requests("sts:AssumeRole")[..] else { panic!("one for three refreshes") };
    assert_eq!(request["RoleArn"], ROLE);
    assert_eq!((&request["RoleSessionName"], &request["ExternalId"]), (&"ecs-discovery".into(), &"tenant 7".into()));
    let mut scene = scene.flag("-config.external-id=");
    assert_eq!(scene.run().code, Some(0));
    let [request] = &scene.aws.calls().requests("sts:AssumeRole")[..] else { panic!("one for three refreshes") };
    assert!(request["ExternalId"].is_null() && request["RoleSessionName"] == "ecs-discovery", "{request}");
}

#[test]
fn an_external_id_without_a_role_is_refused() {
    let mut scene = Scene::of(fargate(1)).env("ECS_DISCOVERY_CONFIG_EXTERNAL_ID", "x");
    assert_eq!(scene.run().code, Some(2));
}

/// Tags cost no call, and are asked for only where labels are made of them.
#[test]
fn tags_are_asked_for_with_meta_labels_and_not_without() {
    let mut world = fargate(0);
    let task = Task::fargate("web-0", "web:1").container("app", "10.0.0.1").tag("team", "shop");
    world.cluster_mut("prod").add_task(task);
    let mut scene = once(Scene::of(world)).flag("-config.cluster=prod").flag("-config.cache=off");
    let (mut calls, mut included, mut tags) = (vec![], vec![], vec![]);
    for flag in ["-config.meta-labels=false", "-config.meta-labels"] {
        scene = scene.flag(flag);
        assert_eq!(scene.run().code, Some(0));
        let made = scene.aws.take_calls();
        included.push(made.requests("ecs:DescribeTasks")[0]["include"].to_string());
        tags.push(scene.groups()[0].labels.get("__meta_ecs_tag_task_team").map(String::from));
        calls.push(made);
    }
    assert_eq!(calls[0], calls[1]);
    assert_eq!(
        (included, tags),
        (vec!["null".to_owned(), "[\"TAGS\"]".to_owned()], vec![None, Some("shop".to_owned())])
    );
}
