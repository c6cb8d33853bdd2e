//! The HTTP endpoints: metrics, health, targets, and a status page.
//!
//! A slow or hostile client takes a bounded amount of memory and can delay neither a refresh nor a health check:
//!
//! * [`server`]: serves on a thread of its own; heads, their time and connections' lifetimes are limited, and request
//!   bodies are never read.
//! * [`connections`]: which connection has to go when there are too many.
//! * [`bodies`]: the bodies in memory, each [`rendered`] once per refresh; [`body`]: how they are sent.
//! * [`routes`]: the endpoints; [`targets`]: which targets a request is for; [`page`]: the status page.

mod bodies;
mod body;
mod connections;
mod healthcheck;
mod page;
mod rendered;
mod routes;
mod server;
mod targets;

pub use self::healthcheck::healthcheck;
pub use self::routes::{App, serve, serve_connection};
pub use self::server::{Server, bind};
