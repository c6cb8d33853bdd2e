//! The endpoints.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::bodies::{Bodies, Key, RenderFailed};
use super::body::ResponseBody;
use super::connections::{Connection, Connections};
use super::page;
use super::server::{self, Respond, Server};
use super::targets::Asked;
use crate::file_sd::{Format, write};
use crate::filter::TargetFilter;
use crate::status::{SharedStatus, Status};
use crate::telemetry::{MetricsFormat, Telemetry};

/// After this many panics without a finished refresh between them, a restart of the task may help.
const UNHEALTHY_PANICS: u32 = 3;

/// The largest size of all bodies of targets and pages in memory, and that of metrics. With what the connections take
/// here and in the kernel, responses take up to 32 MiB.
const LARGE_BODIES: usize = 16 << 20;
const METRICS_BODIES: usize = 2 << 20;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
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

/// Serves requests until the returned server is dropped.
pub fn serve(listener: TcpListener, app: Arc<App>) -> io::Result<Server> {
    let connections = Arc::new(Connections::default());
    let routes = Routes::new(app, &connections);
    server::start(listener, connections, Arc::new(routes))
}

/// Serves the requests of one connection that is open already.
pub async fn serve_connection(stream: impl AsyncRead + AsyncWrite + Unpin, app: Arc<App>) {
    let connections = Arc::new(Connections::default());
    let routes = Routes::new(app, &connections);
    server::serve(stream, connections.add(), Arc::new(routes)).await;
}

struct Routes {
    app: Arc<App>,
    large: Arc<Bodies>,
    metrics: Arc<Bodies>,
    /// Held while a filter is compared with the targets.
    asking: Arc<Mutex<()>>,
}

impl Respond for Routes {
    async fn respond(&self, request: Request<Incoming>, connection: Arc<Connection>) -> Response<ResponseBody> {
        let (path, query) = (request.uri().path(), request.uri().query());
        match path {
            _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
                let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD only\n");
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
            _ if path == self.app.telemetry_path => self.metrics(&request, &connection),
            "/-/healthy" => self.app.healthy(),
            "/-/ready" => self.app.ready(),
            "/targets" => self.targets(query, &connection).await,
            "/" => self.page(query, &connection).await,
            _ => not_found("not found\n"),
        }
    }

    fn panicked(&self) -> Response<ResponseBody> {
        internal_error()
    }
}

impl Routes {
    fn new(app: Arc<App>, connections: &Arc<Connections>) -> Self {
        let bodies = |limit| Arc::new(Bodies::new(limit, connections.clone()));
        Self { app, large: bodies(LARGE_BODIES), metrics: bodies(METRICS_BODIES), asking: Arc::default() }
    }

    fn metrics(&self, request: &Request<Incoming>, connection: &Arc<Connection>) -> Response<ResponseBody> {
        let accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let openmetrics = accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with(OPENMETRICS));
        let (format, content_type) = if openmetrics {
            (MetricsFormat::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        } else {
            (MetricsFormat::Classic, "text/plain; version=0.0.4; charset=utf-8")
        };
        let body = self.metrics.add(&self.app.telemetry.metrics(&self.app.status.get(), format));
        let slot = connection.small(&body);
        response(StatusCode::OK, content_type, ResponseBody::new(Bytes::new(), body, Some(slot)))
    }

    /// Serves Prometheus HTTP service discovery (Prometheus documentation, "Writing HTTP service discovery"). With any
    /// status but 200, Prometheus keeps its targets.
    async fn targets(&self, query: Option<&str>, connection: &Arc<Connection>) -> Response<ResponseBody> {
        let status = self.app.status.get();
        let filter = match filter(query) {
            Ok(filter) => filter,
            Err(why) => return text(StatusCode::BAD_REQUEST, why),
        };
        let key = Key::Targets(status.targets_version, filter.clone());
        if !self.large.has(&key) {
            match self.ask(&status, &filter).await {
                Err(RenderFailed) => return internal_error(),
                Ok(Asked::Targets) => {}
                Ok(Asked::Empty) => return response(StatusCode::OK, JSON, ResponseBody::of("[]\n")),
                Ok(Asked::Unavailable(why)) => return text(StatusCode::SERVICE_UNAVAILABLE, why),
                Ok(Asked::NotFound) => return not_found("nothing like this is or was scanned\n"),
            }
        }
        let targets = status.targets.clone().unwrap_or_default();
        let render = move |out: &mut dyn io::Write| {
            if filter.is_empty() {
                return write(&targets, Format::Json, out);
            }
            write(&filter.select(&targets).cloned().collect::<Vec<_>>(), Format::Json, out)
        };
        self.large(&status, key, JSON, String::new(), connection, render).await
    }

