//! The service's routes: parse, authorise, one call, answer.

mod checkout;
mod orders;
mod products;

use std::sync::Arc;

use axum::Router;
use axum::http::header::ACCESS_CONTROL_ALLOW_HEADERS;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::options;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Shop, ShopError};
use crate::http::body::as_json;
use crate::http::client::Proxies;
use crate::http::extract::{Params, is_below};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::problem::correlate;
use crate::http::respond;

/// What a page of another site may send to a checkout: a credential, where the buyer is, and its key.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "Origin, X-Requested-With, Content-Type, Accept, Authorization, X-Buyer-Location, X-Idempotency-Key, Idempotency-Key",
);

/// The service's routes and their description.
pub fn router(shop: Shop, limits: &Arc<Limits>, proxies: &Arc<Proxies>) -> (Router, OpenApi) {
    let limited = |class: Class| {
        let limiter =
            Limiter { limits: Arc::clone(limits), proxies: Arc::clone(proxies), class, refusal: too_many };
        from_fn_with_state(limiter, limit)
    };
    let writes = OpenApiRouter::new()
        .routes(routes!(checkout::checkout))
        .route("/api/shopify/{slug}/checkout", options(preflight))
        .routes(routes!(orders::claim))
        .routes(routes!(orders::refund))
        .routes(routes!(products::open))
        .route_layer(limited(Class::Write));
    let reads = OpenApiRouter::new()
        .routes(routes!(checkout::catalogue))
        .routes(routes!(orders::one))
        .routes(routes!(products::list))
        .routes(routes!(products::one))
        .route_layer(limited(Class::Read));
    let (routes, document) = writes.merge(reads).with_state(shop).split_for_parts();
    (routes.layer(map_request(as_json)).layer(from_fn(correlate)), document)
}

/// What a browser asks before a page of another site sends a credential.
async fn preflight() -> Response {
    let mut response = Response::default();
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    response
}

/// What no handler answered (a time-out, a panic, a wrong method), in the shape that clients of this path read.
pub fn failure(path: &str, status: StatusCode) -> Response {
    ShopError::of_status(status).answer(path)
}

/// Whether a path is this service's.
pub fn owns(path: &str) -> bool {
    ["/api/shopify", "/api/checkout", "/store"].iter().any(|root| is_below(path, root))
}

fn too_many(allowance: &Allowance) -> Response {
    let retry_after = allowance.retry_after.unwrap_or(1);
    let quota = Some((allowance.limit, allowance.window_secs));
    ShopError::TooMany { quota, retry_after }.into_response()
}

/// How many things of a page are asked for; `None` where nothing is.
fn page_limit(params: &Params, most: usize) -> Result<Option<usize>, ShopError> {
    let Some(text) = params.get("limit").filter(|text| !text.is_empty()) else { return Ok(None) };
    let limit = text.parse().ok().filter(|limit| *limit > 0);
    limit.map(Some).ok_or_else(|| {
        ShopError::invalid("INVALID_LIMIT", format!("limit must be a whole number from 1 to {most}"))
    })
}

/// JSON, whole.
fn answer(body: Vec<u8>) -> Response {
    respond::no_store(respond::json_bytes(StatusCode::OK, body))
}
