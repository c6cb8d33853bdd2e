//! Replaces a file atomically, so that no reader sees a part of it. Knows nothing of the content's meaning.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::{Builder, NamedTempFile};

/// The largest file that is read. Larger ones were not written by this program (100,000 targets take about 60 MB).
pub const LARGEST_FILE: u64 = 96 << 20;

/// The mode of a file that others read: Prometheus may run as another user.
const SHARED: u32 = 0o644;

/// The mode of a file that only this program reads.
const PRIVATE: u32 = 0o600;

/// The longest chain of symlinks that is followed, as in Linux (`ELOOP`).
const LONGEST_LINK_CHAIN: usize = 40;

/// The suffix of temporary files. Prometheus accepts only `.yml`, `.yaml` and `.json`, so none of its globs can match
/// them.
const TEMPORARY: &str = ".tmp";

/// The size of the buffer for reading and writing.
const BUFFER: usize = 64 << 10;

/// The number of random characters in a temporary file's name.
const RANDOM: usize = 6;

/// Writes the new content of a file.
pub type Content<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The file was replaced.
    Replaced,
    /// The file had this content already.
    Unchanged,
}

/// What to do with a file that has the right content already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfUnchanged {
    /// Set its modification time to now: Prometheus exports it, and people alert on it.
    Touch,
    /// Leave it alone.
    Leave,
}

/// Identifies the state of a file: it differs after any write to the file, and for any other file in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: (u64, u64),
    size: u64,
    /// The change time, which, unlike the modification time, no program can set.
    changed: (i64, i64),
}

/// Why a file could not be written. The old file is unchanged.
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
}

/// Replaces one file.
#[derive(Clone, Debug)]
pub struct FileWriter {
    path: PathBuf,
    /// The mode of a new file, before the umask.
    mode: u32,
}

impl FileWriter {
    /// Returns a writer for the file at this path. A symlink is followed at each write, and stays.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: SHARED }
    }

    /// Returns a writer for a file that only this program reads.
    pub fn private(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: PRIVATE }
    }

    /// Returns the file's content; `None` if there is no file.
    pub fn read(&self) -> Result<Option<Vec<u8>>, WriteError> {
        let unreadable = |source| failed("read", &self.path, source);
        let metadata = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(unreadable)?,
        };
        if !metadata.is_file() {
            return Err(unreadable(io::Error::other("not a regular file")));
        }
        if metadata.len() > LARGEST_FILE {
            return Err(unreadable(io::Error::other(format!("too large: {} bytes", metadata.len()))));
        }
        fs::read(&self.path).map(Some).map_err(unreadable)
    }

    /// Makes the file hold what `content` writes, which must be the same at each call. A file with this content already is
    /// not replaced.
    pub fn write(&self, content: Content<'_>, if_unchanged: IfUnchanged) -> Result<Written, WriteError> {
        let path = self.resolved()?;
        if holds(&path, content) && (if_unchanged == IfUnchanged::Leave || touch(&path).is_ok()) {
            return Ok(Written::Unchanged);
        }
        self.replace(&path, content)?;
        Ok(Written::Replaced)
    }

    /// Returns the file's stamp; `None` if there is no file.
    pub fn stamp(&self) -> Option<Stamp> {
        let file = fs::metadata(&self.path).ok()?;
        Some(Stamp { inode: (file.dev(), file.ino()), size: file.size(), changed: (file.ctime(), file.ctime_nsec()) })
    }

    /// Sets the file's modification time to now.
    pub fn touch(&self) -> io::Result<()> {
        touch(&self.path)
    }

    /// Removes the temporary files of a predecessor that was killed while it wrote. Returns how many.
    pub fn remove_leftovers(&self) -> usize {
        let Ok(path) = self.resolved() else { return 0 };
        let prefix = temporary_prefix(&path);
        let entries = fs::read_dir(directory(&path)).into_iter().flatten().flatten();
        let leftovers = entries.filter(|entry| is_temporary(&entry.file_name(), &prefix));
        leftovers.filter(|entry| fs::remove_file(entry.path()).is_ok()).count()
    }

    /// Returns the path with symlinks followed. The file may not exist.
    fn resolved(&self) -> Result<PathBuf, WriteError> {
        let mut path = self.path.clone();
        for _ in 0..LONGEST_LINK_CHAIN {
            match fs::read_link(&path) {
                Ok(target) => path = directory(&path).join(target),
                Err(_) => return Ok(path),
            }
        }
        Err(failed("follow", &self.path, io::Error::other("too many symbolic links")))
    }

    fn replace(&self, path: &Path, content: Content<'_>) -> Result<(), WriteError> {
        let directory = directory(path);
        let old = fs::metadata(path).ok();
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            return Err(failed("replace", path, io::Error::other("not a regular file")));
        }
        // In the same directory, because rename works only within a file system. Dropping the file removes it, whatever
        // fails.
        let mut temporary = Builder::new()
            .prefix(&temporary_prefix(path))
            .suffix(TEMPORARY)
            .rand_bytes(RANDOM)
            .permissions(Permissions::from_mode(self.mode))
            .tempfile_in(directory)
            .map_err(|source| cannot_create(directory, source))?;
        fill(&mut temporary, content, old).map_err(|source| failed("write the new", path, source))?;
        temporary.persist(path).map_err(|error| failed("replace", path, error.error))?;
        Ok(())
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> WriteError {
    WriteError { action, path: path.to_owned(), source, hint: None }
}

/// Returns an error with a hint; for a lack of permission with the directory's owner and our own user.
fn cannot_create(directory: &Path, source: io::Error) -> WriteError {
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

fn fill(temporary: &mut NamedTempFile, content: Content<'_>, old: Option<fs::Metadata>) -> io::Result<()> {
    // Through the file itself, because errors of the library's wrapper contain the random name.
    let mut file = BufWriter::with_capacity(BUFFER, temporary.as_file_mut());
    content(&mut file)?;
    file.flush()?;
    drop(file);
    if let Some(old) = old {
        temporary.as_file().set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
    }
    temporary.as_file().sync_all()
}

fn holds(path: &Path, content: Content<'_>) -> bool {
    let is_file = fs::metadata(path).is_ok_and(|file| file.is_file());
    let Some(file) = is_file.then(|| File::open(path).ok()).flatten() else { return false };
    let mut old = BufReader::with_capacity(BUFFER, file);
    content(&mut Comparison(&mut old)).is_ok() && old.fill_buf().is_ok_and(<[u8]>::is_empty)
}

/// Accepts writes only as long as they equal the content of a file.
struct Comparison<'a>(&'a mut BufReader<File>);

impl Write for Comparison<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let old = self.0.fill_buf()?;
        let count = old.len().min(bytes.len());
        if count < bytes.len().min(1) || old[..count] != bytes[..count] {
            return Err(io::Error::other("different content"));
        }
        self.0.consume(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn touch(path: &Path) -> io::Result<()> {
    File::open(path)?.set_modified(SystemTime::now())
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Returns `.NAME.`, so that temporary files of other files are not taken for ours.
fn temporary_prefix(path: &Path) -> std::ffi::OsString {
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

fn is_temporary(name: &OsStr, prefix: &OsStr) -> bool {
    let random =
        name.as_bytes().strip_prefix(prefix.as_bytes()).and_then(|rest| rest.strip_suffix(TEMPORARY.as_bytes()));
    random.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric))
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
        })
    }
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
