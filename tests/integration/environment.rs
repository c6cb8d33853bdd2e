//! Flags set by environment variables, and the flags that reach STS and ECS.

use ecs_discovery::cli::FLAGS;
use simaws::Task;

use crate::fixtures::{TWO_CLUSTERS, fargate, two_clusters};
use crate::harness::Scene;

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

fn once(scene: Scene) -> Scene {
    scene.flag("-config.scrape-times=1")
}

#[test]
fn command_line_overrides_environment() {
    let scene = once(Scene::of(two_clusters())).env("ECS_DISCOVERY_CONFIG_CLUSTER", "other");
    let mut scene = scene.env("ECS_DISCOVERY_CONFIG_SCRAPE_TIMES", "0").env("ECS_DISCOVERY_CONFIG_META_LABELS", "true");
    assert_eq!(scene.run().code, Some(0), "the flag wins: exits after one refresh");
    let groups = scene.groups();
    assert_eq!(groups.len(), 2);
    assert!(groups.iter().all(|group| group.labels.get("__meta_ecs_cluster") == Some("other")), "{groups:?}");
    let mut scene = scene.flag("-config.cluster=prod,other").flag("-config.meta-labels=false");
    assert_eq!(scene.run().code, Some(0));
    scene.wait_for_targets(&TWO_CLUSTERS);
    assert!(scene.groups().iter().all(|group| group.labels.get("__meta_ecs_cluster").is_none()));
}

/// The message must name the variable, because that is what the user has to fix.
#[test]
fn invalid_value_is_reported_with_its_variable() {
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
        let mut scene = Scene::of(fargate(1)).env(variable, value);
        let exited = scene.run();
        assert_eq!((exited.code, exited.stdout.as_str(), scene.aws.calls().total()), (Some(2), "", 0), "{variable}");
        let first = exited.stderr.lines().next().unwrap();
        assert!(first.contains(variable) && first.contains(why), "{variable}: {first}");
    }
}

#[test]
fn help_documents_the_variables() {
    let help = Scene::of(fargate(1)).flag("-help").run().stdout;
    assert!(help.contains("ECS_DISCOVERY_CONFIG_CLUSTER"), "{help}");
    for flag in FLAGS {
        let variable = flag.environment_variable();
        let plain = variable.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        assert!(plain && variable.starts_with("ECS_DISCOVERY_") && help.contains(flag.name), "{variable}");
    }
}

#[test]
fn external_id_and_session_name_reach_sts() {
    let scene = Scene::of(fargate(1)).flag("-config.cluster=prod").flag(&format!("-config.role-arn={ROLE}"));
    let mut scene = scene.flag("-config.external-id=tenant 7").flag("-config.scrape-times=3");
    assert_eq!(scene.run().code, Some(0));
    let [request] = &scene.aws.take_calls().requests("sts:AssumeRole")[..] else {
        panic!("not one AssumeRole for three refreshes")
    };
    assert_eq!(request["RoleArn"], ROLE);
    assert_eq!((&request["RoleSessionName"], &request["ExternalId"]), (&"ecs-discovery".into(), &"tenant 7".into()));
    let mut scene = scene.flag("-config.external-id=");
    assert_eq!(scene.run().code, Some(0));
    let [request] = &scene.aws.calls().requests("sts:AssumeRole")[..] else {
        panic!("not one AssumeRole for three refreshes")
    };
    assert!(request["ExternalId"].is_null() && request["RoleSessionName"] == "ecs-discovery", "{request}");
}

#[test]
fn external_id_without_role_is_invalid() {
    let mut scene = Scene::of(fargate(1)).env("ECS_DISCOVERY_CONFIG_EXTERNAL_ID", "x");
    assert_eq!(scene.run().code, Some(2));
}

/// Tags come without additional calls, and are requested only for meta labels.
#[test]
fn tags_are_requested_only_with_meta_labels() {
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
