//! Serves HTTP on a thread of its own, so that neither rendering nor a flood of requests takes time from a refresh, and
//! a refresh does not delay a health check.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::body::ResponseBody;
use super::connections::{Connection, Connections};
use crate::config::ListenAddress;

/// How long a client may take to send the head of a request, and may idle before the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection is kept: for a few scrapes, and not for a client that reads a byte a minute.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);

/// How long a response may still take at the end of a connection's lifetime.
const LAST_RESPONSE: Duration = Duration::from_secs(5);

/// The size of the head of a request, in bytes and in fields.
const HEAD_BYTES: usize = 16 << 10;
const HEAD_FIELDS: usize = 64;

/// What the kernel holds of a response, and of requests. It doubles these sizes for its own records. By default it
/// would hold megabytes for each slow client, which count towards the memory of the container.
const SEND_BUFFER: u32 = 64 << 10;
const RECEIVE_BUFFER: u32 = 16 << 10;

/// The length of the queue of connections that are not accepted yet.
const BACKLOG: u32 = 1024;

/// Responds to requests.
pub(super) trait Respond: Send + Sync + 'static {
    /// Returns the response to a request on this connection.
    fn respond(
        &self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;

    /// Returns the response to a request whose response panicked.
    fn panicked(&self) -> Response<ResponseBody>;
}

/// Listens on an address; without a host, on every address, including IPv6 if the host has it.
pub async fn bind(address: &ListenAddress) -> io::Result<TcpListener> {
    let Some(host) = &address.host else {
        return match listen((Ipv6Addr::UNSPECIFIED, address.port).into()) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => listen(([0, 0, 0, 0], address.port).into()),
            bound => bound,
        };
    };
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "the host has no address");
    for address in lookup_host((host.as_str(), address.port)).await? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit these.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A running server, which ends when this is dropped.
#[must_use]
pub struct Server {
    _running: oneshot::Sender<Infallible>,
}

/// Starts to serve on a thread of its own.
pub(super) fn start(
    listener: TcpListener,
    connections: Arc<Connections>,
    responder: Arc<impl Respond>,
) -> io::Result<Server> {
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (running, ended) = oneshot::channel();
    thread::Builder::new().name("web".into()).spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener);
            tokio::select! {
                _ = ended => {}
                () = async { accept(listener?, connections, responder).await; Ok::<_, io::Error>(()) }.map(log) => {}
            }
        });
        // A response that is being rendered does not delay the shutdown.
        runtime.shutdown_background();
    })?;
    Ok(Server { _running: running })
}

fn log(served: io::Result<()>) {
    if let Err(error) = served {
        tracing::error!(%error, "cannot serve HTTP");
    }
}

async fn accept(listener: TcpListener, connections: Arc<Connections>, responder: Arc<impl Respond>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (connection, responder) = (connections.add(), responder.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection.ended() => {}
                        () = serve(stream, connection.clone(), responder) => {}
                    }
                });
            }
            // Usually out of file descriptors, which passes when a connection ends.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves the requests of one connection.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: Arc<Connection>,
    responder: Arc<impl Respond>,
) {
    let service = service_fn(move |request| {
        let (connection, responder) = (connection.clone(), responder.clone());
        async move {
            // A panic costs only its response. What responses share stays valid: each change of it is a single step.
            let response = AssertUnwindSafe(responder.respond(request, connection)).catch_unwind().await;
            Ok::<_, Infallible>(response.unwrap_or_else(|_| responder.panicked()))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // Errors of a client's connection are the client's.
        _ = connection.as_mut() => {}
        () = sleep(CONNECTION_LIFETIME) => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(LAST_RESPONSE, connection).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use hyper::StatusCode;

    use super::*;

    struct Panicking;

    impl Respond for Panicking {
        async fn respond(&self, request: Request<Incoming>, _: Arc<Connection>) -> Response<ResponseBody> {
            assert!(request.uri().path() != "/panic", "as the test asks");
            Response::new(ResponseBody::of("fine"))
        }

        fn panicked(&self) -> Response<ResponseBody> {
            let mut response = Response::new(ResponseBody::of("sorry"));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }

    #[test]
    fn a_panic_costs_only_its_response() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (_server, address) = runtime.block_on(async {
            let listener = bind(&ListenAddress { host: Some("127.0.0.1".into()), port: 0 }).await.unwrap();
            let address = listener.local_addr().unwrap();
            (start(listener, Arc::default(), Arc::new(Panicking)).unwrap(), address)
        });
        let mut client = std::net::TcpStream::connect(address).unwrap();
        // Three requests on one connection, which goes on after the panic.
        for (path, close) in [("/", ""), ("/panic", ""), ("/", "Connection: close\r\n")] {
            client.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{close}\r\n").as_bytes()).unwrap();
        }
        let mut responses = String::new();
        client.read_to_string(&mut responses).unwrap();
        let statuses: Vec<&str> = responses.split("HTTP/1.1 ").skip(1).map(|text| &text[..3]).collect();
        assert_eq!(statuses, ["200", "500", "200"], "{responses}");
    }
}
