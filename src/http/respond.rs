//! Answers: JSON on one line with a `Content-Length`, never chunked, because small devices read it by hand.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

/// `value` as JSON with this status. What can't be written as JSON is a bug: it is logged and answered with 500.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => json_bytes(status, body),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            json_bytes(StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"internal error"}"#)
        }
    }
}

/// What can't be written as JSON: a bug.
#[derive(Debug, thiserror::Error)]
#[error("an answer could not be written as JSON: {0}")]
pub struct NotJson(serde_json::Error);

/// The body of an answer that is kept, or given later.
///
/// # Errors
/// [`NotJson`].
pub fn to_json(value: &impl Serialize) -> Result<Vec<u8>, NotJson> {
    serde_json::to_vec(value).map_err(NotJson)
}

/// A body that is JSON already: a replayed answer, a page made once.
pub fn json_bytes(status: StatusCode, body: impl Into<Body>) -> Response {
    typed(status, HeaderValue::from_static("application/json; charset=utf-8"), body)
}

/// A page.
pub fn html(status: StatusCode, body: impl Into<Body>) -> Response {
    typed(status, HeaderValue::from_static("text/html; charset=utf-8"), body)
}

/// A body with the type it says.
pub fn typed(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Marks an answer that no cache may keep: it holds a secret, or it is about money that moves.
pub fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
