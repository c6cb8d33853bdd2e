//! The folders of golden worlds, and one test for each.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

use super::report::Report;

/// The files that a world may have. Any other is refused: a misspelt name would be an expectation that nobody checks.
const FILES: [&str; 5] = ["args", "calls", "expected.yml", "skipped", "world.json"];

/// One golden world.
pub(crate) struct World {
    /// What AWS holds.
    pub(crate) aws: simaws::World,
    /// The flags of the program.
    pub(crate) args: Vec<OsString>,
    directory: PathBuf,
}

/// Runs one test per world, named `subject::world` and labelled with the half that it tests.
pub(crate) fn run(half: &str, check: fn(&World, &mut Report)) -> libtest_mimic::Conclusion {
    let root = root();
    let mut trials: Vec<Trial> = Vec::new();
    for subject in directories(&root) {
        for directory in directories(&subject) {
            let name = format!("{}::{}", name_of(&subject), name_of(&directory));
            trials.push(Trial::test(name.clone(), move || checked(&name, directory, check)).with_kind(half));
        }
    }
    assert!(!trials.is_empty(), "no golden world in {}", root.display());
    libtest_mimic::run(&Arguments::from_args(), trials)
}

fn checked(name: &str, directory: PathBuf, check: fn(&World, &mut Report)) -> Result<(), Failed> {
    let mut report = Report::new(name, &shown(&directory));
    match World::read(directory) {
        Ok(world) => check(&world, &mut report),
        Err(error) => report.problem(&error),
    }
    report.finish()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/worlds")
}

/// The path from the root of the repository.
fn shown(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display().to_string()
}

/// The folders in a folder, by name. Nothing else may be there.
fn directories(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    if let Some(file) = found.iter().find(|path| !path.is_dir()) {
        panic!("{} is not the folder of a golden world", shown(file));
    }
    assert!(!found.is_empty(), "{} is empty", shown(path));
    found.sort_unstable();
    found
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap()
}

impl World {
    fn read(directory: PathBuf) -> Result<Self, String> {
        for entry in fs::read_dir(&directory).unwrap() {
            let file = entry.unwrap().file_name();
            if !FILES.iter().any(|known| file == *known) {
                return Err(format!("unknown file {file:?}; a world has only {FILES:?}"));
            }
        }
        let json = read(&directory.join("world.json")).ok_or("world.json is missing")?;
        let args = read(&directory.join("args")).unwrap_or_else(|| "-config.cluster=prod\n".to_owned());
        Ok(Self {
            aws: simaws::World::from_json(&json).map_err(|error| format!("world.json: {error}"))?,
            args: args.lines().map(OsString::from).collect(),
            directory,
        })
    }

    /// Returns the text of one of the world's files.
    pub(crate) fn text(&self, file: &str) -> Option<String> {
        read(&self.directory.join(file))
    }

    /// Replaces the text of one of the world's files; a file without text is removed.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.directory.join(file);
        match text {
            "" if path.exists() => fs::remove_file(path).unwrap(),
            "" => {}
            text => fs::write(path, text).unwrap(),
        }
    }
}

fn read(path: &Path) -> Option<String> {
    match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
