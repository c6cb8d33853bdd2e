//! Upgrade and downgrade: the files and flags of every earlier state start this program without losing a target, and its own files
//! start the program before it.
//!
//! Each directory in `upgrade/` is a state; `upgrade/README.md` says what is in it and how a release adds one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ecs_discovery::aws::rewrite_cache_file;
use ecs_discovery::file_sd::{Format, TargetGroup, parse};
use serde::Deserialize;
use serde_json::Value;

use crate::fixtures::{TWO_CLUSTERS, two_clusters};
use crate::harness::{Scene, run_concurrently, text};

/// What one state of the program, or of the original, left behind.
#[derive(Debug)]
struct State {
    name: String,
    flags: Vec<String>,
    file_name: &'static str,
    file: Vec<u8>,
    cache: Option<Vec<u8>>,
}

/// The names that the output file may have in a state.
const FILES: [&str; 2] = ["ecs_file_sd.yml", "ecs_file_sd.json"];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/upgrade")
}

impl State {
    fn read(directory: &Path) -> Self {
        let file_name = FILES.into_iter().find(|name| directory.join(name).exists()).expect("an output file");
        let flags = fs::read_to_string(directory.join("flags")).unwrap();
        Self {
            name: directory.file_name().unwrap().to_string_lossy().into_owned(),
            flags: flags.lines().map(String::from).collect(),
            file_name,
            file: fs::read(directory.join(file_name)).unwrap(),
            cache: fs::read(directory.join("cache")).ok(),
        }
    }

    /// Returns every state, by name.
    fn all() -> Vec<Self> {
        let entries = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
        let mut states: Vec<Self> = entries.filter(|path| path.is_dir()).map(|path| Self::read(&path)).collect();
        states.sort_by(|one, other| one.name.cmp(&other.name));
        assert!(states.len() >= 4, "the states are found");
        states
    }

    /// Returns a scene in which this is what the program finds.
    fn scene(&self) -> Scene {
        let scene = self.flags.iter().fold(Scene::of(two_clusters()), |scene, flag| scene.flag(flag));
        let scene = scene.write_to(self.file_name);
        scene.write_file(&self.file);
        if let Some(cache) = &self.cache {
            fs::write(scene.cache(), cache).unwrap();
        }
        scene
    }

    fn groups(&self) -> Vec<TargetGroup> {
        let mut groups = parse(&self.file, Format::of(self.file_name.as_ref())).unwrap();
        groups.sort();
        groups
    }

    fn cache_version(&self) -> Option<u64> {
        Some(json(self.cache.as_ref()?)["version"].as_u64().unwrap())
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Returns a scene with what this program leaves behind.
fn newest(file_name: &str) -> Scene {
    let mut scene = Scene::of(two_clusters()).flag("-config.cluster=prod,other").write_to(file_name);
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.wait_for_message("cache file written");
    scene.stop();
    scene
}

/// The version of the cache file that this program writes.
fn newest_version() -> u64 {
    json(&fs::read(newest("ecs_file_sd.yml").cache()).unwrap())["version"].as_u64().unwrap()
}

#[test]
fn every_state_starts_during_an_outage_without_losing_a_target() {
    run_concurrently(&State::all(), |state| {
        let mut scene = state.scene().env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
        let reader = scene.reader(&TWO_CLUSTERS);
        scene.start();
        scene.wait_for_refreshes(1);
        reader.stop();
        scene.stop();
        let mut groups = scene.groups();
        groups.sort();
        assert_eq!(groups, state.groups(), "{}: labels are kept too", state.name);
    });
}

#[test]
fn every_state_starts_with_the_same_targets() {
    let newest = newest_version();
    run_concurrently(&State::all(), |state| {
        let mut scene = state.scene();
        let reader = scene.reader(&TWO_CLUSTERS);
        scene.start();
        scene.wait_for_refreshes(2);
        reader.stop();
        scene.wait_for_targets(&TWO_CLUSTERS);
        scene.stop();
        let log = scene.exited().log();
        let ignored = |line: &&Value| text(line, "message").starts_with("cache file ignored");
        let reasons: Vec<&str> = log.iter().filter(ignored).map(|line| text(line, "reason")).collect();
        match state.cache_version() {
            Some(version) if version != newest => {
                assert_eq!(reasons, [format!("version {version} is not supported, only {newest}")], "{}", state.name);
            }
            _ => assert!(reasons.is_empty(), "{}: {reasons:?}", state.name),
        }
    });
}

/// Every program so far reads a cache file only if its version is the program's own, and ignores it otherwise. So the fields of one
/// version must never change.
#[test]
fn cache_file_of_a_version_has_the_same_fields_in_every_state() {
    let scene = newest("ecs_file_sd.yml");
    let newest = fs::read(scene.cache()).unwrap();
    let version = json(&newest)["version"].as_u64();
    assert_eq!(json(&newest)["format"], "ecs-discovery cache");
    for state in State::all() {
        if let Some(cache) = state.cache.filter(|cache| json(cache)["version"].as_u64() == version) {
            assert_eq!(fields(&json(&cache)), fields(&json(&newest)), "{}", state.name);
            assert_eq!(rewrite_cache_file(&cache), Ok(cache), "{}", state.name);
        }
    }
}

/// Returns where there are which kinds of values. Keys with a colon are ARNs.
fn fields(value: &Value) -> BTreeMap<String, &'static str> {
    let mut found = BTreeMap::new();
    collect(value, String::new(), &mut found);
    found
}

fn collect(value: &Value, place: String, found: &mut BTreeMap<String, &'static str>) {
    let kind = match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = if name.contains(':') { "ARN" } else { name };
                collect(member, format!("{place}/{name}"), found);
            }
            "object"
        }
        Value::Array(items) => {
            items.iter().for_each(|item| collect(item, format!("{place}/*"), found));
            "list"
        }
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "nothing",
    };
    found.insert(place, kind);
}

