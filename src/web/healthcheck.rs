//! The health check client, for containers without a shell.

use std::time::Duration;

use crate::config::ListenAddress;
use crate::http;
use crate::printable::escape;

/// A process on the same host responds at once or not at all.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// Whoever listens there may send anything, and ECS shows it.
const LONGEST_REASON: usize = 1024;

/// Asks the process that listens on an address whether it is healthy. The error says why not.
pub async fn healthcheck(address: &ListenAddress) -> Result<(), String> {
    let host = match address.host.as_deref() {
        // Every address includes loopback.
        None | Some("0.0.0.0") => "127.0.0.1".to_owned(),
        Some("::") => "[::1]".to_owned(),
        Some(host) if host.contains(':') => format!("[{host}]"),
        Some(host) => host.to_owned(),
    };
    let url = format!("http://{host}:{}/-/healthy", address.port);
    match tokio::time::timeout(TIMEOUT, http::get(&url)).await {
        Ok(Ok((status, _))) if status.is_success() => Ok(()),
        Ok(Ok((status, body))) => {
            let reason = body.get(..LONGEST_REASON).unwrap_or(&body);
            Err(format!("{url} returned {status}: {}", escape(String::from_utf8_lossy(reason).trim())))
        }
        Ok(Err(error)) => Err(format!("cannot reach {url}: {error}")),
        Err(_) => Err(format!("no response from {url} within {TIMEOUT:?}")),
    }
}
