//! A minimal HTTP client that distinguishes every kind of faulty response.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use simaws::SimAws;

/// A response, as far as it was received.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// Whether the body has the announced length.
    pub(crate) complete: bool,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the status, and the code of a JSON error.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.json()["__type"].as_str().unwrap_or_default().to_owned())
    }

    /// Returns the texts in elements of this name.
    pub(crate) fn all(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let parts = self.body.split(&open).skip(1);
        parts.filter_map(|part| part.split_once(&close)).map(|(text, _)| text.to_owned()).collect()
    }

    /// Returns the status, and the code of an XML error.
    pub(crate) fn xml_error(&self) -> (u16, String) {
        (self.status, self.all("Code").concat())
    }
}

pub(crate) fn connect(server: &SimAws) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

pub(crate) fn write_request(stream: &mut TcpStream, line: &str, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let text =
        format!("{line} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
    stream.write_all(text.as_bytes())
}

pub(crate) fn try_send(server: &SimAws, line: &str, headers: &str, body: &str) -> io::Result<Reply> {
    let mut stream = connect(server);
    write_request(&mut stream, line, headers, body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = head.to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let length: usize = head
        .split_once("content-length: ")
        .map_or(0, |(_, rest)| rest.lines().next().unwrap_or_default().parse().unwrap());
    Ok(Reply { status, body: body.to_owned(), complete: body.len() == length, head })
}

pub(crate) fn try_ecs(server: &SimAws, action: &str, body: &Value) -> io::Result<Reply> {
    let target = format!("X-Amz-Target: AmazonEC2ContainerServiceV20141113.{action}\r\n");
    try_send(server, "POST /", &target, &body.to_string())
}

pub(crate) fn ecs(server: &SimAws, action: &str, body: Value) -> Reply {
    try_ecs(server, action, &body).unwrap()
}

/// Makes an EC2 call with form-encoded parameters.
pub(crate) fn ec2(server: &SimAws, parameters: &str) -> Reply {
    try_send(server, "POST /", "", &format!("Action=DescribeInstances&Version=2016-11-15{parameters}")).unwrap()
}

pub(crate) fn sts(server: &SimAws, parameters: &str) -> Reply {
    try_send(server, "POST /", "", &format!("Version=2011-06-15&{parameters}")).unwrap()
}

pub(crate) fn send(server: &SimAws, line: &str, body: &str) -> Reply {
    try_send(server, line, "", body).unwrap()
}

/// Returns the number of pages of a listing, and all their items.
pub(crate) fn listing(server: &SimAws, action: &str, member: &str, mut body: Value) -> (usize, Vec<String>) {
    let (mut pages, mut found) = (0, Vec::new());
    loop {
        let page = ecs(server, action, body.clone()).json();
        pages += 1;
        found.extend(page[member].as_array().unwrap().iter().map(|arn| arn.as_str().unwrap().to_owned()));
        if page["nextToken"].is_null() {
            return (pages, found);
        }
        body["nextToken"] = page["nextToken"].clone();
    }
}
