//! The family's routes: parse, authorise, one call, answer.
//!
//! Every answer is JSON on one line with its length, and in no cache; the HTTP server opens it to any page.
//! The LNURL routes answer 200 whatever happens, because wallets look at nothing but the body.

mod bodies;
mod extract;
mod gifts;
mod lnurl;
mod manage;
mod redeem;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::GiftError;
use super::view::ErrorView;
use super::{Done, Gifts};
use crate::http::client::Proxies;
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::respond;

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Api {
    gifts: Gifts,
    proxies: Arc<Proxies>,
}

/// The family's routes and their description. Creating, redeeming and LNURL count as writes, the rest as
/// reads.
pub fn router(gifts: Gifts, limits: &Arc<Limits>, proxies: &Arc<Proxies>) -> (Router, OpenApi) {
    let limited = |class: Class, refusal: fn(&Allowance) -> Response| {
        let limiter = Limiter { limits: Arc::clone(limits), proxies: Arc::clone(proxies), class, refusal };
        from_fn_with_state(limiter, limit)
    };
    let writes = OpenApiRouter::new()
        .routes(routes!(gifts::create))
        .routes(routes!(redeem::redeem))
        .routes(routes!(manage::refund))
        .route_layer(limited(Class::Write, |_| refused(GiftError::TooMany { retry_after: 0 })));
    let wallets = OpenApiRouter::new()
        .routes(routes!(lnurl::withdraw))
        .routes(routes!(lnurl::pay))
        .routes(routes!(lnurl::pay_asked))
        .route_layer(limited(Class::Write, |_| lnurl::refused(GiftError::TooMany { retry_after: 0 })));
    let reads = OpenApiRouter::new()
        .routes(routes!(gifts::status))
        .routes(routes!(gifts::gift))
        .routes(routes!(gifts::live))
        .routes(routes!(gifts::page))
        .routes(routes!(redeem::redeem_status, redeem::redeem_status_posted))
        .routes(routes!(manage::manage))
        .route_layer(limited(Class::Read, |_| refused(GiftError::TooMany { retry_after: 0 })));
    let api = Api { gifts, proxies: Arc::clone(proxies) };
    writes.merge(wallets).merge(reads).with_state(api).split_for_parts()
}

/// What no handler answered (a time-out, a panic, a body over the limit), in the shape that clients of this
/// path read.
pub fn failure(path: &str, status: StatusCode) -> Response {
    let code = match status.as_u16() {
        404 => "NOT_FOUND",
        405 => "METHOD_NOT_ALLOWED",
        408 | 504 => "REQUEST_TIMEOUT",
        413 => GiftError::BodyTooLarge.code(),
        503 => GiftError::NodeUnavailable.code(),
        _ => GiftError::Internal.code(),
    };
    if path == "/lnurl" || path.starts_with("/lnurl/") {
        return lnurl::error(code);
    }
    error(status, ErrorView { status_code: status.as_u16(), message: code, max_sat: None, reason: None })
}

/// JSON, or the family's error.
fn answer(result: Result<Vec<u8>, GiftError>) -> Response {
    match result {
        Ok(body) => respond::no_store(respond::json_bytes(StatusCode::OK, body)),
        Err(error) => refused(error),
    }
}

/// The same for what may have been done before.
fn answer_done(result: Result<Done<Vec<u8>>, GiftError>) -> Response {
    match result {
        Ok(Done::Now(body)) => answer(Ok(body)),
        Ok(Done::Before(recorded)) => respond::no_store(recorded.into_response()),
        Err(error) => refused(error),
    }
}

/// An error in the family's shape.
fn refused(refusal: GiftError) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let retry_after = refusal.retry_after();
    let mut response = error(status, ErrorView::from(refusal));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn error(status: StatusCode, body: ErrorView) -> Response {
    respond::no_store(respond::json(status, &body))
}
