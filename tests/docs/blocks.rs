//! The blocks of the documents that are made from the code: `<!-- begin:NAME -->` … `<!-- end:NAME -->`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use ecs_discovery::cli::{FLAGS, Flag, Value};
use ecs_discovery::config::DYNAMIC_PORT_LABEL;

use crate::pages::{Page, cells, file};
use crate::{code, modules};

/// Rewrites the blocks.
pub(crate) const UPDATE: &str = "UPDATE_DOCS=1 cargo test --workspace --test docs";

/// How a block is made.
#[derive(Clone, Copy)]
enum Content {
    /// Wholly from the code.
    Generated(fn() -> String),
    /// A table whose first cells are from the code, and whose others are written by hand.
    Described { header: &'static [&'static str], names: fn() -> Vec<String> },
    /// A file of the repository, as code of this language.
    File { path: &'static str, language: &'static str },
}

use Content::{Described, File, Generated};

const BLOCKS: &[(&str, Content)] = &[
    ("alerts", Described { header: &["alert", "fires when"], names: alerts }),
    ("aws-calls", Described { header: &["IAM action", "needed for", "`ecs:cluster` condition"], names: aws_calls }),
    ("call-timeout", Generated(call_timeout)),
    ("docker-labels", Described { header: &["docker label", "example", "meaning"], names: docker_labels }),
    ("explain", File { path: "tests/integration/explain/fleet.txt", language: "text" }),
    ("flags", Generated(flags)),
    ("meta-labels", Described { header: &["label", "value", "whose"], names: meta_labels }),
    ("metric-labels", Generated(metric_labels)),
    ("metrics", Generated(metrics)),
    ("modules", Generated(module_table)),
    ("native-labels", Described { header: &["Prometheus's own discovery", "ecs-discovery"], names: native_labels }),
    ("policy-all-clusters", File { path: "examples/ecs/iam/discovery-all-clusters.json", language: "json" }),
    ("policy-events", File { path: "examples/ecs/iam/discovery-events.json", language: "json" }),
    ("policy-all-labels", File { path: "examples/ecs/iam/discovery-all-labels.json", language: "json" }),
    ("policy-assume-role", File { path: "examples/ecs/iam/assume-discovery-role.json", language: "json" }),
    ("policy-awsvpc", File { path: "examples/ecs/iam/discovery-fargate-only.json", language: "json" }),
    ("policy-one-cluster", File { path: "examples/ecs/iam/discovery-one-cluster.json", language: "json" }),
    ("policy-trust", File { path: "examples/ecs/iam/trust-monitoring-account.json", language: "json" }),
    ("skip-reasons", Generated(skip_reasons)),
];

/// A block in a page.
pub(crate) struct Block<'a> {
    pub(crate) name: &'a str,
    /// What is there now.
    pub(crate) current: &'a str,
}

impl Block<'_> {
    /// Returns what the block has to be.
    pub(crate) fn expected(&self) -> String {
        let known = BLOCKS.iter().find(|(name, _)| *name == self.name);
        let (_, content) = known.unwrap_or_else(|| panic!("no block is called {}", self.name));
        let text = match content {
            Generated(content) => content(),
            Described { header, names } => described(header, &names(), self.current),
            File { path, language } => format!("```{language}\n{}\n```", file(path).trim_end()),
        };
        if self.current.starts_with('\n') { format!("\n{text}\n") } else { text }
    }
}

/// Returns the names of all blocks.
pub(crate) fn names() -> BTreeSet<&'static str> {
    BLOCKS.iter().map(|(name, _)| *name).collect()
}

/// Returns the blocks of a page.
pub(crate) fn of(page: &Page) -> Vec<Block<'_>> {
    let begun = page.text.split("<!-- begin:").skip(1);
    let block = |rest| {
        let (name, rest) = str::split_once(rest, " -->").expect("the end of the comment");
        let end = format!("<!-- end:{name} -->");
        let (current, _) = rest.split_once(&end).unwrap_or_else(|| panic!("{}: {end} is missing", page.path));
        Block { name, current }
    };
    begun.map(block).collect()
}

/// Returns the text of a page with every block as it has to be.
pub(crate) fn rewrite(page: &Page) -> String {
    of(page).iter().fold(page.text.clone(), |text, block| {
        let Block { name, current } = block;
        let marked = |content: &str| format!("<!-- begin:{name} -->{content}<!-- end:{name} -->");
        text.replace(&marked(current), &marked(&block.expected()))
    })
}

fn row<C: AsRef<str>>(cells: impl IntoIterator<Item = C>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|cell| cell.as_ref().to_owned()).collect();
    format!("| {} |", cells.join(" | "))
}

fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head = [row(header), format!("|{}", "---|".repeat(header.len()))];
    let rows = rows.into_iter().map(|cells| row(cells.iter().map(|cell| cell.replace('|', "\\|"))));
    head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// Makes a table of these names, with the descriptions that the current one has.
fn described(header: &[&str], names: &[String], current: &str) -> String {
    let rows = current.lines().filter(|line| line.starts_with("| `")).map(cells);
    let mut written: BTreeMap<String, Vec<String>> = rows.map(|row| (row[0].clone(), row[1..].to_vec())).collect();
    let complete = |name: &String| {
        let name = format!("`{name}`");
        let cells = written.remove(&name).unwrap_or_else(|| vec![String::new(); header.len() - 1]);
        [vec![name], cells].concat().iter().map(|cell| cell.replace("\\|", "|")).collect()
    };
    table(header, names.iter().map(complete).collect::<Vec<_>>())
}

