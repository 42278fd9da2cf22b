//! The family's routes: authorise, parse, one call, answer.

mod challenges;
mod gated;
mod public;
mod stats;
mod views;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::ACCESS_CONTROL_ALLOW_HEADERS;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::options;
use axum::{Extension, Router};
use utoipa::IntoResponses;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{L402Error, L402ErrorView};
use super::{L402, Priced};
use crate::http::keys::{Caller, Gate, Keys, Scope, require_scope};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};

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
        .routes(routes!(challenges::verify))
        .route_layer(keyed.clone())
        .route_layer(limited(Class::Write));
    let reads = OpenApiRouter::new()
        .routes(routes!(challenges::list))
        .routes(routes!(stats::stats))
        .route_layer(keyed)
        .route_layer(limited(Class::Read));
    let public = OpenApiRouter::new()
        .routes(routes!(public::pricing))
        .routes(routes!(public::status))
        .route_layer(limited(Class::Read));
    let (routes, document) =
        writes.merge(reads).merge(public).merge(sold(&l402)).with_state(l402).split_for_parts();
    (routes.layer(from_fn(name_instance)), document)
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
pub(super) async fn preflight() -> Response {
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
        .any(|prefix| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn too_many(allowance: &Allowance) -> Response {
    let retry_after = allowance.retry_after.unwrap_or(1);
    let quota = Some((allowance.limit, allowance.window_secs));
    L402Error::TooMany { quota, retry_after }.into_response()
}

/// Tells in the body of an error which path was asked.
async fn name_instance(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let Some(error) = response.extensions().get::<L402Error>() else { return response };
    let mut named = error.answer(&path);
    for (name, value) in response.headers() {
        if name.as_str().starts_with("x-ratelimit-") {
            named.headers_mut().insert(name.clone(), value.clone());
        }
    }
    named
}

/// How any of these routes can fail besides its own refusals.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "a schema alone")]
enum Failure {
    /// No API key, or one that is not valid
    #[response(status = 401, content_type = "application/problem+json")]
    Key(L402ErrorView<'static>),
    /// The API key lacks the scope `l402`
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(L402ErrorView<'static>),
    /// Too many requests
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(L402ErrorView<'static>),
    /// A bug, or the machine is broken
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(L402ErrorView<'static>),
    /// The node or the database can't take this now
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(L402ErrorView<'static>),
}
