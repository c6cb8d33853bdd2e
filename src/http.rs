//! A plain HTTP GET from this machine: of the ECS agent's metadata, or of our own health.

use std::error::Error;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Larger responses are an error: the expected ones have a few kilobytes.
const LARGEST_RESPONSE: usize = 1 << 20;

/// Why there is no response.
pub type HttpError = Box<dyn Error + Send + Sync>;

/// Returns the status and the body of the response from a URL (`http://HOST:PORT/PATH`). Sets no timeout.
pub async fn get(url: &str) -> Result<(StatusCode, Bytes), HttpError> {
    let uri: Uri = url.parse()?;
    let host = uri.host().ok_or("no host in the URL")?;
    let address = (host.trim_start_matches('[').trim_end_matches(']'), uri.port_u16().unwrap_or(80));
    get_over(TcpStream::connect(address).await?, &uri).await
}

/// Does the same over an open connection.
pub async fn get_over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    uri: &Uri,
) -> Result<(StatusCode, Bytes), HttpError> {
    let host = uri.host().ok_or("no host in the URL")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, host).body(Empty::<Bytes>::new())?;
    // The connection does the work, and ends when the sender is dropped.
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, Limited::new(response.into_body(), LARGEST_RESPONSE).collect().await?.to_bytes()))
}
