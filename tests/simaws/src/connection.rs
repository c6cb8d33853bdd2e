//! One connection: reads requests and writes responses, whole or distorted by a fault.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response as HttpResponse};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, Socket};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::control;
use crate::faults::FaultKind;
use crate::metadata;
use crate::request::{Protocol, Request};
use crate::response::{Delivery, Response};
use crate::state::{InFlight, State};

/// Serves a connection until it is closed.
pub(crate) async fn serve(stream: TcpStream, state: Arc<State>) {
    // A second handle, because the fault Reset needs the socket, which hyper owns by then.
    let Ok(socket) = SockRef::from(&stream).try_clone() else { return };
    // Otherwise small responses wait for the delayed acknowledgements of the client.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| handle(request, &state, &socket));
    // An error here is a client that disconnected, or a fault.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn handle(request: HttpRequest<Incoming>, state: &Arc<State>, socket: &Socket) -> io::Result<HttpResponse<Sent>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request::read(&head, &body);
    if request.protocol == Protocol::Control {
        return http_response(control::respond(state, &request), None);
    }
    let plan = state.begin(&request);
    tokio::time::sleep(plan.latency).await;
    match &plan.fault {
        Some(FaultKind::Hang) => std::future::pending().await,
        Some(FaultKind::Reset) => {
            // Without lingering, closing the connection after the error sends a reset.
            socket.set_linger(Some(Duration::ZERO))?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Some(fault @ FaultKind::Delay { millis }) => {
            tokio::time::sleep(Duration::from_millis(*millis)).await;
            http_response(state.respond(&request, Some(fault)), Some(plan.in_flight))
        }
        None => {
            wait_for_messages(state, &request).await;
            http_response(state.respond(&request, None), Some(plan.in_flight))
        }
        fault => http_response(state.respond(&request, fault.as_ref()), Some(plan.in_flight)),
    }
}

/// Waits as long as a call that receives messages lets the queue wait for some.
async fn wait_for_messages(state: &State, request: &Request) {
    const PAUSE: Duration = Duration::from_millis(10);
    let start = Instant::now();
    while state.lock().queues.wait(request).is_some_and(|longest| start.elapsed() < longest) {
        tokio::time::sleep(PAUSE).await;
    }
}

fn http_response(response: Response, in_flight: Option<InFlight>) -> io::Result<HttpResponse<Sent>> {
    let head = HttpResponse::builder()
        .status(response.status)
        .header("content-type", response.content_type)
        .header("x-amzn-requestid", &response.request_id)
        // Only the token of the instance metadata needs it; no other client reads it.
        .header("x-aws-ec2-metadata-token-ttl-seconds", metadata::TOKEN_LIFETIME);
    head.body(Sent::new(response.body, response.delivery, in_flight)).map_err(io::Error::other)
}

/// The number of pieces of a slow body.
const PIECES: usize = 8;
/// Lets hyper flush the first half before the connection is closed.
const CUT_AFTER: Duration = Duration::from_millis(5);

/// A body being sent. The call counts as in flight until the body is sent.
struct Sent {
    pieces: VecDeque<Bytes>,
    left: u64,
    cut: bool,
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    _in_flight: Option<InFlight>,
}

impl Sent {
    fn new(body: String, delivery: Delivery, in_flight: Option<InFlight>) -> Self {
        let whole = Bytes::from(body);
        let left = whole.len() as u64;
        let (pieces, pause) = match delivery {
            Delivery::Whole => (VecDeque::from([whole]), Duration::ZERO),
            Delivery::Cut => (VecDeque::from([whole.slice(..whole.len() / 2)]), Duration::ZERO),
            Delivery::Slow(millis) => {
                let size = whole.len().div_ceil(PIECES).max(1);
                let pieces = whole.chunks(size).map(Bytes::copy_from_slice).collect();
                (pieces, Duration::from_millis(millis))
            }
        };
        let cut = delivery == Delivery::Cut;
        let mut sent = Self { pieces, left, cut, pause, waiting: None, _in_flight: in_flight };
        sent.wait(pause);
        sent
    }

    fn wait(&mut self, pause: Duration) {
        self.waiting = (!pause.is_zero()).then(|| Box::pin(tokio::time::sleep(pause)));
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        let Some(piece) = self.pieces.pop_front() else {
            let end = self.cut.then(|| Err(io::ErrorKind::ConnectionAborted.into()));
            return Poll::Ready(end);
        };
        self.left -= piece.len() as u64;
        let pause = if self.cut { CUT_AFTER } else { self.pause };
        self.wait(pause);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    /// Returns the whole length for the Content-Length, even if less will be sent.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
