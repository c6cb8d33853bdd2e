//! A file to be replaced.

use std::fmt;
use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tempfile::PersistError;

use super::content::{Content, holds};
use super::error::{WriteError, cannot, cannot_create};
use super::in_place::overwrite;
use super::open::{self, Links};
use super::ownership::{self, LostAccess, Ownership};
use super::place::{NoPlace, Place};
use super::temporary::{create_temporary, directory, remove_temporaries};

/// The largest file that is read. Larger ones were not written by this program (100,000 targets take about 60 MB).
pub const LARGEST_FILE: u64 = 96 << 20;

/// The same for a private file (10,000 task definitions take about 10 MB).
const LARGEST_PRIVATE_FILE: u64 = 32 << 20;

/// The mode of a file that others read: Prometheus may run as another user.
const SHARED: u32 = 0o644;

/// The mode of a file that only this program reads.
const PRIVATE: u32 = 0o600;

/// The size of the buffer for writing.
const BUFFER: usize = 64 << 10;

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The file was replaced; `Some` if readers of the old file may not read the new one.
    Replaced(Option<LostAccess>),
    /// The file cannot be replaced and was overwritten in place, so that readers may have seen a part of it.
    InPlace(io::ErrorKind),
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

/// Replaces one file.
#[derive(Clone, Debug)]
pub struct FileWriter {
    path: PathBuf,
    audience: Audience,
    /// The directory of the path when it was first used, without links.
    home: Arc<OnceLock<PathBuf>>,
}

/// Who uses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    /// Others read it.
    Everyone,
    /// Only this program uses it, and others must not be able to put something in its place.
    Ourselves,
}

