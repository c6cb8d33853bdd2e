//! One GET in plain HTTP of something on this machine: the ECS agent's metadata, or our own health.

use std::error::Error;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Larger answers are refused: what is asked for takes a few kilobytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// Why there is no answer.
pub type HttpError = Box<dyn Error + Send + Sync>;

/// The status and the body of what is at this address (`http://HOST:PORT/PATH`). Sets no time limit.
pub async fn get(url: &str) -> Result<(StatusCode, Bytes), HttpError> {
    let uri: Uri = url.parse()?;
    let host = uri.host().ok_or("no host in its address")?;
    let address = (host.trim_start_matches('[').trim_end_matches(']'), uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, host).body(Empty::<Bytes>::new())?;
    // It does the work, and ends when the sender is dropped.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    Ok((status, Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await?.to_bytes()))
}
