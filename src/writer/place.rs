//! Where a file is: its name, in a directory that is held open.
//!
//! Others may write to the directory. Whatever they put in the file's place, or in that of the directory, nothing outside
//! of the directory is read or written.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::open::{self, Links};
use super::temporary::directory;

/// The longest chain of symlinks that is followed, as in Linux (`ELOOP`).
const LONGEST_LINK_CHAIN: usize = 40;

/// The place of a file, which may not exist.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory that nothing may lead out of, without links.
    top: PathBuf,
    directory: Directory,
    name: OsString,
}

/// A directory.
#[derive(Debug)]
struct Directory {
    /// Holds it open for as long as its path by the descriptor is used.
    _file: File,
    /// Its path without links.
    real: PathBuf,
    /// A path that leads to it even if something else is put in its place.
    held: PathBuf,
}

/// Why there is no place.
#[derive(Debug)]
pub(super) enum NoPlace {
    /// The directory cannot be opened.
    Directory(io::Error),
    /// A link is not followed.
    Link(io::Error),
}

impl Place {
    /// Finds the place of the file at this path. A symlink is followed if it leads to a file in the same directory or
    /// below; one that leads to a file elsewhere, or to none, is itself in the place of the file.
    pub(super) fn of(path: &Path, links: Links) -> Result<Self, NoPlace> {
        let directory = Directory::open(directory(path)).map_err(NoPlace::Directory)?;
        let mut place = Self { top: directory.real.clone(), directory, name: name(path)? };
        for _ in 0..LONGEST_LINK_CHAIN {
            match (fs::read_link(place.path()), links) {
                (Err(_), _) => return Ok(place),
                (Ok(_), Links::Refuse) => return Err(NoPlace::Link(open::is_a_link())),
                (Ok(target), Links::Follow) => match place.follow(&target)? {
                    Some(next) => place = next,
                    None => return Ok(place),
                },
            }
        }
        Err(NoPlace::Link(io::Error::other("too many symbolic links")))
    }

    /// Returns where a link leads, unless that is elsewhere.
    fn follow(&self, target: &Path) -> Result<Option<Self>, NoPlace> {
        let path = self.directory.real.join(target);
        let directory = Directory::open(directory(&path)).map_err(NoPlace::Directory)?;
        if !directory.real.starts_with(&self.top) {
            // `/dev/stderr` must not become a file.
            let is_file = fs::metadata(self.path()).map_or(true, |metadata| metadata.is_file());
            return if is_file { Ok(None) } else { Err(NoPlace::Link(open::not_a_regular_file())) };
        }
        Ok(Some(Self { top: self.top.clone(), directory, name: name(&path)? }))
    }

    /// Returns a path to the file, for as long as the place is held.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.held.join(&self.name)
    }

    /// Returns the path of the file for display.
    pub(super) fn shown(&self) -> PathBuf {
        self.directory.real.join(&self.name)
    }

    /// Returns the path of its directory, for display.
    pub(super) fn directory(&self) -> &Path {
        &self.directory.real
    }

    /// Returns the directory that nothing may lead out of, without links.
    pub(super) fn top(&self) -> &Path {
        &self.top
    }
}

impl Directory {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = (OFlags::PATH | OFlags::DIRECTORY).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let held = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok(match fs::read_link(&held) {
            Ok(real) => Self { _file: file, real, held },
            // Without /proc, the path has to do.
            Err(_) => {
                let real = fs::canonicalize(path)?;
                Self { _file: file, held: real.clone(), real }
            }
        })
    }
}

fn name(path: &Path) -> Result<OsString, NoPlace> {
    let name = path.file_name().map(OsStr::to_owned);
    name.ok_or_else(|| NoPlace::Link(io::Error::other("a path without the name of a file")))
}
