//! README.md and docs/ agree with the code: generated tables, commands, policies, names, links.
//!
//! A block between `<!-- begin:NAME -->` and `<!-- end:NAME -->` is made from the code (`docs/blocks.rs`).
//! `UPDATE_DOCS=1 cargo test --workspace --test docs` rewrites every block.
#![cfg(feature = "aws")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "docs/blocks.rs"]
mod blocks;
#[path = "docs/code.rs"]
mod code;
#[path = "docs/modules.rs"]
mod modules;
#[path = "docs/pages.rs"]
mod pages;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use ecs_discovery::cli::{FLAGS, Flag, Parsed, parse};
use ecs_discovery::file_sd::{self, Format};
use pages::{Page, page, user_documents};
use serde_json::Value as Json;

/// The most lines that somebody with two minutes reads.
const LONGEST_README: usize = 150;

// --- Generated blocks ----------------------------------------------------------------------------

#[test]
fn generated_blocks_are_up_to_date() {
    let mut stale = String::new();
    for page in pages::all() {
        for block in blocks::of(page) {
            let expected = block.expected();
            let differs = block.current.lines().zip(expected.lines()).find(|(is, must)| is != must);
            let (is, must) = differs.unwrap_or(("(another number of lines)", ""));
            if block.current != expected {
                stale += &format!("{}, block {}:\n- {is}\n+ {must}\n", page.path, block.name);
            }
        }
    }
    assert!(stale.is_empty(), "{stale}To rewrite every block, run:\n{}", blocks::UPDATE);
}

#[test]
fn every_block_has_its_place() {
    let placed: Vec<&str> = pages::all().iter().flat_map(blocks::of).map(|block| block.name).collect();
    assert_eq!(placed.iter().copied().collect::<BTreeSet<_>>(), blocks::names());
    // A comment at the start of a line ends the paragraph before it.
    for line in user_documents().flat_map(Page::prose).filter(|line| line.starts_with("<!-- begin:")) {
        assert!(line.ends_with("-->") && !line.contains("<!-- end:"), "put words before the block: {line}");
    }
}

#[test]
fn every_name_of_a_block_is_described() {
    for page in pages::all() {
        for line in blocks::of(page).iter().flat_map(|block| block.current.lines()) {
            let empty = line.starts_with("| `") && pages::cells(line)[1..].iter().all(String::is_empty);
            assert!(!empty, "{}: fill in what {line} is", page.path);
        }
    }
}

// --- The command line ----------------------------------------------------------------------------

#[test]
fn help_lists_every_flag_with_its_default() {
    let Ok(Parsed::Print(help)) = parse(["-help".into()], |_| None) else { panic!("-help must print") };
    for flag in FLAGS {
        let (_, rest) = help.split_once(&format!("\n  -{}=", flag.name)).expect(flag.name);
        let entry = rest.split("\n  -").next().unwrap();
        assert!(entry.contains(flag.help), "{entry}");
        assert!(flag.default.is_empty() || entry.contains(&format!("[default: {}]", flag.default)), "{entry}");
    }
}

#[test]
fn commands_are_accepted() {
    let mut checked = 0;
    for page in user_documents() {
        for line in command_lines(page) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(program) = words.iter().position(|word| is_our_program(word)) else { continue };
            let flags: Vec<&str> = words[program + 1..].to_vec();
            if flags.first().is_some_and(|flag| flag.starts_with('-')) {
                assert!(parse(flags.iter().map(OsString::from), |_| None).is_ok(), "{}: {line}", page.path);
                checked += 1;
            }
        }
        for (container, flags) in json(page).iter().flat_map(container_commands) {
            assert!(parse(flags.iter().map(OsString::from), |_| None).is_ok(), "{}: {container}", page.path);
            checked += 1;
        }
    }
    assert!(checked > 5, "only {checked} commands were found");
}

/// Returns the commands of a page, one per line: continued lines are joined.
fn command_lines(page: &Page) -> Vec<String> {
    let blocks = page.code("sh").into_iter().map(|block| block.replace("\\\n", " "));
    blocks.flat_map(|block| block.lines().map(String::from).collect::<Vec<_>>()).collect()
}

/// Returns whether a word of a command line is the program or its image.
fn is_our_program(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    name == "ecs-discovery" || name.starts_with("ecs-discovery:")
}

/// Returns the commands of the containers in a task definition that run the program.
fn container_commands(block: &Json) -> Vec<(&Json, Vec<&str>)> {
    let containers = block["containerDefinitions"].as_array().into_iter().flatten();
    let ours = containers.filter(|container| container["image"].as_str().is_some_and(is_our_program));
    ours.map(|container| (container, strings(&container["command"]))).collect()
}

