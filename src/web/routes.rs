//! The endpoints.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};

use super::page;
use crate::file_sd::{Format, TargetGroup, render};
use crate::inventory::ClusterRef;
use crate::refresh::Refresh;
use crate::status::{SharedStatus, Status};
use crate::telemetry::{MetricsFormat, Telemetry};

/// After this many panics without a finished refresh between them, a restart of the task may help.
const UNHEALTHY_PANICS: u32 = 3;

const TEXT: &str = "text/plain; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text";

/// What responses are made from.
pub struct App {
    /// What is known now.
    pub status: Arc<SharedStatus>,
    /// The metrics.
    pub telemetry: Arc<Telemetry>,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// How long the loop may make no progress before it is unhealthy.
    pub stalled_after: Duration,
    /// The flags in force, for the page.
    pub flags: Vec<(&'static str, String)>,
}

struct Content {
    status: StatusCode,
    content_type: &'static str,
    body: String,
}

fn content(status: StatusCode, content_type: &'static str, body: impl Into<String>) -> Content {
    Content { status, content_type, body: body.into() }
}

impl App {
    pub(super) fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let content = match path {
            _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
                content(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD only\n")
            }
            _ if path == self.telemetry_path => self.metrics(request),
            "/-/healthy" => self.healthy(),
            "/-/ready" => self.ready(),
            "/targets" => targets(&self.status.get(), request.uri().query()),
            "/" => {
                let page = page::page(&self.status.get(), &self.flags, &self.telemetry_path);
                content(StatusCode::OK, "text/html; charset=utf-8", page)
            }
            _ => content(StatusCode::NOT_FOUND, TEXT, "not found\n"),
        };
        let mut response = Response::new(Full::new(Bytes::from(content.body)));
        *response.status_mut() = content.status;
        let headers = response.headers_mut();
        let fixed = [
            (CONTENT_TYPE, content.content_type),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        ];
        for (name, value) in fixed {
            headers.insert(name, hyper::header::HeaderValue::from_static(value));
        }
        if content.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    fn metrics(&self, request: &Request<Incoming>) -> Content {
        let accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let openmetrics = accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with(OPENMETRICS));
        let (format, content_type) = if openmetrics {
            (MetricsFormat::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        } else {
            (MetricsFormat::Classic, "text/plain; version=0.0.4; charset=utf-8")
        };
        content(StatusCode::OK, content_type, self.telemetry.metrics(&self.status.get(), format))
    }

    /// Reports whether the loop is alive, whatever AWS says: ECS replaces the whole task of an unhealthy essential
    /// container, which would fix nothing at AWS.
    fn healthy(&self) -> Content {
        let status = self.status.get();
        if status.panics >= UNHEALTHY_PANICS {
            let body = format!("the last {} refreshes panicked\n", status.panics);
            return content(StatusCode::SERVICE_UNAVAILABLE, TEXT, body);
        }
        let stalled = status.last_progress.elapsed();
        if stalled > self.stalled_after {
            let body = format!("the refresh loop has made no progress for {} s\n", stalled.as_secs());
            return content(StatusCode::SERVICE_UNAVAILABLE, TEXT, body);
        }
        content(StatusCode::OK, TEXT, "healthy\n")
    }

    fn ready(&self) -> Content {
        if self.status.get().ready {
            return content(StatusCode::OK, TEXT, "ready\n");
        }
        content(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no complete set of targets is known yet\n")
    }
}

/// Serves Prometheus HTTP service discovery (Prometheus documentation, "Writing HTTP service discovery"). With any
/// status but 200, Prometheus keeps its targets.
fn targets(status: &Status, query: Option<&str>) -> Content {
    let Some(known) = &status.targets else {
        return content(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no targets are known yet\n");
    };
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some(cluster) = pairs.filter(|(name, _)| name == "cluster").map(|(_, value)| value).next() else {
        return json(known);
    };
    let asked = ClusterRef::from(&*cluster);
    let of_cluster = |group: &&TargetGroup| group.labels.get("cluster_arn").is_some_and(|arn| asked.matches(arn));
    let groups: Vec<TargetGroup> = known.iter().filter(of_cluster).cloned().collect();
    if groups.is_empty() {
        return empty(status.refresh.as_deref(), &asked);
    }
    json(&groups)
}

/// Responds for a cluster without targets. A mistyped name must not remove targets, nor a failure before anything was
/// known: an empty list is only for a cluster that the last refresh found empty.
fn empty(refresh: Option<&Refresh>, asked: &ClusterRef) -> Content {
    match refresh.and_then(|refresh| refresh.cluster(asked)) {
        None => content(StatusCode::NOT_FOUND, TEXT, "no cluster of this name is scanned\n"),
        Some(cluster) if cluster.complete => json(&[]),
        Some(_) => content(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no targets of this cluster are known yet\n"),
    }
}

fn json(groups: &[TargetGroup]) -> Content {
    let body = String::from_utf8(render(groups, Format::Json)).unwrap_or_default();
    content(StatusCode::OK, "application/json", body)
}
