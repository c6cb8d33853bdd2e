//! The HTTP endpoints: metrics, health, targets, and a status page.
//!
//! A slow or hostile client takes a bounded amount of memory and cannot delay a refresh: connections, headers and
//! their time are limited, and request bodies are never read.

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

/// The largest number of concurrent connections; others wait in the kernel's queue.
const CONNECTIONS: usize = 64;

/// How long a client may take to send the head of a request, and may idle before the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection is kept: for a few scrapes, and not for a client that reads a byte a minute.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);

/// How long a response may still take at the end of a connection's lifetime.
const LAST_RESPONSE: Duration = Duration::from_secs(5);

/// The size of the head of a request, in bytes and in fields.
const HEAD_BYTES: usize = 16 << 10;
const HEAD_FIELDS: usize = 64;

/// Listens on an address; without a host, on every address, including IPv6 if the host has it.
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

/// Serves requests until it is dropped.
pub async fn serve(listener: TcpListener, app: Arc<App>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let app = app.clone();
                tokio::spawn(async move {
                    serve_connection(stream, app).await;
                    drop(slot);
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

async fn serve_connection(stream: TcpStream, app: Arc<App>) {
    let service = service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(app.respond(&request)) }
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
