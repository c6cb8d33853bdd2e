//! A client of the web endpoints over a plain socket, so that it can also misbehave.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use ecs_discovery::file_sd::{self, Format, TargetGroup};

use super::{DEADLINE, Scene, text};

/// The address of the web endpoints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server(pub(crate) SocketAddr);

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The header fields, keyed by lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: String,
}

impl Scene {
    /// Starts the program with its web endpoints on a free port.
    pub(crate) fn serve(&mut self) -> Server {
        self.flags.push("-web.listen-address=127.0.0.1:0".to_owned());
        self.start();
        let line = self.wait_for_message("listening");
        Server(text(&line, "address").parse().unwrap())
    }
}

impl Server {
    /// Sends a GET request.
    pub(crate) fn get(self, path: &str) -> Response {
        self.request("GET", path, "")
    }

    /// Sends a request with additional header lines, each terminated by CR LF.
    pub(crate) fn request(self, method: &str, path: &str, headers: &str) -> Response {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.0);
        let response = self.send(request.as_bytes());
        Response::read(&response).unwrap_or_else(|| panic!("{method} {path}: {response:?}"))
    }

    /// Sends bytes and returns everything received until the server closes the connection.
    pub(crate) fn send(self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // Writing may fail: a server that rejects the request closes the connection before everything is sent.
        let _ = stream.write_all(bytes);
        read_until_closed(stream)
    }

    /// Opens a connection without sending anything.
    pub(crate) fn connect(self) -> TcpStream {
        let stream = TcpStream::connect(self.0).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Returns the metrics in the Prometheus text format.
    pub(crate) fn metrics(self) -> Metrics {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200);
        Metrics(response.body)
    }

    /// Returns the target groups served at this path.
    pub(crate) fn targets(self, path: &str) -> Vec<TargetGroup> {
        let response = self.get(path);
        assert_eq!(
            (response.status, response.header("content-type")),
            (200, "application/json"),
            "{path}: {response:?}"
        );
        file_sd::parse(response.body.as_bytes(), Format::Json).unwrap()
    }
}

/// Reads until the server closes or resets the connection.
pub(crate) fn read_until_closed(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("the connection is still open: {error}"),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

impl Response {
    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let fields = lines.filter_map(|line| line.split_once(": "));
        let headers = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Some(Self { status, headers, body: body.to_owned() })
    }

    /// Returns a header field, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Metrics in the Prometheus text format.
#[derive(Debug)]
pub(crate) struct Metrics(pub(crate) String);

/// Returns the name of a series of a cluster in the scenes' account and region.
pub(crate) fn of_cluster(metric: &str, cluster: &str) -> String {
    of_cluster_in("123456789012", metric, cluster)
}

/// Returns the name of a series of a cluster in another account.
pub(crate) fn of_cluster_in(account: &str, metric: &str, cluster: &str) -> String {
    format!("{metric}{{account_id=\"{account}\",region=\"us-east-1\",cluster=\"{cluster}\"}}")
}

impl Metrics {
    /// Returns the value of a series, named without the prefix: `refreshes_total`, `writes_total{result="failed"}`.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let name = format!("ecs_discovery_{series} ");
        self.0.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
    }

    /// Returns the names and labels of the series that start with this text.
    pub(crate) fn series(&self, start: &str) -> Vec<&str> {
        let name = format!("ecs_discovery_{start}");
        let samples = self.0.lines().filter(|line| line.starts_with(&name));
        samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.trim_start_matches("ecs_discovery_"))).collect()
    }
}
