//! The wall clock of the program, which jumps. Setting that of the machine would need privileges and disturb others, so
//! libfaketime gives the program another one, where it is installed. Its monotonic clock stays as it is.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

/// Where Debian's package `faketime` has the library, after the directory of an architecture.
const LIBRARY: &str = "faketime/libfaketime.so.1";

/// The library, and the file that tells it the time.
pub(crate) struct Clock {
    library: PathBuf,
    directory: TempDir,
}

impl Clock {
    /// Returns a clock that is right, or nothing if the library is missing.
    pub(crate) fn new() -> Result<Option<Self>, String> {
        let architectures = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let mut libraries = architectures.map(|architecture| architecture.path().join(LIBRARY));
        let Some(library) = libraries.find(|library| library.is_file()) else { return Ok(None) };
        let clock = Self { library, directory: tempfile::tempdir().map_err(|error| error.to_string())? };
        clock.set(0)?;
        Ok(Some(clock))
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("clock")
    }

    /// Sets the clock this many seconds ahead, or back. The program notices within a second.
    pub(crate) fn set(&self, seconds: i64) -> Result<(), String> {
        // Replaced, because the library must not read half of it.
        let (new, file) = (self.directory.path().join("new"), self.file());
        let set = fs::write(&new, format!("{seconds:+}s\n")).and_then(|()| fs::rename(&new, &file));
        set.map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Returns the environment of a program that has this clock.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 5] {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.file()),
            ("FAKETIME_CACHE_DURATION", "1".into()),
            ("DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }
}
