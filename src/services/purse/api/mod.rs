//! The service's routes: authorise, parse, one call, answer.

mod purse;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{PurseError, Purses};
use crate::http::body::as_json;
use crate::http::client::Proxies;
use crate::http::extract::is_below;
use crate::http::keys::{Caller, Gate, Keys, Scope, require_scope};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::problem::correlate;
use crate::http::respond;

/// Who asks.
type Who = Extension<Caller>;

/// The service's routes and their description.
pub fn router(purses: Purses, keys: Keys, limits: &Arc<Limits>, proxies: &Arc<Proxies>) -> (Router, OpenApi) {
    let limited = |class: Class| {
        let limiter =
            Limiter { limits: Arc::clone(limits), proxies: Arc::clone(proxies), class, refusal: too_many };
        from_fn_with_state(limiter, limit)
    };
    let gate =
        Gate { keys, scope: Scope::Purse, refusal: |error| PurseError::from(error.clone()).into_response() };
    // Counted before the key is looked at, so that guessing keys is limited too.
    let writes = OpenApiRouter::new()
        .routes(routes!(purse::fetch))
        .routes(routes!(purse::pay))
        .route_layer(from_fn_with_state(gate.clone(), require_scope))
        .route_layer(limited(Class::Write));
    let reads = OpenApiRouter::new()
        .routes(routes!(purse::show))
        .routes(routes!(purse::payment))
        .route_layer(from_fn_with_state(gate, require_scope))
        .route_layer(limited(Class::Read));
    let (routes, document) = writes.merge(reads).with_state(purses).split_for_parts();
    (routes.layer(map_request(as_json)).layer(from_fn(correlate)), document)
}

/// What no handler answered (a time-out, a panic, a wrong method), in the shape that clients of this path read.
pub fn failure(path: &str, status: StatusCode) -> Response {
    PurseError::of_status(status).answer(path)
}

/// Whether a path is this service's.
pub fn owns(path: &str) -> bool {
    is_below(path, "/v1/purse")
}

/// Whether requests of this path bound their own time: by what a service and a payment may take.
pub fn times_itself(path: &str) -> bool {
    matches!(path, "/v1/purse/fetch" | "/v1/purse/pay")
}

fn too_many(allowance: &Allowance) -> Response {
    let retry_after = allowance.retry_after.unwrap_or(1);
    let quota = Some((allowance.limit, allowance.window_secs));
    PurseError::TooMany { quota, retry_after }.into_response()
}

/// JSON, whole.
fn answer(body: Vec<u8>) -> Response {
    respond::no_store(respond::json_bytes(StatusCode::OK, body))
}
