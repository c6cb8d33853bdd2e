//! The README says what the program does: its tables, policies and command lines are compared with the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use ecs_discovery::cli::{FLAGS, Flag, Parsed, Value, parse};
use ecs_discovery::config::DYNAMIC_PORT_LABEL;
use ecs_discovery::inventory::{ClusterRef, ClusterTasks, Failures, NoHost, Snapshot, Source, TaskStatus};
use ecs_discovery::output::{Earlier, Output};
use ecs_discovery::refresh::Refresher;
use ecs_discovery::status::SharedStatus;
use ecs_discovery::targets::SkipReason;
use ecs_discovery::telemetry::{MetricsFormat, Telemetry};
use serde_json::Value as Json;

const README: &str = include_str!("../README.md");

/// Every AWS operation that the program calls.
const CALLS: [&str; 7] = [
    "ec2:DescribeInstances",
    "ecs:DescribeContainerInstances",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListClusters",
    "ecs:ListTasks",
    "sts:AssumeRole",
];

/// The text of a section, without its heading.
fn section(heading: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("\n## {heading}\n")).expect(heading);
    rest.split("\n## ").next().unwrap()
}

/// The code blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = README.lines();
    while let Some(line) = lines.next() {
        if let Some(opened) = line.trim_start().strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim_start() != "```").collect();
            if opened == language {
                blocks.push(block.join("\n"));
            }
        }
    }
    assert!(!blocks.is_empty(), "no code block in {language}");
    blocks
}

/// The rows of the only table of a section, without its head.
fn rows(heading: &str) -> Vec<&'static str> {
    section(heading).lines().filter(|line| line.starts_with("| ")).skip(1).collect()
}

fn assert_rows(heading: &str, expected: &[String]) {
    assert!(rows(heading).iter().eq(expected), "the table of {heading:?} has to be\n{}\n", expected.join("\n"));
}

fn accepted(arguments: &[&str]) -> bool {
    matches!(parse(arguments.iter().map(OsString::from), |_| None), Ok(Parsed::Run(_) | Parsed::Explain(..)))
}

fn json_blocks() -> Vec<Json> {
    let parsed = |block: &String| serde_json::from_str(block).unwrap_or_else(|error| panic!("{error} in\n{block}"));
    blocks("json").iter().map(parsed).collect()
}

/// One value or a list of them.
fn texts(value: &Json) -> Vec<&str> {
    value
        .as_array()
        .map_or_else(|| vec![value], |list| list.iter().collect())
        .iter()
        .filter_map(|v| v.as_str())
        .collect()
}

