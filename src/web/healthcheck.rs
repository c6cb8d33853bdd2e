//! Asks the running program whether it is healthy: what a container without a shell has to ask with.

use std::time::Duration;

use crate::config::ListenAddress;
use crate::http;

/// ECS waits longer, but a program on the same machine answers at once or not at all.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// Whether the program that listens at this address says that it is healthy; else why not.
pub async fn healthcheck(address: &ListenAddress) -> Result<(), String> {
    let host = match address.host.as_deref() {
        // Every address is also this one.
        None | Some("0.0.0.0") => "127.0.0.1".to_owned(),
        Some("::") => "[::1]".to_owned(),
        Some(host) if host.contains(':') => format!("[{host}]"),
        Some(host) => host.to_owned(),
    };
    let url = format!("http://{host}:{}/-/healthy", address.port);
    match tokio::time::timeout(TIMEOUT, http::get(&url)).await {
        Ok(Ok((status, _))) if status.is_success() => Ok(()),
        Ok(Ok((status, body))) => Err(format!("{url} answers {status}: {}", String::from_utf8_lossy(&body).trim())),
        Ok(Err(error)) => Err(format!("{url} does not answer: {error}")),
        Err(_) => Err(format!("{url} does not answer within {TIMEOUT:?}")),
    }
}
