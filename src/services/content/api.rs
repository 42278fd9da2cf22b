//! The documents' routes.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::options;
use axum::{Extension, Router};
use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Content, ContentsView, PATH, all_of, whole_of};
use crate::http::client::Proxies;
use crate::http::extract::{Id, is_below};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::problem::{Problem, name_instance};
use crate::http::respond;
use crate::services::l402::Admission;
use crate::services::l402::api::preflight;
use crate::services::proxy::error::ProxyError;

/// The routes and their description.
pub fn router(content: Content, limits: &Arc<Limits>, proxies: &Arc<Proxies>) -> (Router, OpenApi) {
    let limiter = Limiter {
        limits: Arc::clone(limits),
        proxies: Arc::clone(proxies),
        class: Class::Read,
        refusal: too_many,
    };
    let free = OpenApiRouter::new().routes(routes!(list)).route_layer(from_fn_with_state(limiter, limit));
    // Challenges are counted where they are made, and what is paid for is not counted at all.
    let sold = OpenApiRouter::new()
        .routes(routes!(bundle))
        .routes(routes!(one))
        .route("/api/l402/content/bundle", options(preflight))
        .route("/api/l402/content/{slug}", options(preflight))
        .layer(Extension(Arc::clone(proxies)));
    let (routes, document) = free.merge(sold).with_state(content).split_for_parts();
    (routes.layer(from_fn(name_instance)), document)
}

/// Whether a path is one of these.
pub fn owns(path: &str) -> bool {
    is_below(path, PATH)
}

fn too_many(allowance: &Allowance) -> Response {
    ProxyError::TooMany(allowance.retry_after.unwrap_or(1)).into_response()
}

/// What can be bought, and for how much.
#[utoipa::path(
    get, path = "/api/l402/content", tag = "l402-content",
    responses((status = 200, description = "The list", body = ContentsView))
)]
async fn list(State(content): State<Content>) -> Response {
    respond::no_store(respond::json(StatusCode::OK, &content.list().await))
}

/// A document, for whoever paid for it or for the bundle.
#[utoipa::path(
    get, path = "/api/l402/content/{slug}", tag = "l402-content",
    params(("slug" = String, Path, description = "Which")),
    responses(
        (status = 200, description = "The document", body = Value),
        (status = 402, description = "Pay the invoice in `WWW-Authenticate`, and ask again"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn one(
    State(content): State<Content>,
    Extension(proxies): Extension<Arc<Proxies>>,
    Id(slug): Id,
    request: Request,
) -> Response {
    let client = proxies.client(request.extensions(), request.headers());
    let headers = request.headers().clone();
    drop(request);
    match content.one(client, &headers, &slug).await {
        Some((admission, documents)) => answer(admission, || whole_of(&documents, &slug)),
        None => ProxyError::ContentNotFound.into_response(),
    }
}

/// All documents, for whoever paid for the bundle.
#[utoipa::path(
    get, path = "/api/l402/content/bundle", tag = "l402-content",
    responses(
        (status = 200, description = "All documents", body = Value),
        (status = 402, description = "Pay the invoice in `WWW-Authenticate`, and ask again"),
    )
)]
async fn bundle(
    State(content): State<Content>,
    Extension(proxies): Extension<Arc<Proxies>>,
    request: Request,
) -> Response {
    let client = proxies.client(request.extensions(), request.headers());
    let headers = request.headers().clone();
    drop(request);
    let (admission, documents) = content.bundle(client, &headers).await;
    answer(admission, || all_of(&documents))
}

/// What is sold is put together for whoever paid, and for nobody else.
fn answer(admission: Admission, value: impl FnOnce() -> Value) -> Response {
    match admission {
        Admission::Refused(response) => response,
        Admission::Paid(lease) => {
            let mut response = respond::json(StatusCode::OK, &value()).into_response();
            lease.admitted().add_headers(response.headers_mut());
            lease.mark_used();
            response
        }
    }
}
