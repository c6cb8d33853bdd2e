//! An attacker with control of a task definition: no text breaks out of any output.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use simaws::{Cluster, ContainerDefinition, Task, TaskDefinition, World};

use crate::fixtures::{PORT_LABEL, exporter, on_fargate};
use crate::harness::{Scene, wait_until};

/// A target and a line that must not appear.
const PLANTED: &str = "6.6.6.6:6666";
const FORGED: &str = "forged";

/// Texts that end what they are in and begin something else: YAML, JSON, HTML, a line of the log or of the metrics, or a
/// command for a terminal.
const TEXTS: [&str; 18] = [
    "x\n- targets:\n  - 6.6.6.6:6666\n  labels: {}\n",
    "x'\n    forged: 'y",
    "x\"\n    forged: \"y",
    "'\"}]\n---\n- targets: ['6.6.6.6:6666']\n",
    "&anchor *anchor !!binary {{ %YAML # | > ? : -",
    "\u{85}- targets:\u{2028}  - 6.6.6.6:6666\u{2029}",
    "\",\"forged\":\"y",
    "\"}},{\"targets\":[\"6.6.6.6:6666\"],\"labels\":{\"a\":\"",
    "\\\"}],\\u0022",
    "</td></tr><script>alert('forged')</script>",
    "\" onmouseover=\"alert(1)\" x=\"",
    "'><img src=x onerror=alert(1)><!--",
    "x\nts=2026-01-01T00:00:00Z level=error msg=forged",
    "x\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}",
    "x\"} 1\nforged{a=\"b",
    "x\\\n# TYPE forged counter\nforged 1\n",
    "\u{1b}]0;forged\u{7}\u{1b}[2J\u{1b}[31m\u{9b}31m",
    "\u{202e}forged\u{2066}\u{0}\u{7f}\u{fffe}",
];

const JOB: &str = "PROMETHEUS_EXPORTER_JOB_NAME";
const PATH: &str = "PROMETHEUS_EXPORTER_PATH";

/// Returns a world in which each text is at every place that a user of ECS controls, in a task that is a target and in
/// tasks whose labels are invalid.
fn world() -> World {
    let mut cluster = Cluster::new("prod");
    let mut world = World::default();
    for (n, text) in TEXTS.iter().enumerate() {
        let family = format!("web-{n}");
        let labels = [(PORT_LABEL, "9102"), (JOB, text), (PATH, text), (text, text)];
        let app = ContainerDefinition::new("app", &labels).image(text).variable(text, text);
        world = world
            .with_task_definition(TaskDefinition::new(&family, 1, "awsvpc").with_container(app))
            .with_task_definition(exporter_with(&family, 2, PORT_LABEL, &format!("9102,{text}")))
            .with_task_definition(exporter_with(&family, 3, "PROMETHEUS_EXPORTER_SERVER_NAME", text))
            .with_task_definition(exporter_with(&family, 4, "PROMETHEUS_EXPORTER_SCHEME", text));
        let tagged = |task: Task| task.group(&format!("service:{text}")).tag("team", text).tag(text, text);
        for revision in 1..=4 {
            let (id, definition) = (format!("t-{n}-{revision}"), format!("{family}:{revision}"));
            cluster.add_task(tagged(on_fargate(&id, &definition, &format!("10.0.{revision}.{n}"))));
        }
    }
    world.with_cluster(cluster)
}

fn exporter_with(family: &str, revision: i64, label: &str, text: &str) -> TaskDefinition {
    let labels = if label == PORT_LABEL { vec![(label, text)] } else { vec![(PORT_LABEL, "9102"), (label, text)] };
    TaskDefinition::new(family, revision, "awsvpc").container("app", &labels)
}

fn scene() -> Scene {
    Scene::of(world()).flag("-config.cluster=prod").flag("-config.meta-labels")
}

/// Returns whether a character may only be printed escaped.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn assert_printable(what: &str, text: &str) {
    let found = text.chars().find(|c| *c != '\n' && is_unsafe(*c));
    assert_eq!(found, None, "{what}: {text:?}");
}

/// Checks groups as another parser than the program's reads them: each target is one that AWS names, with the labels of
/// its own task and the texts as they were.
fn check_groups(what: &str, groups: &Value) {
    let mut jobs = BTreeMap::new();
    for group in groups.as_array().unwrap() {
        assert_eq!(group.as_object().unwrap().len(), 2, "{what}: {group}");
        let target = group["targets"][0].as_str().unwrap();
        assert!(target.starts_with("10.0.") && target.ends_with(":9102"), "{what}: {group}");
        let labels = group["labels"].as_object().unwrap();
        assert!(!labels.contains_key(FORGED), "{what}: {group}");
        if let Some(job) = labels.get("job") {
            jobs.insert(labels["task_arn"].as_str().unwrap().rsplit('/').next().unwrap(), job.as_str().unwrap());
        }
    }
    for (n, text) in TEXTS.iter().enumerate() {
        assert_eq!(jobs.get(&*format!("t-{n}-1")), Some(text), "{what}");
    }
}

