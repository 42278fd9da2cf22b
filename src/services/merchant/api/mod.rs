//! The service's routes: authorise, parse, one call, answer.

mod account;
mod providers;
mod public;
mod signup;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{MerchantError, Merchants};
use crate::http::body::as_json;
use crate::http::client::Proxies;
use crate::http::extract::is_below;
use crate::http::keys::{AnyGate, Caller, Gate, Keys, Scope, require_any_scope};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::problem::correlate;
use crate::http::respond;

/// Who asks.
type Who = Extension<Caller>;

/// The service's routes and their description.
pub fn router(
    merchants: Merchants,
    keys: Keys,
    limits: &Arc<Limits>,
    proxies: &Arc<Proxies>,
) -> (Router, OpenApi) {
    let limited = |class: Class| {
        let limiter =
            Limiter { limits: Arc::clone(limits), proxies: Arc::clone(proxies), class, refusal: too_many };
        from_fn_with_state(limiter, limit)
    };
    let gate = Gate {
        keys,
        scope: Scope::Payments,
        refusal: |error| MerchantError::from(error.clone()).into_response(),
    };
    // Whoever sells may look at the account. Counted before the key is looked at, so that guessing keys is limited too.
    let keyed = from_fn_with_state(AnyGate { gate, or: &[Scope::L402, Scope::Withdraw] }, require_any_scope);
    let writes = OpenApiRouter::new()
        .routes(routes!(providers::payment_provider))
        .routes(routes!(providers::nwc_connection))
        .routes(routes!(providers::opennode_key))
        .routes(routes!(providers::validate_opennode))
        .routes(routes!(providers::renew))
        .route_layer(keyed.clone())
        .route_layer(limited(Class::Write));
    let reads = OpenApiRouter::new()
        .routes(routes!(account::me))
        .routes(routes!(account::l402_status))
        .routes(routes!(account::subscription))
        .routes(routes!(account::quickstart))
        .route_layer(keyed)
        .route_layer(limited(Class::Read));
    let sold = OpenApiRouter::new()
        .routes(routes!(signup::sign_up))
        .layer(Extension(Arc::clone(proxies)))
        .route_layer(limited(Class::Write));
    let public = OpenApiRouter::new()
        .routes(routes!(providers::opennode_webhook))
        .routes(routes!(public::version_check))
        .routes(routes!(public::downloads))
        .routes(routes!(public::shop))
        .route_layer(limited(Class::Read));
    let (routes, document) =
        writes.merge(reads).merge(sold).merge(public).with_state(merchants).split_for_parts();
    (routes.layer(map_request(as_json)).layer(from_fn(correlate)), document)
}

/// What no handler answered (a time-out, a panic, a wrong method), in the shape that clients of this path read.
pub fn failure(path: &str, status: StatusCode) -> Response {
    MerchantError::of_status(status).answer(path)
}

/// Whether a path is this service's.
pub fn owns(path: &str) -> bool {
    ["/api/merchant", "/api/signup", "/api/mcp", "/api/webhooks"].iter().any(|root| is_below(path, root))
}

fn too_many(allowance: &Allowance) -> Response {
    let retry_after = allowance.retry_after.unwrap_or(1);
    let quota = Some((allowance.limit, allowance.window_secs));
    MerchantError::TooMany { quota, retry_after }.into_response()
}

/// JSON, whole.
fn answer(body: Vec<u8>) -> Response {
    respond::no_store(respond::json_bytes(StatusCode::OK, body))
}