#[test]
fn health_checks_are_accepted() {
    let mut checked = 0;
    for block in user_documents().flat_map(json) {
        let containers = block["containerDefinitions"].as_array().into_iter().flatten();
        let checks = containers.map(|container| &container["healthCheck"]).chain([&block, &block["healthCheck"]]);
        for command in checks.map(|check| &check["command"]).filter(|command| command[0] == "CMD") {
            let ["CMD", "/bin/ecs-discovery", flags @ ..] = &strings(command)[..] else { panic!("{command}") };
            let parsed = parse(flags.iter().map(OsString::from), |_| None);
            assert!(matches!(parsed, Ok(Parsed::HealthCheck(_))), "{command}: {parsed:?}");
            checked += 1;
        }
    }
    assert!(checked > 0, "no health check was found");
}

#[test]
fn scripts_and_examples_in_commands_exist() {
    let script = pages::file("tests/run");
    let (_, stages) = script.split_once("\nstages=(").expect("the list of stages");
    let stages: BTreeSet<&str> = stages.split(')').next().unwrap().split(' ').collect();
    for page in user_documents() {
        for line in command_lines(page) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match &words[..] {
                ["tests/run", asked @ ..] => assert!(asked.iter().all(|stage| stages.contains(stage)), "{line}"),
                [script, ..] if script.starts_with("tests/") => assert!(pages::exists(script), "{line}"),
                ["cargo", "run", "--example", name, ..] => {
                    assert!(pages::exists(&format!("examples/{name}/main.rs")), "{line}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn shell_commands_parse() {
    for page in user_documents() {
        for block in page.code("sh") {
            let done = Command::new("bash").args(["-n", "-c", &block]).output().unwrap();
            assert!(done.status.success(), "{}: {}", page.path, String::from_utf8_lossy(&done.stderr));
        }
    }
}

#[test]
fn a_fresh_machine_finds_its_two_commands_in_the_readme() {
    let commands = command_lines(page("README.md"));
    for command in ["cargo run --example demo", "tests/run"] {
        assert!(commands.iter().any(|line| line == command), "{command}");
    }
}

// --- Other code ----------------------------------------------------------------------------------

fn json(page: &Page) -> Vec<Json> {
    let parsed = |block: &String| serde_json::from_str(block).unwrap_or_else(|error| panic!("{error} in\n{block}"));
    page.code("json").iter().map(parsed).collect()
}

/// Returns one string, or a list of them.
fn strings(value: &Json) -> Vec<&str> {
    match value {
        Json::Array(list) => list.iter().filter_map(Json::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// Actions that do not support a condition on the cluster.
const NO_CLUSTER_CONDITION: [&str; 5] = [
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeClusters",
    "ecs:ListClusters",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
];

#[test]
fn policies_allow_the_calls_of_the_program_and_no_others() {
    let blocks: Vec<Json> = user_documents().flat_map(json).collect();
    let statements = || blocks.iter().filter_map(|block| block["Statement"].as_array()).flatten();
    let actions: BTreeSet<String> =
        statements().flat_map(|statement| strings(&statement["Action"])).map(String::from).collect();
    assert_eq!(actions, code::iam_actions());
    // With one they would be denied.
    for statement in statements().filter(|statement| statement["Condition"].is_object()) {
        let conditioned = strings(&statement["Action"]);
        assert!(!conditioned.iter().any(|action| { NO_CLUSTER_CONDITION.contains(action) }));
    }
}

#[test]
fn yaml_parses() {
    for page in user_documents() {
        for block in page.code("yaml") {
            let parsed = serde_yaml::from_str::<serde_yaml::Value>(&block);
            assert!(parsed.is_ok(), "{}: {parsed:?} in\n{block}", page.path);
            if block.starts_with("- targets:") {
                let groups = file_sd::parse(block.as_bytes(), Format::Yaml).unwrap();
                assert_eq!(file_sd::render(&groups, Format::Yaml), format!("{block}\n").as_bytes());
            }
        }
    }
}

// --- Names ---------------------------------------------------------------------------------------

/// Returns the words of a text that begin with a prefix.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with(prefix)).collect()
}

#[test]
fn environment_variables_are_those_of_flags() {
    let variables: BTreeSet<String> = FLAGS.iter().map(Flag::environment_variable).collect();
    for page in user_documents() {
        for name in words(&page.text, "ECS_DISCOVERY_").into_iter().filter(|name| *name != "ECS_DISCOVERY_") {
            assert!(variables.contains(name), "{}: {name}", page.path);
        }
    }
}

#[test]
fn flags_in_the_text_exist() {
    for page in user_documents() {
        let spans = page.prose().flat_map(|line| line.split('`').skip(1).step_by(2));
        for span in spans.filter_map(|span| span.strip_prefix('-')) {
            let name: String = span.chars().take_while(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
            let ours = ["config.", "web.", "log."].iter().any(|prefix| name.starts_with(prefix));
            let known = FLAGS.iter().any(|flag| flag.name == name);
            assert!(!ours || known, "{}: -{name}", page.path);
        }
    }
}

#[test]
fn paths_in_the_text_exist() {
    let folders = ["src/", "tests/", "examples/", "docs/"];
    for page in pages::all().iter().filter(|page| !page.path.starts_with("examples/")) {
        let spans = page.prose().flat_map(|line| line.split('`').skip(1).step_by(2));
        let paths =
            spans.filter(|span| folders.iter().any(|folder| span.starts_with(folder)) && !span.contains([' ', '*']));
        for path in paths.filter(|path| !path.chars().any(|c| c.is_ascii_uppercase())) {
            assert!(pages::exists(path), "{}: {path}", page.path);
        }
    }
}

#[test]
fn metrics_in_the_text_and_in_the_alerts_exist() {
    let metrics = code::metrics();
    let examples = ["examples/alerts.yml", "examples/alerts_test.yml"].map(|path| (path, pages::file(path)));
    let documents = user_documents().map(|page| (page.path.as_str(), page.text.clone()));
    for (path, text) in documents.chain(examples) {
        for name in words(&text, "ecs_discovery_") {
            assert!(metrics.contains(&format!("# TYPE {name} ")), "{path}: {name}");
        }
    }
}

#[test]
fn every_label_of_the_native_discovery_is_ours_too() {
    let tables = page("docs/output.md").tables();
    let rows = tables.iter().find(|table| table[0][0] == "label" && table[0][2] == "whose").unwrap();
    let marked: Vec<&str> =
        rows.iter().filter(|row| row[2].starts_with("native")).map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(marked, blocks::native_labels());
}

#[test]
fn the_relabelling_example_uses_documented_labels() {
    for name in words(&pages::file("examples/relabel.yml"), "__meta_ecs_") {
        assert!(page("docs/output.md").text.contains(&format!("| `{name}")), "{name}");
    }
}

#[test]
fn images_have_the_version_of_the_package() {
    for page in user_documents() {
        for rest in page.text.split("ecs-discovery:").skip(1) {
            let tag = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').next().unwrap();
            assert!(tag.is_empty() || tag == env!("CARGO_PKG_VERSION"), "{}: ecs-discovery:{tag}", page.path);
        }
    }
}

// --- The pages -----------------------------------------------------------------------------------

/// Returns the path of a link's target, from the root of the repository.
fn resolve(page: &Page, link: &str) -> String {
    let mut path = PathBuf::from(&page.path);
    path.pop();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{}: {link} leaves the repository", page.path),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path.to_string_lossy().into_owned()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages::all() {
        for link in page.links().iter().filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { page.path.clone() } else { resolve(page, file) };
            let target = pages::all().iter().find(|page| page.path == path);
            let found = match (target, anchor) {
                (_, "") => pages::exists(&path),
                (Some(target), anchor) => target.anchors().contains(anchor),
                (None, _) => false,
            };
            if !found {
                broken.push(format!("{}: {link}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn tables_have_as_many_cells_in_every_row() {
    for page in pages::all() {
        for table in page.tables() {
            let width = table[0].len();
            assert!(table.len() > 2 && table[1].iter().all(|cell| cell.contains("---")), "{}: {table:?}", page.path);
            for row in &table {
                assert_eq!(row.len(), width, "{}: {row:?}", page.path);
            }
        }
    }
}

#[test]
fn the_readme_is_short_and_links_to_every_page() {
    let readme = page("README.md");
    let lines = readme.text.lines().count();
    assert!(lines <= LONGEST_README, "README.md has {lines} lines, more than {LONGEST_README}: move some to docs/");
    let links = readme.links();
    for page in pages::all().iter().filter(|page| page.path.starts_with("docs/")) {
        assert!(links.contains(&page.path), "README.md has no link to {}", page.path);
    }
}

#[test]
fn every_example_is_linked() {
    let linked: BTreeSet<String> =
        user_documents().flat_map(|page| page.links().into_iter().map(|link| resolve(page, &link))).collect();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("examples/{name}");
        assert!(!name.ends_with(".yml") || linked.contains(&path), "no document links to {path}");
    }
}
