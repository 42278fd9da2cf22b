//! The service's routes: authorise, parse, one call, answer.

mod manage;
mod registry;
mod serve;

use std::sync::Arc;

use ::l402::response::expose_headers;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::PaidProxies;
use super::error::ProxyError;
use super::manage::Page;
use super::serve::{PREFIX, split};
use crate::http::body::as_json;
use crate::http::client::Proxies;
use crate::http::cors::NoPreflight;
use crate::http::extract::{Params, is_below};
use crate::http::keys::{Caller, Gate, Keys, Scope, require_scope};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::problem::name_instance;
use crate::http::respond;

/// Who asks.
type Asker = Extension<Caller>;

/// Items of a page if nobody says, and at most.
const PAGE: u64 = 20;
const LARGEST_PAGE: u64 = 100;

/// The service's routes and their description.
pub fn router(
    app: PaidProxies,
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
        Gate { keys, scope: Scope::L402, refusal: |error| ProxyError::from(error.clone()).into_response() };
    // Counted before the key is looked at, so that guessing keys is limited too.
    let keyed = from_fn_with_state(gate, require_scope);
    let writes = OpenApiRouter::new()
        .routes(routes!(manage::create))
        .routes(routes!(manage::change))
        .routes(routes!(manage::delete))
        .routes(routes!(manage::unpublish))
        .routes(routes!(manage::add_endpoint))
        .routes(routes!(manage::change_endpoint))
        .routes(routes!(manage::delete_endpoint))
        .routes(routes!(manage::change_settings))
        .route_layer(map_request(as_json))
        .route_layer(keyed.clone())
        .route_layer(limited(Class::Write));
    let reads = OpenApiRouter::new()
        .routes(routes!(manage::list))
        .routes(routes!(manage::one))
        .route_layer(keyed)
        .route_layer(limited(Class::Read));
    let public = OpenApiRouter::new()
        .routes(routes!(registry::search))
        .routes(routes!(registry::store))
        .routes(routes!(registry::validate))
        .route_layer(limited(Class::Read));
    // Challenges are counted where they are made, and what is paid for is not counted at all.
    let served = OpenApiRouter::new()
        .route("/l402/proxy/{proxyId}", any(serve::any))
        .route("/l402/proxy/{proxyId}/", any(serve::any))
        .route("/l402/proxy/{proxyId}/{*path}", any(serve::any))
        .layer(Extension(Arc::clone(proxies)));
    let (routes, mut document) =
        writes.merge(reads).merge(public).merge(served).with_state(app).split_for_parts();
    document.merge(serve::Sold::openapi());
    (routes.layer(from_fn(name_instance)).layer(from_fn(for_pages)), document)
}

/// What no handler answered (a time-out, a panic, a wrong method), in the shape that clients of this path read.
pub fn failure(path: &str, status: StatusCode) -> Response {
    ProxyError::of_status(status).answer(path)
}

/// Whether a path is this service's.
pub fn owns(path: &str) -> bool {
    path.starts_with(PREFIX) || ["/api/proxy", "/api/manifests"].iter().any(|root| is_below(path, root))
}

/// Whether requests of this path bound their own time: those that are passed on, whose bodies may take long.
pub fn times_itself(path: &str) -> bool {
    path.starts_with(PREFIX)
}

fn too_many(allowance: &Allowance) -> Response {
    ProxyError::TooMany(allowance.retry_after.unwrap_or(1)).into_response()
}

/// What pages of other sites may read of what is sold, errors and the upstream's own answers too.
async fn for_pages(request: Request, next: Next) -> Response {
    let sold = split(request.uri().path()).is_some();
    let mut response = next.run(request).await;
    if sold {
        expose_headers(response.headers_mut());
        response.extensions_mut().insert(NoPreflight);
    }
    response
}

/// JSON, whole.
fn answer(status: StatusCode, body: Vec<u8>) -> Response {
    respond::no_store(respond::json_bytes(status, body))
}

/// `page` and `pageSize` of a query.
fn page(params: &Params) -> Result<Page, ProxyError> {
    let number = |name: &'static str, default: u64, most: u64| match params
        .get(name)
        .filter(|text| !text.is_empty())
    {
        None => Ok(default),
        Some(text) => text.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
            ProxyError::invalid("invalid_page", format!("{name} must be a whole number from 1 to {most}"))
        }),
    };
    Ok(Page { number: number("page", 1, 1_000_000)?, size: number("pageSize", PAGE, LARGEST_PAGE)? })
}