#[test]
fn no_text_breaks_out_of_the_file() {
    for name in ["ecs.yml", "ecs.json"] {
        let mut scene = scene().write_to(name).flag("-config.scrape-times=1");
        assert_eq!(scene.run().code, Some(0));
        let file = scene.bytes().unwrap();
        let groups: Value = match name {
            "ecs.yml" => serde_yaml::from_slice(&file).unwrap(),
            _ => serde_json::from_slice(&file).unwrap(),
        };
        check_groups(name, &groups);
    }
}

#[test]
fn no_text_breaks_out_of_the_web_endpoints() {
    let mut scene = scene();
    let server = scene.serve();
    wait_until("all targets are served", || server.get("/-/ready").status == 200);
    check_groups("/targets", &serde_json::from_str(&server.get("/targets").body).unwrap());
    wait_until("the page has them", || server.get("/").body.contains("10.0.1.17:9102"));
    let page = server.get("/").body;
    assert_printable("the page", &page);
    // Of the page itself, no tag has these, and every quote of a text is escaped.
    for forbidden in ["<script", "<img", "<!--", "onmouseover=\"", "'><"] {
        assert!(!page.contains(forbidden), "{forbidden}: {page}");
    }
    for line in server.get("/metrics").body.lines() {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").trim_start_matches("# UNIT ");
        assert!(name.starts_with("ecs_discovery_") || name.starts_with("process_") || name == "# EOF", "{line:?}");
        assert_printable("a metric", line);
    }
    scene.stop();
}

#[test]
fn no_text_breaks_out_of_the_log() {
    for (level, format) in [("info", "logfmt"), ("info", "json"), ("debug", "logfmt"), ("debug", "json")] {
        let mut scene = scene().flag("-config.scrape-times=1").flag(&format!("-log.level={level}"));
        scene = scene.flag(&format!("-log.format={format}"));
        let exited = scene.run();
        assert_eq!(exited.code, Some(0));
        assert!(exited.stderr.contains("misconfigured"), "{}", exited.stderr);
        for line in exited.stderr.lines() {
            assert_printable("the log", line);
            match format {
                "json" => assert_ne!(serde_json::from_str::<Value>(line).unwrap()["message"], FORGED),
                _ => assert!(line.starts_with("ts=20") && !line.contains(" msg=forged"), "{line}"),
            }
        }
    }
}

#[test]
fn no_text_breaks_out_of_an_explanation() {
    let mut scene = scene().flag("-explain").flag("-log.level=error");
    let text = scene.run().stdout;
    assert_printable("the text", &text);
    assert!(!text.lines().any(|line| line.trim_start().starts_with(FORGED) || line.contains("\tforged")), "{text}");
    let mut scene = scene.flag("-explain=json");
    let json = scene.run().stdout;
    assert_printable("the JSON", &json);
    let report: Value = serde_json::from_str(&json).unwrap();
    let containers = report["containers"].as_array().unwrap();
    assert!(containers.len() >= 4 * TEXTS.len(), "{json}");
    let targets: BTreeSet<&str> = containers.iter().filter_map(|container| container["target"].as_str()).collect();
    assert!(!targets.contains(PLANTED), "{targets:?}");
}

/// Whatever the labels of one container are, another container's target is the same.
#[test]
fn labels_change_no_other_target() {
    let alone = World::default()
        .with_cluster(Cluster::new("prod").with_task(on_fargate("plain", "plain:1", "10.0.9.9")))
        .with_task_definition(exporter("plain", 1, "awsvpc"));
    let group = |world: World| {
        let mut scene = Scene::of(world).flag("-config.cluster=prod").flag("-config.scrape-times=1");
        assert_eq!(scene.run().code, Some(0));
        let is_plain = |group: &&ecs_discovery::file_sd::TargetGroup| group.labels.get("task_name") == Some("plain");
        scene.groups().iter().filter(is_plain).cloned().collect::<Vec<_>>()
    };
    let mut among_others = world().with_task_definition(exporter("plain", 1, "awsvpc"));
    among_others.cluster_mut("prod").add_task(on_fargate("plain", "plain:1", "10.0.9.9"));
    let expected = group(alone);
    assert_eq!(expected.len(), 1);
    assert_eq!(group(among_others), expected);
}
