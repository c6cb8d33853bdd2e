//! Compares what a golden world expects with what came out, and says everything that a failing world has to say.

use libtest_mimic::Failed;

use super::diff::diff;
use super::world::World;

/// The problems of one world.
pub(crate) struct Report {
    name: String,
    directory: String,
    problems: Vec<String>,
}

impl Report {
    /// Starts an empty report about the world of this name and folder.
    pub(crate) fn new(name: &str, directory: &str) -> Self {
        Self { name: name.to_owned(), directory: directory.to_owned(), problems: Vec::new() }
    }

    /// Compares a file of the world with what it should hold, or rewrites it when `UPDATE_GOLDEN` is 1.
    pub(crate) fn golden(&mut self, world: &World, file: &str, got: &str) {
        if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
            world.write(file, got);
        }
        self.compare(file, &world.text(file).unwrap_or_default(), got);
    }

    /// Compares two texts.
    pub(crate) fn compare(&mut self, what: &str, expected: &str, got: &str) {
        if expected != got {
            self.problem(&format!("{what} differs (- expected, + got):\n{}", diff(expected, got)));
        }
    }

    /// Adds a problem.
    pub(crate) fn problem(&mut self, text: &str) {
        self.problems.push(text.trim_end().to_owned());
    }

    /// Fails if there were problems.
    pub(crate) fn finish(self) -> Result<(), Failed> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let Self { name, directory, problems } = self;
        // The whole workspace, as everywhere: another selection of packages builds the AWS crates once more.
        let update = format!(
            "UPDATE_GOLDEN=1 cargo test --workspace --test golden_core --test golden_program -- --exact {name}"
        );
        Err(Failed::from(format!(
            "{name} in {directory}\n\n{}\n\nIf the new behaviour is right, update the world and review the change:\n    \
             {update}\n    git diff {directory}\n",
            problems.join("\n\n"),
        )))
    }
}
