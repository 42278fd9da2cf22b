//! The service's routes: authorise, parse, one call, answer.

mod agents;
mod attestations;
mod capabilities;
mod requests;

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ids::Pubkey;
use super::{AgentError, Agents};
use crate::http::body::{JsonObject, as_json};
use crate::http::client::Proxies;
use crate::http::extract::{Params, is_below};
use crate::http::idempotency::IdempotencyKey;
use crate::http::keys::{Caller, Gate, Keys, Scope, require_scope};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::problem::name_instance;
use crate::http::respond;

/// What all paths begin with.
const ROOT: &str = "/api/agents";

/// Who asks.
type Who = Extension<Caller>;

/// The service's routes and their description. Writing needs a key of the scope `l402`; reading needs none.
pub fn router(
    service: Agents,
    keys: Keys,
    limits: &Arc<Limits>,
    proxies: &Arc<Proxies>,
) -> (Router, OpenApi) {
    let limited = |class: Class| {
        let limiter =
            Limiter { limits: Arc::clone(limits), proxies: Arc::clone(proxies), class, refusal: too_many };
        from_fn_with_state(limiter, limit)
    };
    let gate =
        Gate { keys, scope: Scope::L402, refusal: |error| AgentError::from(error.clone()).into_response() };
    // Counted before the key is looked at, so that guessing keys is limited too.
    let keyed = from_fn_with_state(gate, require_scope);
    let writes = OpenApiRouter::new()
        .routes(routes!(agents::register))
        .routes(routes!(agents::challenge))
        .routes(routes!(agents::verify))
        .routes(routes!(capabilities::publish))
        .routes(routes!(capabilities::withdraw))
        .routes(routes!(requests::create))
        .routes(routes!(attestations::create))
        .route_layer(keyed.clone())
        .route_layer(limited(Class::Write));
    let own = OpenApiRouter::new()
        .routes(routes!(requests::list))
        .route_layer(keyed)
        .route_layer(limited(Class::Read));
    let public = OpenApiRouter::new()
        .routes(routes!(agents::list))
        .routes(routes!(agents::one))
        .routes(routes!(agents::stats))
        .routes(routes!(capabilities::search))
        .routes(routes!(attestations::list))
        .route_layer(limited(Class::Read));
    let (routes, document) = writes.merge(own).merge(public).with_state(service).split_for_parts();
    (routes.layer(map_request(as_json)).layer(from_fn(name_instance)), document)
}

/// What no handler answered (a time-out, a panic, a wrong method), in the shape that clients of this path read.
pub fn failure(path: &str, status: StatusCode) -> Response {
    AgentError::of_status(status).answer(path)
}

/// Whether a path is this service's.
pub fn owns(path: &str) -> bool {
    is_below(path, ROOT)
}

fn too_many(allowance: &Allowance) -> Response {
    let retry_after = allowance.retry_after.unwrap_or(1);
    AgentError::TooMany { quota: (allowance.limit, allowance.window_secs), retry_after }.into_response()
}

/// JSON, whole.
fn answer(body: Vec<u8>) -> Response {
    respond::no_store(respond::json_bytes(StatusCode::OK, body))
}

/// What an account asks to be done only once, if it does.
fn once(
    caller: &Caller,
    route: &str,
    headers: &HeaderMap,
    body: &JsonObject,
) -> Result<Option<IdempotencyKey>, AgentError> {
    Ok(IdempotencyKey::read(headers, &format!("agents {}", caller.account), route, &body.raw)?)
}

/// A key in a path or a query.
fn pubkey(text: &str) -> Result<Pubkey, AgentError> {
    text.parse().map_err(|_| AgentError::invalid("invalid_pubkey", "pubkey must be 64 hex digits"))
}

/// A number of a query, within bounds.
fn number(
    params: &Params,
    name: &'static str,
    slug: &'static str,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, AgentError> {
    match params.get(name).filter(|text| !text.is_empty()) {
        None => Ok(default),
        Some(text) => text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            AgentError::invalid(slug, format!("{name} must be a whole number from {least} to {most}"))
        }),
    }
}
