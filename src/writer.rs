//! Replaces a file so that no reader ever sees a part of it. Knows a path and bytes, and not what they mean.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::{Builder, NamedTempFile};

/// A file larger than this was not written by us (100,000 targets take about 60 MB).
pub const LARGEST_FILE: u64 = 96 << 20;

/// The mode of a file that others read: Prometheus runs as another user.
const SHARED: u32 = 0o644;

/// The mode of a file that nobody else needs.
const PRIVATE: u32 = 0o600;

/// A symlink that leads through more links than this leads in a circle (Linux: `ELOOP`).
const LONGEST_LINK_CHAIN: usize = 40;

/// The end of a temporary file's name. Prometheus takes only `.yml`, `.yaml` and `.json`, so none of its
/// globs can match it.
const TEMPORARY: &str = ".tmp";

/// How much of a file is read or written at a time.
const BUFFER: usize = 64 << 10;

/// How many random characters there are in a temporary file's name.
const RANDOM: usize = 6;

/// Writes what a file is to hold.
pub type Content<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The file was replaced.
    Replaced,
    /// The file had these bytes already.
    Unchanged,
}

/// What differs once anybody has written to a file, or put another one in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    place: (u64, u64),
    size: u64,
    /// When it or what is said of it was last changed: nobody can set that.
    changed: (i64, i64),
}

/// Why the file could not be written. The old one is untouched.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}{}", path.display(), hint.as_deref().unwrap_or_default())]
pub struct WriteError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
    hint: Option<String>,
}

impl WriteError {
    /// For what is not a file.
    pub fn other(action: &'static str, what: &str, source: io::Error) -> Self {
        Self { action, path: what.into(), source, hint: None }
    }
}

/// A file to be replaced.
#[derive(Clone, Debug)]
pub struct FileWriter {
    path: PathBuf,
    /// The mode of a new file, within the umask.
    mode: u32,
}

impl FileWriter {
    /// For the file at this path. A symlink there is followed at each write, and stays.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: SHARED }
    }

    /// For a file that only this program reads.
    pub fn private(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: PRIVATE }
    }

    /// What the file holds now; none where there is no file.
    pub fn read(&self) -> Result<Option<Vec<u8>>, WriteError> {
        let unreadable = |source| failed("read", &self.path, source);
        let metadata = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(unreadable)?,
        };
        if !metadata.is_file() {
            return Err(unreadable(io::Error::other("it is not a regular file")));
        }
        if metadata.len() > LARGEST_FILE {
            return Err(unreadable(io::Error::other(format!("it has {} bytes", metadata.len()))));
        }
        fs::read(&self.path).map(Some).map_err(unreadable)
    }

    /// Makes the file hold what `content` writes, the same each time it is called. Where the file holds that
    /// already, only its modification time is moved (if `touch`): Prometheus exports it, and people alert on it.
    pub fn write(&self, content: Content<'_>, touch: bool) -> Result<Written, WriteError> {
        let path = self.behind_links()?;
        if holds(&path, content) && (!touch || move_modification_time(&path).is_ok()) {
            return Ok(Written::Unchanged);
        }
        self.replace(&path, content)?;
        Ok(Written::Replaced)
    }

    /// By what a change of the file shows; none where there is no file.
    pub fn stamp(&self) -> Option<Stamp> {
        let file = fs::metadata(&self.path).ok()?;
        Some(Stamp { place: (file.dev(), file.ino()), size: file.size(), changed: (file.ctime(), file.ctime_nsec()) })
    }

    /// Moves the file's modification time. Whether that went well.
    pub fn touch(&self) -> bool {
        move_modification_time(&self.path).is_ok()
    }

    /// Removes the temporary files of a predecessor that was killed while it wrote. Returns how many.
    pub fn remove_leftovers(&self) -> usize {
        let Ok(path) = self.behind_links() else { return 0 };
        let prefix = temporary_prefix(&path);
        let entries = fs::read_dir(directory(&path)).into_iter().flatten().flatten();
        let leftovers = entries.filter(|entry| is_temporary(&entry.file_name(), &prefix));
        leftovers.filter(|entry| fs::remove_file(entry.path()).is_ok()).count()
    }

    /// The file that the path leads to, whether it exists or not.
    fn behind_links(&self) -> Result<PathBuf, WriteError> {
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
            return Err(failed("replace", path, io::Error::other("it is not a regular file")));
        }
        // In the same directory: a rename is atomic only within a file system, and with a read-only root
        // the volume is the only place to write to. Dropping it removes it, on every failing path.
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

/// Says what to do; and whose the directory is and who we are, where that is the reason.
fn cannot_create(directory: &Path, source: io::Error) -> WriteError {
    let hint = match fs::metadata(directory) {
        Ok(owner) if source.kind() == io::ErrorKind::PermissionDenied => Some(format!(
            ". The directory belongs to uid {} gid {} with mode {:04o}, and we are uid {} gid {}. \
             Mount the volume at /output, which the image has made ours, or run the container with \"user\": \"0\"",
            owner.uid(),
            owner.gid(),
            owner.mode() & 0o7777,
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(". The directory does not exist: mount a volume there, or create it".to_owned())
        }
        _ if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            Some(". Name a path on a volume: -config.write-to=/output/ecs_file_sd.yml".to_owned())
        }
        _ => None,
    };
    // The library's error holds the temporary name, which would make every line differ.
    let source = io::Error::from(source.kind());
    WriteError { action: "create a file in", path: directory.to_owned(), source, hint }
}

fn fill(temporary: &mut NamedTempFile, content: Content<'_>, old: Option<fs::Metadata>) -> io::Result<()> {
    // To the file itself: the library's own error would hold the temporary name.
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

/// Takes what is written only as long as it is what a file holds.
struct Comparison<'a>(&'a mut BufReader<File>);

impl Write for Comparison<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let old = self.0.fill_buf()?;
        let count = old.len().min(bytes.len());
        if count < bytes.len().min(1) || old[..count] != bytes[..count] {
            return Err(io::Error::other("it holds something else"));
        }
        self.0.consume(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn move_modification_time(path: &Path) -> io::Result<()> {
    File::open(path)?.set_modified(SystemTime::now())
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// `.NAME.`, so that only our own temporary files for this very file look like ours.
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
    fn a_read_only_root_is_told_where_to_write() {
        let error = cannot_create(Path::new("/"), io::ErrorKind::ReadOnlyFilesystem.into()).to_string();
        assert!(error.starts_with("cannot create a file in /: read-only"), "{error}");
        assert!(error.ends_with(". Name a path on a volume: -config.write-to=/output/ecs_file_sd.yml"), "{error}");
    }
}
