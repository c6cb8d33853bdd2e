//! Opens regular files only, and never waits for one: opening a pipe would wait for its other end.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{OFlags, Timespec, Timestamps, UTIME_NOW, futimens};

/// What to do with a symlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    Follow,
    Refuse,
}

/// Opens a regular file for reading, which is no link.
pub(super) fn for_reading(path: &Path) -> io::Result<File> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Err(is_a_link());
    }
    // Before the file is opened, because opening a device may have an effect; and afterwards, for another file may be
    // there by then.
    if !metadata.is_file() {
        return Err(not_a_regular_file());
    }
    open(OpenOptions::new().read(true), path)
}

/// Opens an existing regular file for overwriting, which is no link.
pub(super) fn for_overwriting(path: &Path) -> io::Result<File> {
    open(OpenOptions::new().write(true), path)
}

fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_regular_file()) }
}

/// Sets a file's modification time to now.
pub(super) fn touch(path: &Path) -> io::Result<()> {
    let file = for_reading(path)?;
    // A user who may write the file but does not own it may only set both times at once, and only to now.
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Ok(futimens(&file, &Timestamps { last_access: now, last_modification: now })?)
}

/// Returns the error for something else in a file's place.
pub(super) fn not_a_regular_file() -> io::Error {
    io::Error::other("not a regular file")
}

/// Returns the error for a symlink that is not followed.
pub(super) fn is_a_link() -> io::Error {
    io::Error::other("a symbolic link, which is not followed here")
}

/// Returns the error for another directory than the one that was there before.
pub(super) fn is_elsewhere(directory: &Path) -> io::Error {
    io::Error::other(format!("its directory was replaced by {}", directory.display()))
}

/// Returns the error for a file that is too large to be ours.
pub(super) fn too_large(size: u64) -> io::Error {
    io::Error::other(format!("too large: {size} bytes"))
}
