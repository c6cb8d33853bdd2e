//! The control API over HTTP, for scripts in other languages.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::request::Request;
use crate::response::Response;
use crate::state::State;

/// Responds to a request under `/_sim/`. Such requests are not counted and not subject to faults.
pub(crate) fn respond(state: &State, request: &Request) -> Response {
    let done = json!({});
    let path = request.path.strip_prefix("/_sim/").unwrap_or_default();
    match (request.method.as_str(), path) {
        ("GET", "world") => Response::new(200, "application/json", state.lock().world.to_json()),
        ("PUT", "world") => with_body(request, |world| state.lock().world = world),
        ("PUT", "options") => with_body(request, |options| state.set_options(options)),
        ("POST", "faults") => with_body(request, |fault| state.lock().faults.add(fault)),
        ("DELETE", "faults") => {
            state.lock().faults.clear();
            Response::json(200, &done)
        }
        ("POST", "lives") => with_body(request, |birth| {
            state.start_life(birth);
        }),
        ("GET", "calls") => Response::json(200, &state.lock().calls.to_value()),
        ("GET", "calls/scopes") => Response::json(200, &state.lock().calls.to_value_by_scope()),
        ("POST", "calls/reset") => {
            state.take_calls();
            Response::json(200, &done)
        }
        ("POST", path) if path.starts_with("queues/") => {
            state.lock().queues.put(path.trim_start_matches("queues/"), request.raw());
            Response::json(200, &done)
        }
        ("GET", "load") => Response::json(200, &load(state)),
        ("GET", "unexpected") => Response::json(200, &json!(state.lock().unexpected)),
        (method, path) => {
            Response::json(404, &json!({"message": format!("simaws does not know {method} /_sim/{path}")}))
        }
    }
}

fn load(state: &State) -> Value {
    let inner = state.lock();
    json!({"throttled": inner.calls.throttled(), "maxInFlight": inner.calls.max_in_flight()})
}

fn with_body<T: DeserializeOwned>(request: &Request, act: impl FnOnce(T)) -> Response {
    match serde_json::from_str(request.raw()) {
        Ok(body) => {
            act(body);
            Response::json(200, &json!({}))
        }
        Err(error) => Response::json(400, &json!({"message": error.to_string()})),
    }
}
