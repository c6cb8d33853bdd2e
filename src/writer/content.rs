//! The content of a file, as a function that writes it: neither a file nor its new content is ever held in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

/// The size of the buffer for reading.
const BUFFER: usize = 64 << 10;

/// Writes the content of a file.
pub type Content<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// Returns whether the file has this content.
pub(super) fn holds(file: &File, content: Content<'_>) -> bool {
    let mut old = BufReader::with_capacity(BUFFER, file);
    content(&mut Comparison(&mut old)).is_ok() && old.fill_buf().is_ok_and(<[u8]>::is_empty)
}

/// Accepts writes only as long as they equal the content of a file.
struct Comparison<'a, 'f>(&'a mut BufReader<&'f File>);

impl Write for Comparison<'_, '_> {
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
