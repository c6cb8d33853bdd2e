//! The directories of golden worlds.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ecs_discovery::cli::{self, Parsed};
use ecs_discovery::config::Config;

/// The files that a world may have: a misspelt one would be a statement that nobody tests.
const FILES: [&str; 5] = ["args", "calls", "expected.yml", "skipped", "world.json"];

/// A golden world.
pub(crate) struct World {
    /// The sentence that it states.
    pub(crate) name: String,
    /// What there is in AWS.
    pub(crate) aws: simaws::World,
    /// The flags.
    pub(crate) args: Vec<String>,
    /// The output.
    pub(crate) expected: String,
    /// The containers that are no targets.
    pub(crate) skipped: String,
    /// Every call that is made, where the sentence is about calls.
    pub(crate) calls: Option<String>,
    directory: PathBuf,
}

/// All golden worlds by name.
pub(crate) fn all() -> Vec<World> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut directories: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    directories.sort_unstable();
    assert!(!directories.is_empty(), "there are no golden worlds");
    directories.into_iter().map(World::read).collect()
}

impl World {
    fn read(directory: PathBuf) -> Self {
        let name = directory.file_name().unwrap().to_str().unwrap().to_owned();
        for entry in fs::read_dir(&directory).unwrap() {
            let file = entry.unwrap().file_name();
            assert!(FILES.iter().any(|known| file == *known), "{name}: what is {file:?}?");
        }
        let text = |file: &str| text(&directory.join(file));
        let aws = text("world.json").unwrap_or_else(|| panic!("{name} has no world.json"));
        let args = text("args").unwrap_or_else(|| "-config.cluster=prod\n".to_owned());
        Self {
            aws: simaws::World::from_json(&aws).unwrap_or_else(|error| panic!("{name}/world.json: {error}")),
            args: args.lines().map(String::from).collect(),
            expected: text("expected.yml").unwrap_or_default(),
            skipped: text("skipped").unwrap_or_default(),
            calls: text("calls"),
            name,
            directory,
        }
    }

    /// The settings that the flags mean.
    pub(crate) fn config(&self) -> Config {
        match cli::parse(self.args.iter().map(Into::into), |_| None) {
            Ok(Parsed::Run(config)) => *config,
            other => panic!("{}: the flags are {other:?}", self.name),
        }
    }

    /// Replaces what is expected. The next step is a review by hand.
    pub(crate) fn rewrite(&self, expected: &str, skipped: &str) {
        fs::write(self.directory.join("expected.yml"), expected).unwrap();
        let file = self.directory.join("skipped");
        match skipped {
            "" if file.exists() => fs::remove_file(file).unwrap(),
            "" => {}
            lines => fs::write(file, lines).unwrap(),
        }
    }
}

fn text(path: &Path) -> Option<String> {
    match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