    /// Finds out what a filter selects, on a thread for blocking work: comparing it with all targets takes time, and
    /// health checks must not wait for that.
    async fn ask(&self, status: &Status, filter: &TargetFilter) -> Result<Asked, RenderFailed> {
        let turn = self.asking.clone().lock_owned().await;
        let (status, filter) = (status.clone(), filter.clone());
        let asked = spawn_blocking(move || {
            // Goes on when its client is gone, and so does the turn.
            let _turn = turn;
            Asked::of(&status, &filter)
        });
        asked.await.map_err(|_| RenderFailed)
    }

    async fn page(&self, query: Option<&str>, connection: &Arc<Connection>) -> Response<ResponseBody> {
        let status = self.app.status.get();
        let filter = match filter(query) {
            Ok(filter) => filter,
            Err(why) => return text(StatusCode::BAD_REQUEST, why),
        };
        let publication = status.publication.clone();
        let Some(number) = page::number(query, publication.as_deref()) else { return not_found("no such page\n") };
        let start = page::start(&status, &self.app.telemetry_path);
        let app = self.app.clone();
        let key = Key::Page(status.publication_version, filter.clone(), number);
        let render = move |out: &mut dyn io::Write| {
            out.write_all(page::rest(publication.as_deref(), &app.flags, &filter, number).as_bytes())
        };
        self.large(&status, key, HTML, start, connection, render).await
    }

    /// Responds with a body that is rendered once for all who ask for it.
    async fn large(
        &self,
        status: &Status,
        key: Key,
        content_type: &'static str,
        own: String,
        connection: &Arc<Connection>,
        render: impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static,
    ) -> Response<ResponseBody> {
        let Some(slot) = connection.large() else {
            let mut busy = text(StatusCode::SERVICE_UNAVAILABLE, "too many concurrent responses\n");
            busy.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return busy;
        };
        let is_current = |key: &Key| match key {
            Key::Targets(version, _) => *version == status.targets_version,
            Key::Page(version, ..) => *version == status.publication_version,
        };
        match self.large.get(key, is_current, render).await {
            Err(RenderFailed) => internal_error(),
            Ok(body) => {
                slot.sends(&body);
                response(StatusCode::OK, content_type, ResponseBody::new(own.into(), body, Some(slot)))
            }
        }
    }
}

impl App {
    /// Reports whether the loop is alive, whatever AWS says: ECS replaces the whole task of an unhealthy essential
    /// container, which would fix nothing at AWS.
    fn healthy(&self) -> Response<ResponseBody> {
        let status = self.status.get();
        if status.panics >= UNHEALTHY_PANICS {
            let why = format!("the last {} refreshes panicked\n", status.panics);
            return text(StatusCode::SERVICE_UNAVAILABLE, why);
        }
        let stalled = status.last_progress.elapsed();
        if stalled > self.stalled_after {
            let why = format!("the refresh loop has made no progress for {} s\n", stalled.as_secs());
            return text(StatusCode::SERVICE_UNAVAILABLE, why);
        }
        text(StatusCode::OK, "healthy\n")
    }

    fn ready(&self) -> Response<ResponseBody> {
        if self.status.get().ready {
            return text(StatusCode::OK, "ready\n");
        }
        text(StatusCode::SERVICE_UNAVAILABLE, "no complete set of targets is known yet\n")
    }
}

fn filter(query: Option<&str>) -> Result<TargetFilter, &'static str> {
    TargetFilter::of(form_urlencoded::parse(query.unwrap_or_default().as_bytes()))
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<ResponseBody> {
    response(status, TEXT, ResponseBody::of(text))
}

fn not_found(why: &'static str) -> Response<ResponseBody> {
    text(StatusCode::NOT_FOUND, why)
}

fn internal_error() -> Response<ResponseBody> {
    text(StatusCode::INTERNAL_SERVER_ERROR, "internal error: see the log\n")
}

fn response(status: StatusCode, content_type: &'static str, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let fixed = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
