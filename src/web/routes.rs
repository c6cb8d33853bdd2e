//! Which request gets which answer.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};

use super::page;
use crate::daemon::Refresh;
use crate::file_sd::{Format, TargetGroup, render};
use crate::inventory::ClusterRef;
use crate::telemetry::{Board, Telemetry};

const TEXT: &str = "text/plain; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text";

/// What the answers are made from.
pub struct App {
    /// What is known now.
    pub telemetry: Arc<Telemetry>,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// How long the loop may be without a sign of life.
    pub patience: Duration,
    /// The flags in force, for the page.
    pub flags: Vec<(&'static str, String)>,
}

struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: String,
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<String>) -> Answer {
    Answer { status, content_type, body: body.into() }
}

impl App {
    pub(super) fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let answer = match path {
            _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
                answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD only\n")
            }
            _ if path == self.telemetry_path => self.metrics(request),
            "/-/healthy" => self.healthy(),
            "/-/ready" => self.ready(),
            "/targets" => targets(&self.telemetry.board(), request.uri().query()),
            "/" => {
                let page = page::page(&self.telemetry.board(), &self.flags, &self.telemetry_path);
                answer(StatusCode::OK, "text/html; charset=utf-8", page)
            }
            _ => answer(StatusCode::NOT_FOUND, TEXT, "not found\n"),
        };
        let mut response = Response::new(Full::new(Bytes::from(answer.body)));
        *response.status_mut() = answer.status;
        let headers = response.headers_mut();
        let fixed = [
            (CONTENT_TYPE, answer.content_type),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        ];
        for (name, value) in fixed {
            headers.insert(name, hyper::header::HeaderValue::from_static(value));
        }
        if answer.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    fn metrics(&self, request: &Request<Incoming>) -> Answer {
        let accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let openmetrics = accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with(OPENMETRICS));
        let content_type = if openmetrics {
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        } else {
            "text/plain; version=0.0.4; charset=utf-8"
        };
        answer(StatusCode::OK, content_type, self.telemetry.metrics(openmetrics))
    }

    /// Whether the loop is alive, whatever AWS says: ECS replaces the whole task of an essential container
    /// that is not healthy, which would mend nothing at AWS.
    fn healthy(&self) -> Answer {
        let silent = self.telemetry.board().alive.elapsed();
        if silent > self.patience {
            let body = format!("no sign of life from the refresh loop for {} s\n", silent.as_secs());
            return answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, body);
        }
        answer(StatusCode::OK, TEXT, "healthy\n")
    }

    fn ready(&self) -> Answer {
        if self.telemetry.board().complete {
            return answer(StatusCode::OK, TEXT, "ready\n");
        }
        answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no full set of targets is known yet\n")
    }
}

/// Prometheus HTTP service discovery (Prometheus documentation, "Writing HTTP service discovery"). Anything
/// but 200 makes Prometheus keep what it had.
fn targets(board: &Board, query: Option<&str>) -> Answer {
    let Some(known) = &board.targets else {
        return answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no targets are known yet\n");
    };
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some(cluster) = pairs.filter(|(name, _)| name == "cluster").map(|(_, value)| value).next() else {
        return json(known);
    };
    let asked = ClusterRef::from(&*cluster);
    let of_cluster = |group: &&TargetGroup| group.labels.get("cluster_arn").is_some_and(|arn| asked.matches(arn));
    let groups: Vec<TargetGroup> = known.iter().filter(of_cluster).cloned().collect();
    if groups.is_empty() {
        return empty(board.last.as_deref(), &asked);
    }
    json(&groups)
}

/// The answer for a cluster without targets, so that nobody loses targets to a misspelt name, nor to a
/// failure before anything was known: an empty list is only for what the last refresh saw to be empty.
fn empty(last: Option<&Refresh>, asked: &ClusterRef) -> Answer {
    let same = |known: &ClusterRef| known.matches(asked.as_str()) || asked.matches(known.as_str());
    let mut scanned = last.iter().flat_map(|refresh| refresh.snapshot.clusters.iter().flatten());
    let (Some(last), Some(cluster)) = (last, scanned.find(|cluster| same(&cluster.cluster))) else {
        return answer(StatusCode::NOT_FOUND, TEXT, "no cluster of this name is scanned\n");
    };
    if last.knows_all_of(cluster) {
        return json(&[]);
    }
    answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no targets of this cluster are known yet\n")
}

fn json(groups: &[TargetGroup]) -> Answer {
    let body = String::from_utf8(render(groups, Format::Json)).unwrap_or_default();
    answer(StatusCode::OK, "application/json", body)
}
