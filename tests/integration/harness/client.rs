//! A client of the web endpoints, over a bare socket so that it can also behave badly.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use ecs_discovery::file_sd::{self, Format, TargetGroup};

use super::{DEADLINE, Scene, text};

/// Where the program answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server(pub(crate) SocketAddr);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The header fields by their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: String,
}

impl Scene {
    /// Starts the program with its web endpoints, at a port that is free.
    pub(crate) fn serve(&mut self) -> Server {
        self.flags.push("-web.listen-address=127.0.0.1:0".to_owned());
        self.start();
        let line = self.until_message("listening");
        Server(text(&line, "address").parse().unwrap())
    }
}

impl Server {
    /// GET.
    pub(crate) fn get(self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// A request with these further header lines, each with its line end.
    pub(crate) fn ask(self, method: &str, path: &str, headers: &str) -> Answer {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.0);
        let answer = self.send(request.as_bytes());
        Answer::read(&answer).unwrap_or_else(|| panic!("{method} {path}: {answer:?}"))
    }

    /// Sends bytes, and returns what comes back until the server has closed the connection.
    pub(crate) fn send(self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // A server that has heard enough closes before all is sent.
        let _ = stream.write_all(bytes);
        until_closed(stream)
    }

    /// A connection on which nothing has been said.
    pub(crate) fn connect(self) -> TcpStream {
        let stream = TcpStream::connect(self.0).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// The metrics in the classic text format.
    pub(crate) fn metrics(self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200);
        Metrics(answer.body)
    }

    /// The target groups at a path of `/targets`.
    pub(crate) fn targets(self, path: &str) -> Vec<TargetGroup> {
        let answer = self.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{path}: {answer:?}");
        file_sd::parse(answer.body.as_bytes(), Format::Json).unwrap()
    }
}

/// What comes until the other side closes the connection; it may reset it too.
pub(crate) fn until_closed(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("it is not closed: {error}"),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

impl Answer {
    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let fields = lines.filter_map(|line| line.split_once(": "));
        let headers = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Some(Self { status, headers, body: body.to_owned() })
    }

    /// A header field; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Metrics in the classic text format.
#[derive(Debug)]
pub(crate) struct Metrics(pub(crate) String);

impl Metrics {
    /// The value of a series, as it is written: `refreshes_total`, `targets{cluster="prod"}`.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let name = format!("ecs_discovery_{series} ");
        self.0.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
    }

    /// The names of the series that begin like this, their labels included.
    pub(crate) fn series(&self, start: &str) -> Vec<&str> {
        let name = format!("ecs_discovery_{start}");
        let samples = self.0.lines().filter(|line| line.starts_with(&name));
        samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.trim_start_matches("ecs_discovery_"))).collect()
    }
}
