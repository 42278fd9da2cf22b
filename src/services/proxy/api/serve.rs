//! What is sold: all seven methods of every path below a proxy, but for two documents that are free.
//!
//! They are one handler; the description lists them one by one.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use crate::http::client::Proxies;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::proxy::PaidProxies;
use crate::services::proxy::error::ProxyError;

/// What the two documents and the seven say of themselves.
#[derive(OpenApi)]
#[openapi(paths(manifest, openapi, get, head, post, put, patch, delete, options))]
pub(super) struct Sold;

/// Any method; those that are none of the seven are refused with 405.
pub(super) async fn any(
    State(app): State<PaidProxies>,
    Extension(proxies): Extension<Arc<Proxies>>,
    request: Request,
) -> Response {
    let client = proxies.client(request.extensions(), request.headers());
    match app.free(client, (request.method(), request.uri().path())).await {
        Ok(None) => {}
        Ok(Some((allowance, document))) => {
            let mut response = match document {
                Some(document) => respond::no_store(respond::json(StatusCode::OK, &document)),
                None => ProxyError::TooMany(allowance.retry_after.unwrap_or(1)).into_response(),
            };
            allowance.write_headers(response.headers_mut());
            return response;
        }
        Err(error) => return error.into_response(),
    }
    app.serve(client, request).await.unwrap_or_else(ProxyError::into_response)
}

/// A proxy's manifest, for free. If its owner doesn't show it, the path is the service's.
#[utoipa::path(
    get, path = "/l402/proxy/{proxyId}/.well-known/l402-manifest.json", tag = "l402-proxy",
    params(("proxyId" = String, Path, description = "The proxy's id")),
    responses(
        (status = 200, description = "The manifest, version 1", body = Value),
        (status = 404, description = "There is no such proxy in service", body = Problem, content_type = "application/problem+json"),
    )
)]
#[expect(dead_code, reason = "a description alone")]
pub(super) fn manifest() {}

/// A proxy's OpenAPI document, with prices, for free. If its owner doesn't show it, the path is the service's.
#[utoipa::path(
    get, path = "/l402/proxy/{proxyId}/openapi.json", tag = "l402-proxy",
    params(("proxyId" = String, Path, description = "The proxy's id")),
    responses(
        (status = 200, description = "OpenAPI 3.1 with `x-payment`", body = Value),
        (status = 404, description = "There is no such proxy in service", body = Problem, content_type = "application/problem+json"),
    )
)]
#[expect(dead_code, reason = "a description alone")]
pub(super) fn openapi() {}

macro_rules! sold {
    ($method:ident, $about:literal) => {
        #[doc = $about]
        #[utoipa::path(
            $method, path = "/l402/proxy/{proxyId}/{path}", tag = "l402-proxy",
            params(
                ("proxyId" = String, Path, description = "The proxy's id"),
                ("path" = String, Path, description = "What the service behind it is asked for"),
                ("Authorization" = Option<String>, Header, description = "`L402 <macaroon>:<preimage>`, or `Payment …`"),
            ),
            responses(
                (status = "default", description = "What the service behind it answers"),
                (status = 400, description = "The path can be read in two ways", body = Problem, content_type = "application/problem+json"),
                (status = 402, description = "Pay the invoice in `WWW-Authenticate`, and ask again"),
                (status = 403, description = "This path is not offered", body = Problem, content_type = "application/problem+json"),
                (status = 404, description = "There is no such proxy in service", body = Problem, content_type = "application/problem+json"),
                (status = 405, description = "Not with this method", body = Problem, content_type = "application/problem+json"),
                (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
                (status = 502, description = "The service behind it fails; what was paid is good for another try", body = Problem, content_type = "application/problem+json"),
                (status = 503, description = "No payment can be taken now, or the service behind it has enough to do; what was paid is good for another try", body = Problem, content_type = "application/problem+json"),
                (status = 504, description = "The service behind it took too long; what was paid is good for another try", body = Problem, content_type = "application/problem+json"),
            )
        )]
        #[expect(dead_code, reason = "a description alone")]
        pub(super) fn $method() {}
    };
}

sold!(get, "Asks the service behind a proxy, for the price of this path.");
sold!(head, "The same for the headers alone; costs what `GET` does.");
sold!(post, "The same with a body.");
sold!(put, "The same with a body.");
sold!(patch, "The same with a body.");
sold!(delete, "The same.");
sold!(options, "The same; a browser's preflight is answered for free.");
