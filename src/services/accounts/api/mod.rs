//! The service's routes: authorise, parse, one call, answer.

mod account;
mod withdrawals;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{AccountError, Accounts};
use crate::http::body::as_json;
use crate::http::client::Proxies;
use crate::http::extract::is_below;
use crate::http::keys::{AnyGate, Caller, Gate, Keys, Scope, require_any_scope, require_scope};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::problem::correlate;
use crate::http::respond;

/// Who asks.
type Who = Extension<Caller>;

/// The service's routes and their description.
pub fn router(
    accounts: Accounts,
    keys: Keys,
    limits: &Arc<Limits>,
    proxies: &Arc<Proxies>,
) -> (Router, OpenApi) {
    let limited = |class: Class| {
        let limiter =
            Limiter { limits: Arc::clone(limits), proxies: Arc::clone(proxies), class, refusal: too_many };
        from_fn_with_state(limiter, limit)
    };
    let gate = |scope| Gate {
        keys: keys.clone(),
        scope,
        refusal: |error| AccountError::from(error.clone()).into_response(),
    };
    // Counted before the key is looked at, so that guessing keys is limited too.
    let writes = OpenApiRouter::new()
        .routes(routes!(withdrawals::create))
        .route_layer(from_fn_with_state(gate(Scope::Withdraw), require_scope))
        .route_layer(limited(Class::Write));
    let readers = AnyGate { gate: gate(Scope::Payments), or: &[Scope::L402, Scope::Withdraw] };
    let reads = OpenApiRouter::new()
        .routes(routes!(account::show))
        .routes(routes!(account::statement))
        .routes(routes!(account::table))
        .routes(routes!(withdrawals::one))
        .route_layer(from_fn_with_state(readers, require_any_scope))
        .route_layer(limited(Class::Read));
    let (routes, document) = writes.merge(reads).with_state(accounts).split_for_parts();
    (routes.layer(map_request(as_json)).layer(from_fn(correlate)), document)
}

/// What no handler answered (a time-out, a panic, a wrong method), in the shape that clients of this path read.
pub fn failure(path: &str, status: StatusCode) -> Response {
    AccountError::of_status(status).answer(path)
}

/// Whether a path is this service's.
pub fn owns(path: &str) -> bool {
    is_below(path, "/v1/account")
}

fn too_many(allowance: &Allowance) -> Response {
    let retry_after = allowance.retry_after.unwrap_or(1);
    let quota = Some((allowance.limit, allowance.window_secs));
    AccountError::TooMany { quota, retry_after }.into_response()
}

/// JSON, whole.
fn answer(body: Vec<u8>) -> Response {
    respond::no_store(respond::json_bytes(StatusCode::OK, body))
}
