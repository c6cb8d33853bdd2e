//! Small HTTP servers on loopback, in place of containers that export metrics.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Far more than a request over loopback takes.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Returns this port if nothing on the machine listens on it, or else any free port. Checks all addresses, because a
/// server on all of them, such as a real node exporter on 9100, would conflict too.
pub(crate) fn free_port(wanted: u16) -> io::Result<u16> {
    let free = |port| -> io::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
        listener.local_addr().map(|address| address.port())
    };
    free(wanted).or_else(|_| free(0))
}

/// Whether this machine has `::1`.
pub(crate) fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Serves one metric at this path until the demo exits, and returns the address.
pub(crate) fn serve(
    ip: impl Into<IpAddr>,
    port: u16,
    path: &'static str,
    container: &'static str,
) -> io::Result<SocketAddr> {
    let ip = ip.into();
    let listener = TcpListener::bind((ip, port))
        .map_err(|error| io::Error::other(format!("cannot listen at {ip} port {port}: {error}")))?;
    let address = listener.local_addr()?;
    thread::Builder::new().name(container.to_owned()).spawn(move || {
        let mut scrapes = 0_u32;
        for mut stream in listener.incoming().flatten() {
            scrapes += 1;
            let metric =
                format!("# TYPE demo_scrapes_total counter\ndemo_scrapes_total{{in=\"{container}\"}} {scrapes}\n");
            // A client that disconnects affects only its own scrape.
            let _ = respond(&mut stream, path, &metric);
        }
    })?;
    Ok(address)
}

fn respond(stream: &mut TcpStream, path: &str, metric: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let request = String::from_utf8_lossy(&request);
    let found = request.split_whitespace().nth(1) == Some(path);
    let (status, body) = if found { ("200 OK", metric) } else { ("404 Not Found", "no metrics here\n") };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Scrapes a target as Prometheus does, and returns the first sample.
pub(crate) fn scrape(target: &str, path: &str) -> Result<String, String> {
    let exchange = || -> io::Result<String> {
        let mut stream = TcpStream::connect(target)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    };
    let response = exchange().map_err(|error| format!("scraping {target}{path}: {error}"))?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let sample = body.lines().find(|line| !line.starts_with('#'));
    match sample.filter(|_| head.starts_with("HTTP/1.1 200 ")) {
        Some(sample) => Ok(sample.to_owned()),
        None => Err(format!("scraping {target}{path}: {}", head.lines().next().unwrap_or("no response"))),
    }
}
