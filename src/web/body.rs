//! Sends a body in the chunks that it shares with other responses.

use std::convert::Infallible;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::connections::Slot;
use super::rendered::Rendered;

/// The body of a response.
pub(super) struct ResponseBody {
    /// A short text of this response alone, which comes first.
    own: Bytes,
    shared: Arc<Rendered>,
    next: usize,
    left: usize,
    /// Freed when the response has been sent, or its client is gone.
    _slot: Option<Slot>,
}

impl ResponseBody {
    /// Returns a body of a text alone.
    pub(super) fn of(text: impl Into<Bytes>) -> Self {
        Self::new(text.into(), Arc::default(), None)
    }

    /// Returns a body of a text and a shared body after it.
    pub(super) fn new(own: Bytes, shared: Arc<Rendered>, slot: Option<Slot>) -> Self {
        let left = own.len() + shared.bytes();
        Self { own, shared, next: 0, left, _slot: slot }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = if self.own.is_empty() {
            let chunk = self.shared.chunk(self.next);
            self.next += 1;
            chunk
        } else {
            Some(mem::take(&mut self.own))
        };
        self.left -= chunk.as_ref().map_or(0, Bytes::len);
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
