//! Overwrites a file that cannot be replaced, with as short a time in between as possible.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::content::Content;

/// Overwrites the file with this content.
pub(super) fn overwrite(file: &File, content: Content<'_>) -> io::Result<()> {
    // Held in memory, so that the file is inconsistent only during one write and one truncation.
    let mut bytes = Vec::new();
    content(&mut bytes)?;
    reserve(file, bytes.len() as u64)?;
    file.write_all_at(&bytes, 0)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}

/// Reserves space for this length without changing the content, so that a full disk is an error before anything is lost.
fn reserve(file: &File, length: u64) -> io::Result<()> {
    if length <= file.metadata()?.len() {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, length) {
        // Not every file system can reserve.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        result => result.map_err(io::Error::from),
    }
}
