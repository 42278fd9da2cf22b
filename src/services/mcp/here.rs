//! `/mcp`: the tools over streamable HTTP, behind an API key, asked of this very process. There are no sessions: each
//! request stands for itself and shows the key, so nothing is kept for whoever asks.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::future::BoxFuture;
use rmcp::model::Extensions;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Serialize;
use tower::ServiceExt;
use utoipa::{OpenApi, ToSchema};

use super::{Backend, Call, Reply, ToolServer};
use crate::http::client::Proxies;
use crate::http::extract::is_below;
use crate::http::keys::{AnyGate, Caller, Gate, KeyError, Keys, Scope, require_any_scope};
use crate::http::limits::{Allowance, Class, Limiter, Limits, limit};
use crate::http::problem::{Failure, Problem, correlate};
use crate::http::respond;

/// Bytes of a message of the protocol.
const LARGEST_MESSAGE: usize = 4 * 1_024 * 1_024;

/// Bytes of an answer of the API: what a service answered, as text in JSON, and more.
const LARGEST_ANSWER: usize = 128 * 1_024 * 1_024;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Asks the routes of this process.
struct Here {
    routes: Router,
}

impl Backend for Here {
    fn scopes<'a>(&'a self, asked: &'a Extensions) -> BoxFuture<'a, Result<Vec<Scope>, String>> {
        let caller = asked.get::<Parts>().and_then(|parts| parts.extensions.get::<Caller>());
        let scopes = caller.map(|caller| caller.scopes.to_vec()).ok_or_else(|| "no API key".to_owned());
        Box::pin(std::future::ready(scopes))
    }

    fn send<'a>(&'a self, asked: &'a Extensions, call: Call) -> BoxFuture<'a, Result<Reply, String>> {
        Box::pin(async move {
            let parts = asked.get::<Parts>().ok_or("no API key")?;
            let request = request(parts, call).ok_or("the request can't be made")?;
            let response = self.routes.clone().oneshot(request).await;
            let response = response.unwrap_or_else(|never| match never {});
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), LARGEST_ANSWER).await;
            let body = body.map_err(|_| "the answer is too large".to_owned())?;
            Ok(Reply { status, body: body.to_vec() })
        })
    }
}

/// The same caller's request of a route.
fn request(parts: &Parts, call: Call) -> Option<Request> {
    let body = match &call.body {
        Some(body) => Body::from(serde_json::to_vec(body).ok()?),
        None => Body::empty(),
    };
    let mut request = Request::builder().method(call.method).uri(call.path).body(body).ok()?;
    // Who asks, and from where.
    *request.extensions_mut() = parts.extensions.clone();
    let headers = request.headers_mut();
    for name in [AUTHORIZATION, API_KEY] {
        for value in parts.headers.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(once) = call.once {
        headers.insert("idempotency-key", HeaderValue::from_str(&once).ok()?);
    }
    Some(request)
}

/// `/mcp`, and `/v1/key`, which tells what a key opens. `routes` are those that tools ask.
pub fn router(routes: Router, keys: Keys, limits: &Arc<Limits>, proxies: &Arc<Proxies>) -> Router {
    let server = ToolServer::new(Arc::new(Here { routes }));
    // Who has no key is not let in, whatever host or origin they name.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(LARGEST_MESSAGE)
        .disable_allowed_hosts();
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let limiter = Limiter {
        limits: Arc::clone(limits),
        proxies: Arc::clone(proxies),
        class: Class::Read,
        refusal: too_many,
    };
    let gate = AnyGate {
        gate: Gate { keys, scope: Scope::Purse, refusal: |error| refused(error).into_response() },
        or: &Scope::ALL,
    };
    Router::new()
        .route_service("/mcp", service)
        .route("/v1/key", get(key))
        .route_layer(from_fn_with_state(gate, require_any_scope))
        .route_layer(from_fn_with_state(limiter, limit))
        .layer(from_fn(correlate))
}

/// Whether a path is one of these.
pub fn owns(path: &str) -> bool {
    is_below(path, "/mcp") || is_below(path, "/v1/key")
}

/// Whether requests of this path bound their own time: a tool takes as long as its route.
pub fn times_itself(path: &str) -> bool {
    path == "/mcp"
}

/// What no handler answered.
pub fn failure(path: &str, status: StatusCode) -> Response {
    let (code, message) = match status {
        StatusCode::NOT_FOUND => ("NOT_FOUND", "There is no such route"),
        StatusCode::METHOD_NOT_ALLOWED => ("METHOD_NOT_ALLOWED", "Not with this method"),
        _ => ("UNAVAILABLE", "The request could not be answered"),
    };
    Problem::new(status.as_u16(), code, message).answer(path)
}

/// What a key opens.
#[derive(Serialize, ToSchema)]
struct KeyView {
    /// `gifts`, `tips`, `payments`, `l402`, `withdraw`, `purse`, `scheduler`, `admin`.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
}

/// What your key opens.
#[utoipa::path(
    get, path = "/v1/key", tag = "agents",
    responses((status = 200, description = "Its scopes", body = KeyView), Failure)
)]
async fn key(Extension(caller): Extension<Caller>) -> Response {
    respond::no_store(respond::json(StatusCode::OK, &KeyView { scopes: caller.scopes.to_vec() }))
}

/// Tools for language-model agents: the Model Context Protocol over streamable HTTP, without sessions.
#[utoipa::path(
    post, path = "/mcp", tag = "agents",
    request_body(content = serde_json::Value, description = "A message of the protocol (JSON-RPC)"),
    responses((status = 200, description = "Its answer", body = serde_json::Value), Failure)
)]
#[expect(dead_code, reason = "a description alone")]
fn mcp() {}

#[derive(OpenApi)]
#[openapi(paths(key, mcp))]
struct Document;

/// What the API's document says of them.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

fn refused(error: &KeyError) -> Problem {
    match error {
        KeyError::Missing => Problem::new(
            401,
            "MISSING_API_KEY",
            "An API key is required: Authorization: Bearer, or X-API-Key",
        ),
        KeyError::Store(_) => Problem::new(503, "UNAVAILABLE", "Try again soon").retry_after(5),
        _ => Problem::new(401, "INVALID_API_KEY", "Invalid API key"),
    }
}

fn too_many(allowance: &Allowance) -> Response {
    let quota = Some((allowance.limit, format!("{} seconds", allowance.window_secs)));
    Problem::new(429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded")
        .too_many(quota, allowance.retry_after.unwrap_or(1))
        .into_response()
}