fn code_list(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn flags() -> String {
    let cells = |flag: &Flag| {
        let takes = match flag.value {
            Value::Switch => "bool".to_owned(),
            Value::Text(name) => format!("`{name}`"),
            Value::Limit => "duration".to_owned(),
            Value::Interval => "duration or `auto`".to_owned(),
            Value::Integer => "integer".to_owned(),
            Value::Word(words) => words.join(", "),
            Value::SwitchOr(words) => format!("bool, {}", words.join(", ")),
        };
        let default = if flag.default.is_empty() { String::new() } else { format!("`{}`", flag.default) };
        vec![format!("`-{}`", flag.name), takes, default, flag.help.to_owned()]
    };
    table(&["flag", "value", "default", "meaning"], FLAGS.iter().map(cells))
}

fn call_timeout() -> String {
    format!("{} seconds", ecs_discovery::aws::OPERATION_TIMEOUT.as_secs())
}

fn skip_reasons() -> String {
    let rows = code::skip_reasons()
        .into_iter()
        .map(|reason| vec![format!("`{}`", reason.code()), reason.to_string(), reason.remedy().to_owned()]);
    table(&["reason", "in words", "what to do"], rows)
}

/// The defaults of the flags that name docker labels, and the one that has no flag.
fn docker_labels() -> Vec<String> {
    let defaults = FLAGS.iter().map(|flag| flag.default).filter(|default| default.starts_with("PROMETHEUS_"));
    // The port label, which everybody needs, comes last among the flags.
    defaults.rev().chain([DYNAMIC_PORT_LABEL]).map(String::from).collect()
}

fn aws_calls() -> Vec<String> {
    code::iam_actions().into_iter().collect()
}

fn alerts() -> Vec<String> {
    let rules = file("examples/alerts.yml");
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(String::from).collect()
}

/// The labels of Prometheus's own ECS discovery.
pub(crate) fn native_labels() -> Vec<String> {
    file("tests/docs/native-ecs-labels.txt").lines().filter(|line| !line.starts_with('#')).map(String::from).collect()
}

/// The meta labels of all golden worlds, which the golden tests hold to be those of the program.
fn meta_labels() -> Vec<String> {
    const KEYED: [&str; 5] = ["container_label_", "tag_cluster_", "tag_ec2_", "tag_service_", "tag_task_"];
    let mut names = BTreeSet::new();
    for file in expected_outputs(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))) {
        let labels = file.lines().filter_map(|line| line.trim_start().strip_prefix("__meta_ecs_"));
        for label in labels.filter_map(|line| line.split(':').next()) {
            let keyed = KEYED.iter().find(|prefix| label.starts_with(**prefix));
            names.insert(keyed.map_or_else(|| format!("__meta_ecs_{label}"), |prefix| format!("__meta_ecs_{prefix}K")));
        }
    }
    names.into_iter().collect()
}

/// Returns the outputs of the golden worlds in a folder.
fn expected_outputs(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let outputs = entries.flat_map(|path| match path.file_name() {
        Some(name) if name == "expected.yml" => vec![fs::read_to_string(&path).unwrap()],
        _ if path.is_dir() => expected_outputs(&path),
        _ => Vec::new(),
    });
    outputs.collect()
}

/// A series of the exposition format: its name and its labels, in their order.
fn series(line: &str) -> (&str, Vec<(&str, &str)>) {
    let Some((name, rest)) = line.split_once('{') else {
        return (line.split(' ').next().unwrap(), Vec::new());
    };
    let pairs = rest.split_once('}').expect(line).0.split(',').map(|pair| pair.split_once('=').expect(line));
    (name, pairs.map(|(label, value)| (label, value.trim_matches('"'))).collect())
}

fn metrics() -> String {
    let text = code::metrics();
    let described = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let help: BTreeMap<&str, &str> = described.collect();
    let rows = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).map(|(name, kind)| {
        let sample = if kind == "histogram" { format!("{name}_sum") } else { name.to_owned() };
        let mut samples = text.lines().filter(|line| !line.starts_with('#')).map(series);
        let (_, labels) = samples.find(|(name, _)| *name == sample).expect("every series exists from the start");
        let labels = code_list(labels.iter().map(|(label, _)| (*label).to_owned()));
        vec![format!("`{name}`"), kind.to_owned(), labels, help[name].trim_end_matches('.').to_owned()]
    });
    // The program's own metrics before those of every process.
    let (own, process): (Vec<_>, Vec<_>) = rows.partition(|cells| cells[0].starts_with("`ecs_discovery_"));
    table(&["metric", "type", "labels", "meaning"], [own, process].concat())
}

/// The values of the labels whose values are a fixed set, skip reasons aside.
fn metric_labels() -> String {
    const OPEN: [&str; 8] = ["account_id", "cluster", "code", "le", "reason", "region", "revision", "version"];
    let text = code::metrics();
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (label, value) in text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| series(line).1) {
        if !OPEN.contains(&label) {
            values.entry(label.to_owned()).or_default().insert(value.to_owned());
        }
    }
    let rows = values.into_iter().map(|(label, values)| vec![format!("`{label}`"), code_list(values)]);
    table(&["label", "values"], rows)
}

fn module_table() -> String {
    let rows = modules::all().into_iter().map(|(name, module)| {
        let imports = if module.imports.is_empty() { "–".to_owned() } else { code_list(module.imports) };
        vec![format!("`{name}`"), module.job, imports]
    });
    table(&["module", "its job", "imports"], rows)
}
