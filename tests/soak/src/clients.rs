//! Clients of the web endpoints: a polite one that checks what it gets, and hostile ones.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use ecs_discovery::file_sd::Format;

use crate::groups::{self, Group};
use crate::history::Violation;
use crate::random::Random;
use crate::shared::Shared;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The pause between the requests of the polite client, and between those of the hostile ones.
const PAUSE: Duration = Duration::from_millis(50);

/// The most connections of the hostile clients.
const HOSTILE: usize = 40;

/// A response.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Sends a GET request, and checks that the response is whole.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<Response> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    if length != Some(body.len()) {
        return Err(io::Error::other(format!("{} bytes of {length:?}", body.len())));
    }
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    Ok(Response { status: status.ok_or(io::ErrorKind::InvalidData)?, body: body.to_owned() })
}

/// Returns the targets served at a path; `None` while they are not known.
pub(crate) fn targets(address: SocketAddr, path: &str) -> Result<Option<Vec<Group>>, Violation> {
    let failed = |why: String| Violation::general(format!("GET {path}: {why}"));
    let response = get(address, path).map_err(|error| failed(error.to_string()))?;
    match response.status {
        200 => groups::of_strict_parser(response.body.as_bytes(), Format::Json).map(Some).map_err(failed),
        404 | 503 => Ok(None),
        status => Err(failed(format!("status {status}"))),
    }
}

/// Asks for one endpoint after the other. What it gets must be whole, and targets are checked like the file.
pub(crate) fn ask_politely(shared: &Shared, seed: u64) -> u64 {
    let (mut random, mut responses) = (Random::new(seed ^ 0x00c1_1e47), 0);
    while !shared.has_ended() {
        park_timeout(PAUSE);
        let Some(address) = shared.web() else { continue };
        let disturbances = shared.disturbances();
        let paths = ["/targets", "/targets", "/metrics", "/", "/-/healthy", "/-/ready", "/targets?cluster=c-*"];
        let path = *random.pick(&paths);
        let result = ask(shared, address, path);
        // Nothing is wrong if the program was stopped meanwhile.
        if disturbances == shared.disturbances() {
            responses += 1;
            shared.report(result);
        }
    }
    responses
}

fn ask(shared: &Shared, address: SocketAddr, path: &str) -> Result<(), Violation> {
    if path == "/targets" {
        let from = Instant::now();
        let Some(targets) = targets(address, path)? else { return Ok(()) };
        let disturbances = shared.disturbances();
        let mut oracle = shared.oracle();
        // Only what one life says counts: the oracle knows that of the current one.
        return match shared.web() {
            Some(now) if now == address && disturbances == shared.disturbances() => {
                oracle.check(path, &targets, (from, Instant::now()))
            }
            _ => Ok(()),
        };
    }
    let response = get(address, path).map_err(|error| Violation::general(format!("GET {path}: {error}")))?;
    let allowed: &[u16] = match path {
        "/metrics" | "/-/healthy" => &[200],
        _ => &[200, 404, 503],
    };
    if allowed.contains(&response.status) {
        return Ok(());
    }
    Err(Violation::general(format!("GET {path}: status {}: {}", response.status, response.body)))
}

/// Opens connections and misuses them.
pub(crate) fn harass(shared: &Shared, seed: u64) -> u64 {
    let (mut random, mut attacks) = (Random::new(seed ^ 0x000b_adc1), 0);
    let mut open: Vec<TcpStream> = Vec::new();
    while !shared.has_ended() {
        park_timeout(PAUSE);
        let Some(address) = shared.web().filter(|_| !shared.is_calm()) else {
            open.clear();
            continue;
        };
        // A byte at a time from those that are slow. Errors are what they deserve.
        open.retain_mut(|stream| stream.write_all(b"x").is_ok());
        if open.len() >= HOSTILE {
            open.swap_remove(random.below(open.len()));
        }
        if let Ok(stream) = attack(address, &mut random) {
            open.push(stream);
        }
        attacks += 1;
    }
    attacks
}

/// Begins a request that nobody should make. The connection stays open.
fn attack(address: SocketAddr, random: &mut Random) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_write_timeout(Some(Duration::from_millis(100)))?;
    let request = match random.below(6) {
        0 => String::new(),
        1 => "GET /metrics HTTP/1.1\r\nHost: ".to_owned(),
        2 => format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000)),
        3 => "GET /targets HTTP/1.1\r\nHost: x\r\n\r\n".repeat(30),
        4 => "\u{16}\u{3}\u{1}HELLO\r\n\r\n".to_owned(),
        _ => "POST /targets HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n".to_owned(),
    };
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}