impl FileWriter {
    /// Returns a writer for the file at this path. A symlink is followed at each write, and stays, unless it leads out of
    /// the directory: then it is replaced.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), audience: Audience::Everyone, home: Arc::default() }
    }

    /// Returns a writer for a file that only this program uses. A symlink there is an error, and so is the content of a
    /// file that somebody else can write.
    pub fn private(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), audience: Audience::Ourselves, home: Arc::default() }
    }

    /// Returns the file's content; `None` without a file.
    pub fn read(&self) -> Result<Option<Vec<u8>>, WriteError> {
        let cannot_read = |source| cannot("read", &self.path, source);
        let place = match self.place() {
            Err(NoPlace::Directory(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            place => place.map_err(|(NoPlace::Directory(error) | NoPlace::Link(error))| cannot_read(error))?,
        };
        let file = match open::for_reading(&place.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(cannot_read)?,
        };
        let metadata = file.metadata().map_err(cannot_read)?;
        if self.audience == Audience::Ourselves && !ownership::is_trusted(&metadata) {
            return Err(cannot_read(ownership::untrusted(&metadata)));
        }
        let mut bytes = Vec::new();
        // One byte more than allowed shows that the file is larger, even if it grows meanwhile.
        let largest = if self.audience == Audience::Everyone { LARGEST_FILE } else { LARGEST_PRIVATE_FILE };
        if metadata.len() <= largest {
            file.take(largest + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
        }
        let size = metadata.len().max(bytes.len() as u64);
        if size > largest { Err(cannot_read(open::too_large(size))) } else { Ok(Some(bytes)) }
    }

    /// Makes the file hold what `content` writes, which must be the same at each call. A file with this content already
    /// is not replaced.
    pub fn write(&self, content: Content<'_>, if_unchanged: IfUnchanged) -> Result<Written, WriteError> {
        let place = self.place().map_err(|why| self.cannot_find(why))?;
        if self.holds(&place, content) && (if_unchanged == IfUnchanged::Leave || open::touch(&place.path()).is_ok()) {
            return Ok(Written::Unchanged);
        }
        self.replace(&place, content)
    }

    /// Returns the file's stamp; `None` without a file.
    pub fn stamp(&self) -> Option<Stamp> {
        let file = fs::symlink_metadata(self.place().ok()?.path()).ok()?;
        Some(Stamp { inode: (file.dev(), file.ino()), size: file.size(), changed: (file.ctime(), file.ctime_nsec()) })
    }

    /// Sets the file's modification time to now.
    pub fn touch(&self) -> io::Result<()> {
        match self.place() {
            Ok(place) => open::touch(&place.path()),
            Err(NoPlace::Directory(error) | NoPlace::Link(error)) => Err(error),
        }
    }

    /// Removes the temporary files of a predecessor that was killed while it wrote. Returns how many.
    pub fn remove_leftovers(&self) -> usize {
        self.place().map_or(0, |place| remove_temporaries(&place.path()))
    }

    /// Finds the file. The directory must be the same each time: others may be able to put a link in its place.
    fn place(&self) -> Result<Place, NoPlace> {
        let links = if self.audience == Audience::Everyone { Links::Follow } else { Links::Refuse };
        let place = Place::of(&self.path, links)?;
        let home = self.home.get_or_init(|| place.top().to_owned());
        if place.top() == home { Ok(place) } else { Err(NoPlace::Link(open::is_elsewhere(place.top()))) }
    }

    fn cannot_find(&self, why: NoPlace) -> WriteError {
        match why {
            NoPlace::Directory(error) => cannot_create(directory(&self.path), error),
            NoPlace::Link(error) => cannot("replace", &self.path, error),
        }
    }

    fn holds(&self, place: &Place, content: Content<'_>) -> bool {
        let Ok(file) = open::for_reading(&place.path()) else { return false };
        let is_ours = || file.metadata().is_ok_and(|metadata| ownership::is_trusted(&metadata));
        (self.audience == Audience::Everyone || is_ours()) && holds(&file, content)
    }

    fn replace(&self, place: &Place, content: Content<'_>) -> Result<Written, WriteError> {
        let (path, shown) = (&place.path(), &place.shown());
        // A link is replaced and not its file: it leads elsewhere.
        let old = fs::symlink_metadata(path).ok().filter(|old| !old.is_symlink());
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            return Err(cannot("replace", shown, open::not_a_regular_file()));
        }
        let mode = if self.audience == Audience::Everyone { SHARED } else { PRIVATE };
        let mut temporary = match create_temporary(path, mode) {
            Ok(temporary) => temporary,
            Err(error) => return self.in_place(place, content, cannot_create(place.directory(), error)),
        };
        let filled = |source| cannot("write the new", shown, source);
        // Through the file itself, because errors of the library's wrapper contain the random name.
        let mut file = BufWriter::with_capacity(BUFFER, temporary.as_file_mut());
        content(&mut file).and_then(|()| file.flush()).map_err(filled)?;
        drop(file);
        let inherited = old.map(|old| Ownership::of(&old)).filter(|_| self.audience == Audience::Everyone);
        let lost = inherited.map(|old| old.pass_on(temporary.as_file())).transpose().map_err(filled)?.flatten();
        temporary.as_file().sync_all().map_err(filled)?;
        match temporary.persist(path) {
            Ok(_) => Ok(Written::Replaced(lost)),
            Err(PersistError { error, file }) => {
                drop(file);
                self.in_place(place, content, cannot("replace", shown, error))
            }
        }
    }

    /// Overwrites the file in place if this error means that it can never be replaced. Returns the error otherwise.
    fn in_place(&self, place: &Place, content: Content<'_>, error: WriteError) -> Result<Written, WriteError> {
        // A file that others can write, which is often the reason, is of no use to ourselves.
        if self.audience == Audience::Ourselves || !error.rules_out_replacement() {
            return Err(error);
        }
        let Ok(file) = open::for_overwriting(&place.path()) else { return Err(error) };
        // In a directory that others can write, another name of a file elsewhere. Nobody can make a mount point of one.
        let has_other_names = file.metadata().map_or(true, |metadata| metadata.nlink() > 1);
        if has_other_names && error.kind() == io::ErrorKind::PermissionDenied {
            return Err(error);
        }
        overwrite(&file, content).map_err(|source| cannot("overwrite", &place.shown(), source))?;
        Ok(Written::InPlace(error.kind()))
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaced(_) => "replaced",
            Self::InPlace(_) => "in_place",
            Self::Unchanged => "unchanged",
        })
    }
}
