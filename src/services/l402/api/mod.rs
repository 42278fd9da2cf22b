//! The family's routes: authorise, parse, one call, answer.

mod challenges;
mod gated;
mod public;
mod stats;
mod views;

use std::sync::Arc;

use axum::http::header::ACCESS_CONTROL_ALLOW_HEADERS;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::options;
use axum::{Extension, Router};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::L402Error;
use super::{L402, Priced};
use crate::http::body::as_json;
use crate::http::extract::is_below;
use crate::http::keys::{Caller, Gate, Keys, Scope, require_scope};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::problem::name_instance;

/// What a page of another site may send besides what any may: its credential.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("Origin, X-Requested-With, Content-Type, Accept, Authorization");

/// Who asks.
type Who = Extension<Caller>;

/// The family's routes and their description.
pub fn router(l402: L402, keys: Keys, limits: &Arc<Limits>) -> (Router, OpenApi) {
    let limited = |class: Class| {
        let (limits, proxies) = (Arc::clone(limits), Arc::clone(l402.proxies()));
        from_fn_with_state(Limiter { limits, proxies, class, refusal: too_many }, limit)
    };
    let gate =
        Gate { keys, scope: Scope::L402, refusal: |error| L402Error::from(error.clone()).into_response() };
    // Counted before the key is looked at, so that guessing keys is limited too.
    let keyed = from_fn_with_state(gate, require_scope);
    let writes = OpenApiRouter::new()
        .routes(routes!(challenges::create))
        .route_layer(keyed.clone())
        .route_layer(limited(Class::Write));
    let verifying = OpenApiRouter::new()
        .routes(routes!(challenges::verify))
        .route_layer(keyed.clone())
        .route_layer(limited(Class::Verify));
    let reads = OpenApiRouter::new()
        .routes(routes!(challenges::list))
        .route_layer(keyed)
        .route_layer(limited(Class::Read));
    let public = OpenApiRouter::new()
        .routes(routes!(public::pricing))
        .routes(routes!(public::status))
        .routes(routes!(stats::stats))
        .route("/api/l402/status", options(preflight))
        .route_layer(limited(Class::Read));
    let (routes, document) = writes
        .merge(verifying)
        .merge(reads)
        .merge(public)
        .merge(sold(&l402))
        .with_state(l402)
        .split_for_parts();
    (routes.layer(map_request(as_json)).layer(from_fn(name_instance)), document)
}

/// Our own routes that cost something. They have no quota: whoever has paid may come as often as the token allows,
/// and new challenges are counted where they are made.
fn sold(l402: &L402) -> OpenApiRouter<L402> {
    let mut all = OpenApiRouter::new();
    for sale in gated::sales(l402.rules()) {
        let priced = Priced::new(l402.clone(), sale.sats).description(sale.description);
        let one = OpenApiRouter::new().routes(match sale.path {
            gated::DEMO => routes!(gated::demo),
            gated::PREMIUM => routes!(gated::premium_data),
            _ => routes!(gated::ping),
        });
        all = all.merge(one.route_layer(priced)).route(sale.path, options(preflight));
    }
    all
}

/// What a browser asks before it sends a credential.
pub(in crate::services) async fn preflight() -> Response {
    let mut response = Response::default();
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    response
}

/// What no handler answered (a time-out, a panic, a wrong method), in the shape that clients of this path read.
pub fn failure(path: &str, status: StatusCode) -> Response {
    L402Error::of_status(status).answer(path)
}

/// Whether a path is this family's.
pub fn owns(path: &str) -> bool {
    ["/api/l402", "/l402", "/api/proxy", "/api/manifests", "/api/stats"]
        .iter()
        .any(|root| is_below(path, root))
}

fn too_many(allowance: &Allowance) -> Response {
    let retry_after = allowance.retry_after.unwrap_or(1);
    let quota = Some((allowance.limit, allowance.window_secs));
    L402Error::TooMany { quota, retry_after }.into_response()
}
