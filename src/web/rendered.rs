//! Rendered bodies, in chunks that every response shares.

use std::{io, mem};

use hyper::body::Bytes;

/// The size of a chunk. A response that is being sent holds on to one chunk beside the shared body, even when
/// everything else has been sent.
const CHUNK: usize = 32 << 10;

/// A rendered body.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rendered {
    chunks: Vec<Bytes>,
    bytes: usize,
}

impl Rendered {
    /// Returns its size in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns a chunk.
    pub(super) fn chunk(&self, at: usize) -> Option<Bytes> {
        self.chunks.get(at).cloned()
    }
}

/// Collects a body. Chunks of their own rather than one buffer, so that a slow client cannot hold on to the whole body
/// with its last bytes, and so that a growing buffer is never copied.
pub(super) struct Chunks<F> {
    rendered: Rendered,
    last: Vec<u8>,
    before_chunk: F,
}

impl<F: FnMut(usize)> Chunks<F> {
    /// Calls `before_chunk` with the size so far, including the next chunk, before each chunk.
    pub(super) fn new(before_chunk: F) -> Self {
        Self { rendered: Rendered::default(), last: Vec::new(), before_chunk }
    }

    /// Returns the collected body.
    pub(super) fn finish(mut self) -> Rendered {
        self.last.shrink_to_fit();
        self.push();
        self.rendered
    }

    fn push(&mut self) {
        if !self.last.is_empty() {
            let chunk = Bytes::from(mem::take(&mut self.last));
            self.rendered.bytes += chunk.len();
            self.rendered.chunks.push(chunk);
        }
    }
}

impl<F: FnMut(usize)> io::Write for Chunks<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.last.capacity() == 0 {
            (self.before_chunk)(self.rendered.bytes + CHUNK);
            self.last.reserve_exact(CHUNK);
        }
        let (now, _) = bytes.split_at(bytes.len().min(CHUNK - self.last.len()));
        self.last.extend_from_slice(now);
        if self.last.len() == CHUNK {
            self.push();
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
