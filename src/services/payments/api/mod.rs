//! The family's routes: authorise, parse, one call, answer.

mod checkout;
mod export;
mod merchant;
mod payments;
mod rates;
mod refunds;

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Payments;
use super::error::PaymentError;
use crate::http::body::{JsonObject, as_json};
use crate::http::client::Proxies;
use crate::http::extract::is_below;
use crate::http::idempotency::{IdempotencyKey, Reply};
use crate::http::keys::{Caller, Gate, Keys, Scope, require_scope};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::problem::correlate;
use crate::http::respond;

/// Who asks.
type Who = Extension<Caller>;

/// The family's routes and their description.
pub fn router(
    payments: Payments,
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
        refusal: |error| PaymentError::from(error.clone()).into_response(),
    };
    // Counted before the key is looked at, so that guessing keys is limited too: by client, as the keys' own requests
    // are by key.
    let keyed = from_fn_with_state(gate, require_scope);
    let writes = OpenApiRouter::new()
        .routes(routes!(payments::create))
        .routes(routes!(payments::sync))
        .routes(routes!(refunds::create))
        .routes(routes!(merchant::change))
        .route_layer(keyed.clone())
        .route_layer(limited(Class::Write));
    let reads = OpenApiRouter::new()
        .routes(routes!(payments::list))
        .routes(routes!(export::csv))
        .routes(routes!(payments::one))
        .routes(routes!(payments::by_order))
        .routes(routes!(refunds::list))
        .routes(routes!(refunds::one))
        .routes(routes!(refunds::of_payment))
        .routes(routes!(merchant::show))
        .route_layer(keyed)
        .route_layer(limited(Class::Read));
    let public = OpenApiRouter::new()
        .routes(routes!(rates::all))
        .routes(routes!(rates::one))
        .routes(routes!(checkout::status))
        .routes(routes!(checkout::live))
        .layer(Extension(Arc::clone(proxies)))
        .route_layer(limited(Class::Read));
    let (routes, document) = writes.merge(reads).merge(public).with_state(payments).split_for_parts();
    (routes.layer(map_request(as_json)).layer(from_fn(correlate)), document)
}

/// What no handler answered (a time-out, a panic, a wrong method), in the shape that clients of this path read.
pub fn failure(path: &str, status: StatusCode) -> Response {
    PaymentError::of_status(status).answer(path)
}

/// Whether a path is this family's.
pub fn owns(path: &str) -> bool {
    [
        "/api/payments",
        "/api/payments.csv",
        "/api/refunds",
        "/api/rates",
        "/api/merchant/webhook-url",
        "/checkout",
    ]
    .iter()
    .any(|root| is_below(path, root))
}

fn too_many(allowance: &Allowance) -> Response {
    let retry_after = allowance.retry_after.unwrap_or(1);
    let quota = Some((allowance.limit, allowance.window_secs));
    PaymentError::TooMany { quota, retry_after }.into_response()
}

/// JSON, whole.
fn answer(body: Vec<u8>) -> Response {
    respond::no_store(respond::json_bytes(StatusCode::OK, body))
}

fn answer_done(done: Reply) -> Response {
    let replayed = matches!(done, Reply::Replayed(_));
    let mut response = done.into_response();
    if replayed {
        let name = HeaderName::from_static("x-idempotency-replayed");
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    response
}

/// The request's idempotency key. One account's keys are nothing to another.
fn once(
    headers: &HeaderMap,
    caller: &Caller,
    route: &str,
    body: &JsonObject,
) -> Result<Option<IdempotencyKey>, PaymentError> {
    Ok(IdempotencyKey::read(headers, &format!("payments {}", caller.account), route, &body.raw)?)
}