#[test]
fn the_flags_are_those_of_the_code() {
    let row = |flag: &Flag| {
        let takes = match flag.value {
            Value::Switch => "bool".to_owned(),
            Value::Text(name) => format!("`{name}`"),
            Value::Duration => "duration".to_owned(),
            Value::Integer => "integer".to_owned(),
            Value::Word(words) => words.join(", "),
            Value::SwitchOr(words) => format!("bool, {}", words.join(", ")),
        };
        let default = if flag.default.is_empty() { String::new() } else { format!("`{}`", flag.default) };
        format!("| `-{}` | {takes} | {default} | {} |", flag.name, flag.help)
    };
    assert_rows("Flags", &FLAGS.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn the_help_lists_every_flag_with_its_default() {
    let Ok(Parsed::Print(help)) = parse(["-help".into()], |_| None) else { panic!("-help prints") };
    for flag in FLAGS {
        let (_, rest) = help.split_once(&format!("\n  -{}=", flag.name)).expect(flag.name);
        let entry = rest.split("\n  -").next().unwrap();
        assert!(entry.contains(flag.help), "{entry}");
        assert!(flag.default.is_empty() || entry.contains(&format!("[default: {}]", flag.default)), "{entry}");
    }
}

/// Every reason, with an example of what it holds.
fn reasons() -> Vec<SkipReason> {
    use SkipReason::*;
    let all = vec![
        NoPortLabel("PROMETHEUS_EXPORTER_PORT".into()),
        NoDynamicPortLabel,
        FilteredOut,
        InvalidPort("metrics".into()),
        InvalidServerName("https://x".into()),
        PortNotPublished(9102),
        NotOnePublishedPort(2),
        TaskNotUp(TaskStatus::Pending),
        TaskStopping(Some(TaskStatus::Deactivating)),
        TaskGone,
        ContainerStopped,
        NotInTaskDefinition,
        TaskDefinitionGone,
        DaemonTask,
        NetworkModeNone,
        UnknownNetworkMode("new".into()),
        NoTaskAddress,
        NoContainerInstance,
        NoHostAddress(NoHost::ContainerInstanceGone),
        NoHostAddress(NoHost::External),
        NoHostAddress(NoHost::InstanceGone),
        NoHostAddress(NoHost::NoAddress),
    ];
    for reason in &all {
        // A new one does not compile here: add it above, and then to the README.
        match reason {
            NoPortLabel(_) | NoDynamicPortLabel | FilteredOut | InvalidPort(_) | InvalidServerName(_) => {}
            PortNotPublished(_) | NotOnePublishedPort(_) | TaskNotUp(_) | TaskStopping(_) | TaskGone => {}
            ContainerStopped | NotInTaskDefinition | TaskDefinitionGone | DaemonTask | NetworkModeNone => {}
            UnknownNetworkMode(_) | NoTaskAddress | NoContainerInstance => {}
            NoHostAddress(NoHost::ContainerInstanceGone | NoHost::External) => {}
            NoHostAddress(NoHost::InstanceGone | NoHost::NoAddress) => {}
        }
    }
    all
}

#[test]
fn the_skip_reasons_are_those_of_the_code() {
    let row = |reason: &SkipReason| format!("| `{}` | {reason} | {} |", reason.code(), reason.remedy());
    assert_rows("Why is my container no target?", &reasons().iter().map(row).collect::<Vec<_>>());
}

#[test]
fn the_docker_labels_are_the_defaults() {
    let named: BTreeSet<&str> =
        section("Docker labels").lines().filter_map(|line| line.strip_prefix("| `PROM")?.split('`').next()).collect();
    let defaults = FLAGS.iter().map(|flag| flag.default).chain([DYNAMIC_PORT_LABEL]);
    assert_eq!(named, defaults.filter_map(|default| default.strip_prefix("PROM")).collect());
}

#[test]
fn the_policies_allow_the_calls_of_the_program_and_no_others() {
    let blocks = json_blocks();
    let statements = || blocks.iter().filter_map(|block| block["Statement"].as_array()).flatten();
    let actions: BTreeSet<&str> = statements().flat_map(|statement| texts(&statement["Action"])).collect();
    assert_eq!(actions, BTreeSet::from(CALLS));
    // These take no condition on the cluster: one would deny them.
    for statement in statements().filter(|statement| statement["Condition"].is_object()) {
        let conditioned: Vec<&str> = texts(&statement["Action"]);
        assert!(!conditioned.iter().any(|action| {
            ["ecs:DescribeTaskDefinition", "ecs:ListClusters", "ec2:DescribeInstances"].contains(action)
        }));
    }
}

#[test]
fn the_image_has_the_version_of_the_package() {
    let versions: BTreeSet<&str> =
        README.split("ecs-discovery:").skip(1).filter_map(|rest| rest.split([' ', '"', '\n']).next()).collect();
    assert_eq!(versions, BTreeSet::from([env!("CARGO_PKG_VERSION")]));
}

#[test]
fn every_command_line_is_accepted() {
    let commands: Vec<String> = blocks("sh").iter().map(|block| block.replace("\\\n", " ")).collect();
    let lines = commands.iter().flat_map(|block| block.lines()).filter_map(|line| line.split_once(" -config."));
    let mut seen = 0;
    for (program, flags) in lines {
        assert!(program.ends_with("ecs-discovery") || program.contains("ecs-discovery:"), "{program}");
        let flags = format!("-config.{flags}");
        assert!(accepted(&flags.split_whitespace().collect::<Vec<_>>()), "{flags}");
        seen += 1;
    }
    assert!(seen > 0, "no command line was found");
    for block in json_blocks() {
        for container in block["containerDefinitions"].as_array().into_iter().flatten() {
            assert!(accepted(&texts(&container["command"])), "{container}");
        }
    }
}

#[test]
fn the_health_check_is_accepted() {
    let commands = json_blocks().into_iter().map(|block| block["command"].clone());
    let [command] = &commands.filter(Json::is_array).collect::<Vec<_>>()[..] else { panic!("one health check") };
    let ["CMD", "/bin/ecs-discovery", flags @ ..] = &texts(command)[..] else { panic!("{command}") };
    let parsed = parse(flags.iter().map(OsString::from), |_| None);
    assert!(matches!(parsed, Ok(Parsed::HealthCheck(_))), "{parsed:?}");
}

#[test]
fn environment_variables_are_those_of_flags() {
    let variables: BTreeSet<String> = FLAGS.iter().map(Flag::environment_variable).collect();
    let mut named = words(README, "ECS_DISCOVERY_");
    assert!(named.remove("ECS_DISCOVERY_"), "the rule");
    assert!(!named.is_empty(), "an example");
    assert!(named.iter().all(|name| variables.contains(*name)), "{named:?}");
}

/// The words of a text that begin so.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with(prefix)).collect()
}

#[test]
fn the_time_of_a_call_is_that_of_the_code() {
    let seconds = ecs_discovery::aws::OPERATION_TIMEOUT.as_secs();
    for sentence in [format!("{seconds} seconds in all"), format!("three intervals and {seconds} s ")] {
        assert!(README.contains(&sentence), "{sentence}");
    }
}

/// One cluster without tasks.
struct Empty;

impl Source for Empty {
    async fn snapshot(&mut self) -> Snapshot {
        let cluster = ClusterTasks { cluster: ClusterRef::from("prod"), tasks: Ok(Vec::new()) };
        Snapshot {
            clusters: Ok(vec![cluster]),
            definitions: Default::default(),
            hosts: Default::default(),
            failures: Failures::default(),
        }
    }
}

/// The metrics after a refresh: only then are there series for a cluster.
fn metrics() -> String {
    let (telemetry, status) = (Telemetry::default(), SharedStatus::default());
    let Ok(Parsed::Run(config)) = parse([], |_| None) else { panic!("no flags are needed") };
    let mut refresher = Refresher::new(Empty, config.rules, Output::Nowhere, Earlier::Nothing);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refresh = runtime.block_on(refresher.refresh());
    telemetry.refreshed(&refresh);
    status.refreshed(refresh);
    telemetry.metrics(&status.get(), MetricsFormat::Classic)
}

/// The labels of a series, in their order.
fn labels(series: &str) -> Vec<(&str, &str)> {
    let Some((_, rest)) = series.split_once('{') else { return Vec::new() };
    let pairs = rest.split_once('}').expect(series).0.split(',').map(|pair| pair.split_once('=').expect(series));
    pairs.map(|(name, value)| (name, value.trim_matches('"'))).collect()
}

#[test]
fn the_metrics_are_those_of_the_code() {
    let text = metrics();
    let mut expected = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let sample = if kind == "histogram" { format!("{name}_sum") } else { name.to_owned() };
        let is_sample = |line: &&str| line.strip_prefix(&sample).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let series = text.lines().find(is_sample).expect("every series is there from the start");
        let named: Vec<String> = labels(series).iter().map(|(name, _)| format!("`{name}`")).collect();
        expected.insert(format!("`{name}`"), (kind.to_owned(), named.join(", ")));
    }
    let cells = |row: &&str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let table: Vec<_> = rows("Metrics").iter().map(cells).collect();
    let documented = table.iter().map(|cells| (cells[0].clone(), (cells[1].clone(), cells[2].clone())));
    assert_eq!(documented.collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(table.len(), expected.len(), "a metric is there twice");
    // The values of labels with a fixed set, which nothing else in the README lists.
    for (name, value) in text.lines().filter(|line| !line.starts_with('#')).flat_map(labels) {
        let listed = section("Metrics").contains(&format!("`{value}`"));
        assert!(listed || !["stage", "result", "cache"].contains(&name), "{name}={value}");
    }
}

#[test]
fn the_meta_labels_are_those_of_the_code() {
    let code = include_str!("../src/targets/meta.rs").split("#[cfg(test)]").next().unwrap();
    let literals = |call: &'static str, rest: &'static str| {
        let calls = code.split(call).skip(1).filter_map(|after| after.trim_start().strip_prefix('"'));
        calls.map(move |after| format!("`__meta_ecs_{}{rest}`", after.split('"').next().unwrap()))
    };
    let expected: BTreeSet<String> = literals(".put(", "").chain(literals(".put_all(", "K")).collect();
    let documented: BTreeSet<String> =
        rows("Meta labels").iter().map(|row| row.split(' ').nth(1).unwrap().to_owned()).collect();
    assert!(expected.len() > 20, "{expected:?}");
    assert_eq!(documented, expected);
}

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

#[test]
fn the_examples_are_there_and_named() {
    let named: BTreeSet<String> = README
        .split(|c: char| c.is_whitespace() || "()[]`".contains(c))
        .filter(|word| word.starts_with("examples/"))
        .map(|word| word.trim_end_matches(['.', ',']).to_owned())
        .collect();
    let there = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap();
    let names = there.map(|entry| format!("examples/{}", entry.unwrap().file_name().to_str().unwrap()));
    assert_eq!(named, names.filter(|name| name.ends_with(".yml")).collect());
}

#[test]
fn the_alerts_are_those_of_the_example() {
    let rules = file("examples/alerts.yml");
    let defined = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let row = |row: &&'static str| row.split('`').nth(1).unwrap();
    assert!(rows("Alerts").iter().map(row).eq(defined));
    let metrics = metrics();
    for path in ["examples/alerts.yml", "examples/alerts_test.yml", "README.md"] {
        for name in words(&file(path), "ecs_discovery_") {
            assert!(metrics.contains(&format!("# TYPE {name} ")), "{path}: {name}");
        }
    }
}

#[test]
fn the_relabelling_example_names_labels_of_the_code() {
    let documented = section("Meta labels");
    for name in words(&file("examples/relabel.yml"), "__meta_ecs_") {
        assert!(documented.contains(&format!("`{name}")), "{name}");
    }
}
