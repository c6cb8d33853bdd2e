//! Answers requests about the running program, where asked to: metrics, health, the targets, a page.
//!
//! A slow or hostile client costs a bounded amount of memory and cannot hold up a refresh: connections,
//! headers and the time that either takes are limited, bodies are never read.

mod healthcheck;
mod page;
mod routes;

use std::convert::Infallible;
use std::io;
use std::net::Ipv6Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

pub use self::healthcheck::healthcheck;
pub use self::routes::App;
use crate::config::ListenAddress;

/// How many clients are answered side by side; the others wait in the kernel's queue.
const CONNECTIONS: usize = 64;

/// How long a client may take to send the head of a request, and idle before the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection is kept: for a few scrapes, and not for a client that reads a byte a minute.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);

/// How long an answer that is under way at the end of a connection's life may still take.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// How large the head of a request may be, in bytes and in fields.
const HEAD_BYTES: usize = 16 << 10;
const HEAD_FIELDS: usize = 64;

/// Starts to listen. Without a host on every address, IPv6 included where the machine has it.
pub async fn bind(address: &ListenAddress) -> io::Result<TcpListener> {
    match &address.host {
        Some(host) => TcpListener::bind((host.as_str(), address.port)).await,
        None => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, address.port)).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(("0.0.0.0", address.port)).await
            }
            bound => bound,
        },
    }
}

/// Answers requests until it is dropped.
pub async fn serve(listener: TcpListener, app: Arc<App>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let app = app.clone();
                tokio::spawn(async move {
                    converse(stream, app).await;
                    drop(place);
                });
            }
            // Out of file descriptors, as a rule: it passes when a connection ends.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, app: Arc<App>) {
    let answer = service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(app.answer(&request)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    tokio::select! {
        // How a client ends a connection is its own affair.
        _ = connection.as_mut() => {}
        () = sleep(CONNECTION_LIFETIME) => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(LAST_ANSWER, connection).await;
        }
    }
}
