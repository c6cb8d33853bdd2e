//! The temporary files that replace a file.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

/// The suffix of temporary files. Prometheus accepts only `.yml`, `.yaml` and `.json`, so none of its globs can match
/// them.
const SUFFIX: &str = ".tmp";

/// The number of random characters in a temporary file's name.
const RANDOM: usize = 6;

/// Creates a file to replace the one at this path. Dropping it removes it.
pub(super) fn create_temporary(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    Builder::new()
        .prefix(&prefix(path))
        .suffix(SUFFIX)
        .rand_bytes(RANDOM)
        .permissions(Permissions::from_mode(mode))
        // In the same directory, because rename works only within a file system.
        .tempfile_in(directory(path))
}

/// Removes temporary files for this path. Returns how many.
pub(super) fn remove_temporaries(path: &Path) -> usize {
    let prefix = prefix(path);
    let entries = fs::read_dir(directory(path)).into_iter().flatten().flatten();
    let temporaries = entries.filter(|entry| is_temporary(&entry.file_name(), &prefix));
    temporaries.filter(|entry| fs::remove_file(entry.path()).is_ok()).count()
}

/// Returns `.NAME.`, so that temporary files of other files are not taken for ours.
fn prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

fn is_temporary(name: &OsStr, prefix: &OsStr) -> bool {
    let random = name.as_bytes().strip_prefix(prefix.as_bytes()).and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
    random.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric))
}

/// Returns the directory of a path.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