/// What the first version of this program, and every later one, accepts in an output file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstGroup {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

#[test]
fn earlier_programs_can_read_the_newest_file() {
    for name in FILES {
        let bytes = newest(name).bytes().unwrap();
        // YAML in either case: the first version's parser of YAML reads JSON too.
        let groups: Vec<FirstGroup> = serde_yaml::from_slice(&bytes).unwrap();
        let mut targets: Vec<&str> = groups.iter().flat_map(|group| &group.targets).map(String::as_str).collect();
        targets.sort_unstable();
        assert_eq!(
            targets,
            TWO_CLUSTERS.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        );
        for group in groups {
            assert!(group.targets.len() == 1 && group.labels.contains_key("task_arn"), "{:?}", group.labels);
            assert!(group.labels.contains_key("cluster_arn"), "{:?}", group.labels);
        }
    }
}

/// Runs only if the environment names an earlier program.
#[test]
fn previous_program_starts_on_the_newest_files() {
    let Some(previous) = std::env::var_os("PREVIOUS_PROGRAM") else { return };
    for name in FILES {
        let scene = newest(name);
        let before = scene.bytes();
        let mut scene = scene.with_binary(previous.clone()).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
        scene = scene.flag("-config.scrape-times=2");
        assert_eq!(scene.run().code, Some(1), "no refresh succeeds");
        assert_eq!(scene.bytes(), before, "{name}");
        let url = scene.aws.url();
        let mut scene = scene.env("AWS_ENDPOINT_URL", &url);
        let exited = scene.run();
        assert_eq!(exited.code, Some(0), "{}", exited.stderr);
        scene.wait_for_targets(&TWO_CLUSTERS);
    }
}

/// Records a new state if the environment names one: that of this program, or of an earlier one if the environment names that too.
#[test]
fn state_is_recorded_on_request() {
    let Some(name) = std::env::var_os("RECORD_STATE") else { return };
    let mut scene = Scene::of(two_clusters()).flag("-config.cluster=prod,other").flag("-config.scrape-times=2");
    if let Some(previous) = std::env::var_os("PREVIOUS_PROGRAM") {
        scene = scene.with_binary(previous);
    }
    assert_eq!(scene.run().code, Some(0));
    scene.wait_for_targets(&TWO_CLUSTERS);
    let directory = directory().join(name);
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("flags"), "-config.cluster=prod,other\n").unwrap();
    fs::copy(scene.file(), directory.join(FILES[0])).unwrap();
    if scene.cache().exists() {
        fs::copy(scene.cache(), directory.join("cache")).unwrap();
    }
}
