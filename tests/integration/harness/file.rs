//! The output file of the program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use ecs_discovery::file_sd::{self, Format, TargetGroup};

use super::{Reader, Scene, wait_until};

impl Scene {
    /// Returns the path of the output file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the path of the cache file, which is beside the output file.
    pub(crate) fn cache(&self) -> PathBuf {
        let name = self.file.file_name().unwrap().to_str().unwrap();
        self.file.with_file_name(format!(".{name}.cache"))
    }

    /// Writes an output file for the program to find.
    pub(crate) fn write_file(&self, bytes: impl AsRef<[u8]>) {
        fs::write(&self.file, bytes).unwrap();
    }

    /// Returns the bytes of the output file, if it exists.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        match fs::read(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            bytes => Some(bytes.unwrap()),
        }
    }

    /// Returns the target groups in the output file. The parser is strict.
    pub(crate) fn groups(&self) -> Vec<TargetGroup> {
        self.bytes().map_or_else(Vec::new, |bytes| file_sd::parse(&bytes, Format::of(&self.file)).unwrap())
    }

    /// Returns the targets in the output file.
    pub(crate) fn targets(&self) -> BTreeSet<String> {
        self.groups().iter().flat_map(|group| &*group.targets).map(|target| target.to_string()).collect()
    }

    /// Waits until the output file has exactly these targets.
    pub(crate) fn wait_for_targets(&self, targets: &[&str]) {
        let wanted: BTreeSet<String> = targets.iter().map(|&target| target.to_owned()).collect();
        wait_until(&format!("the file has {wanted:?}"), || self.bytes().is_some() && self.targets() == wanted);
    }

    /// Starts to read the output file in a loop. From now on, every read must give a complete file with these targets.
    pub(crate) fn reader(&self, targets: &[&str]) -> Reader {
        Reader::start(&self.file, targets)
    }

    /// Checks that the directory holds only the output file and the cache file.
    pub(crate) fn assert_no_temporary_files(&self) {
        let names: Vec<_> = fs::read_dir(self.directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let ours = [&self.file, &self.cache()];
        assert!(names.iter().all(|name| ours.contains(&name)), "other files: {names:?}");
    }
}
