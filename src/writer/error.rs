//! Why a file could not be written, with what to do about it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a file could not be written. The old file is unchanged, unless it was overwritten in place.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}{}", path.display(), hint.as_deref().unwrap_or_default())]
pub struct WriteError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
    hint: Option<String>,
}

impl WriteError {
    /// Returns an error for an output that is not a file.
    pub fn other(action: &'static str, what: &str, source: io::Error) -> Self {
        Self { action, path: what.into(), source, hint: None }
    }

    /// Returns the kind of the underlying error.
    pub(super) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Returns whether the error of a creation or a rename means that the file can never be replaced: the directory may
    /// not be written (`EACCES`, `EROFS`), it is sticky (`EPERM`), or the file is a mount point (`EBUSY`).
    pub(super) fn rules_out_replacement(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
        matches!(self.kind(), PermissionDenied | ReadOnlyFilesystem | ResourceBusy)
    }
}

/// Returns an error of an action on a file.
pub(super) fn cannot(action: &'static str, path: &Path, source: io::Error) -> WriteError {
    WriteError { action, path: path.to_owned(), source, hint: None }
}

/// Returns an error with a hint; for a lack of permission with the directory's owner and our own user.
pub(super) fn cannot_create(directory: &Path, source: io::Error) -> WriteError {
    let hint = match fs::metadata(directory) {
        Ok(owner) if source.kind() == io::ErrorKind::PermissionDenied => Some(format!(
            ". The directory belongs to uid {} gid {} with mode {:04o}; this process runs as uid {} gid {}. \
             Mount the volume at /output, which the image prepares for it, or run the container with \"user\": \"0\"",
            owner.uid(),
            owner.gid(),
            owner.mode() & 0o7777,
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(". The directory does not exist: create it or mount a volume there".to_owned())
        }
        _ if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            Some(". Use a path on a volume: -config.write-to=/output/ecs_file_sd.yml".to_owned())
        }
        _ => None,
    };
    // The library's error contains the random name, which would make every log line different.
    let source = io::Error::from(source.kind());
    WriteError { action: "create a file in", path: directory.to_owned(), source, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_directory_has_a_hint() {
        let error = cannot_create(Path::new("/"), io::ErrorKind::ReadOnlyFilesystem.into()).to_string();
        assert!(error.starts_with("cannot create a file in /: read-only"), "{error}");
        assert!(error.ends_with(". Use a path on a volume: -config.write-to=/output/ecs_file_sd.yml"), "{error}");
    }
}
