//! What owners do with their proxies.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use utoipa::ToSchema;

use super::{Asker, answer, page};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::keys::Caller;
use crate::http::problem::{Failure, Problem};
use crate::services::proxy::PaidProxies;
use crate::services::proxy::error::ProxyError;
use crate::services::proxy::manage::Who;
use crate::services::proxy::request::{self, SettingsChange};
use crate::services::proxy::view::{
    DeletedEndpointView, DeletedView, EndpointView, ProxiesView, ProxyDetailView, ProxyView, RetiredView,
    SettingsView,
};

/// A proxy. For a change what is absent stays.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct ProxyBody {
    /// Needed for a new one.
    #[schema(max_length = 100, example = "Premium Weather API")]
    name: Option<String>,
    /// Needed for a new one: a public host by name, on port 80 or 443.
    #[schema(example = "https://api.example.com/v1")]
    target_base_url: Option<String>,
    /// At least 1; 10 without it.
    default_price_sats: Option<u64>,
    #[schema(max_length = 1000)]
    description: Option<String>,
    is_active: Option<bool>,
    /// A header that is put on every request to the upstream; `Authorization` without it. In a change, `null` or an
    /// empty text here or in `authValue`, if the other is not given, takes both away.
    auth_header: Option<String>,
    /// Its value. It is never shown again.
    auth_value: Option<String>,
    /// Seconds until the upstream's answer must begin; 30 without it.
    timeout: Option<u64>,
    /// Without any: all seven.
    allowed_methods: Option<Vec<String>>,
    /// Patterns: `?` is a character, `*` a segment or a part of one, `**` any number of segments. Without any: all.
    allowed_paths: Option<Vec<String>>,
    /// Patterns. What lies below is blocked too, and large and small letters are the same.
    blocked_paths: Option<Vec<String>>,
    /// 60 to 2592000.
    token_validity_seconds: Option<u64>,
}

/// Why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct ReasonBody {
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// What has a price of its own.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct EndpointBody {
    #[schema(max_length = 100, example = "get-forecast")]
    endpoint_id: String,
    /// A pattern, as in `allowedPaths`; `{name}` is a segment.
    #[schema(example = "/forecast/{city}")]
    path: String,
    /// One of the seven, or `*`; `GET` without it.
    http_method: Option<String>,
    /// 0 is free.
    base_price_sats: u64,
    summary: Option<String>,
    description: Option<String>,
    is_active: Option<bool>,
}

/// A change of it. What is absent stays.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct EndpointChangeBody {
    path: Option<String>,
    http_method: Option<String>,
    /// 0 is free.
    base_price_sats: Option<u64>,
    /// `null` takes it away.
    summary: Option<String>,
    /// `null` takes it away.
    description: Option<String>,
    /// Whether it counts.
    is_active: Option<bool>,
}

/// What the manifest says. What is absent stays.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct SettingsBody {
    /// Whether it is public.
    manifest_enabled: Option<bool>,
    /// Whether the registry lists it.
    manifest_publicly_listed: Option<bool>,
    service_description: Option<String>,
    categories: Option<Vec<String>>,
    logo_url: Option<String>,
    contact_email: Option<String>,
    documentation_url: Option<String>,
    terms_of_service_url: Option<String>,
}

fn who(caller: &Caller) -> Who {
    Who::Account(caller.account)
}

/// Puts a price in front of an HTTP service.
#[utoipa::path(
    post, path = "/api/proxy", tag = "l402-proxy",
    request_body = ProxyBody,
    responses(
        (status = 201, description = "The proxy", body = ProxyView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn create(
    State(app): State<PaidProxies>,
    Extension(caller): Asker,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, ProxyError> {
    let change = app.read_new(&body?.fields)?;
    Ok(answer(StatusCode::CREATED, app.create(Some(caller.account), change).await?))
}

/// Your proxies, newest first.
#[utoipa::path(
    get, path = "/api/proxy", tag = "l402-proxy",
    params(
        ("page" = Option<u64>, Query, description = "From 1"),
        ("pageSize" = Option<u64>, Query, description = "Up to 100; 20 without it"),
    ),
    responses(
        (status = 200, description = "A page", body = ProxiesView<'_>),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn list(
    State(app): State<PaidProxies>,
    Extension(caller): Asker,
    params: Params,
) -> Result<Response, ProxyError> {
    Ok(answer(StatusCode::OK, app.list_json(who(&caller), page(&params)?).await?))
}

/// One of your proxies.
#[utoipa::path(
    get, path = "/api/proxy/{proxyId}", tag = "l402-proxy",
    params(("proxyId" = String, Path, description = "The proxy's id")),
    responses(
        (status = 200, description = "The proxy with its endpoints", body = ProxyDetailView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn one(
    State(app): State<PaidProxies>,
    Extension(caller): Asker,
    Id(id): Id,
) -> Result<Response, ProxyError> {
    Ok(answer(StatusCode::OK, app.one_json(who(&caller), id).await?))
}

/// Changes a proxy.
#[utoipa::path(
    put, path = "/api/proxy/{proxyId}", tag = "l402-proxy",
    params(("proxyId" = String, Path, description = "The proxy's id")),
    request_body = ProxyBody,
    responses(
        (status = 200, description = "The proxy", body = ProxyDetailView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn change(
    State(app): State<PaidProxies>,
    Extension(caller): Asker,
    Id(id): Id,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, ProxyError> {
    let change = app.read_change(&body?.fields)?;
    Ok(answer(StatusCode::OK, app.change(who(&caller), id, change).await?))
}

/// Takes a proxy away, with its endpoints.
#[utoipa::path(
    delete, path = "/api/proxy/{proxyId}", tag = "l402-proxy",
    params(("proxyId" = String, Path, description = "The proxy's id")),
    responses(
        (status = 200, description = "It is gone", body = DeletedView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn delete(
    State(app): State<PaidProxies>,
    Extension(caller): Asker,
    Id(id): Id,
) -> Result<Response, ProxyError> {
    Ok(answer(StatusCode::OK, app.delete(who(&caller), id).await?))
}

/// Takes a proxy out of service for good. Twice is fine.
#[utoipa::path(
    post, path = "/api/proxy/{proxyId}/unpublish", tag = "l402-proxy",
    params(("proxyId" = String, Path, description = "The proxy's id")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "It is out of service", body = RetiredView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn unpublish(
    State(app): State<PaidProxies>,
    Extension(caller): Asker,
    Id(id): Id,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, ProxyError> {
    let reason = request::reason(&body?.fields)?;
    Ok(answer(StatusCode::OK, app.retire(who(&caller), id, reason).await?))
}

/// Gives a part of a proxy a price of its own.
#[utoipa::path(
    post, path = "/api/proxy/{proxyId}/manifest/endpoints", tag = "l402-proxy",
    params(("proxyId" = String, Path, description = "The proxy's id")),
    request_body = EndpointBody,
    responses(
        (status = 201, description = "The endpoint", body = EndpointView<'_>),
        (status = 400, description = "The first rule that is broken, or there is one of this id, or of this method and path", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such proxy", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn add_endpoint(
    State(app): State<PaidProxies>,
    Extension(caller): Asker,
    Id(id): Id,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, ProxyError> {
    let endpoint = app.read_endpoint(&body?.fields)?;
    Ok(answer(StatusCode::CREATED, app.add_endpoint(who(&caller), id, endpoint).await?))
}

/// Changes an endpoint. What is absent stays.
#[utoipa::path(
    put, path = "/api/proxy/{proxyId}/manifest/endpoints/{endpointId}", tag = "l402-proxy",
    params(
        ("proxyId" = String, Path, description = "The proxy's id"),
        ("endpointId" = String, Path, description = "The endpoint's id"),
    ),
    request_body = EndpointChangeBody,
    responses(
        (status = 200, description = "The endpoint", body = EndpointView<'_>),
        (status = 400, description = "The first rule that is broken, or another is of this method and path", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such proxy or endpoint", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn change_endpoint(
    State(app): State<PaidProxies>,
    Extension(caller): Asker,
    path: Result<Path<(String, String)>, PathRejection>,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, ProxyError> {
    let Path(names) = path.map_err(|_| ProxyError::EndpointNotFound)?;
    let change = app.read_endpoint_change(&body?.fields)?;
    Ok(answer(StatusCode::OK, app.change_endpoint(who(&caller), names, change).await?))
}

/// Takes an endpoint away: what it was about costs what the rest of the proxy does.
#[utoipa::path(
    delete, path = "/api/proxy/{proxyId}/manifest/endpoints/{endpointId}", tag = "l402-proxy",
    params(
        ("proxyId" = String, Path, description = "The proxy's id"),
        ("endpointId" = String, Path, description = "The endpoint's id"),
    ),
    responses(
        (status = 200, description = "It is gone", body = DeletedEndpointView<'_>),
        (status = 404, description = "There is no such proxy or endpoint", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn delete_endpoint(
    State(app): State<PaidProxies>,
    Extension(caller): Asker,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, ProxyError> {
    let Path(names) = path.map_err(|_| ProxyError::EndpointNotFound)?;
    Ok(answer(StatusCode::OK, app.delete_endpoint(who(&caller), names).await?))
}

/// Says what the manifest tells, and to whom.
#[utoipa::path(
    put, path = "/api/proxy/{proxyId}/manifest/settings", tag = "l402-proxy",
    params(("proxyId" = String, Path, description = "The proxy's id")),
    request_body = SettingsBody,
    responses(
        (status = 200, description = "What it tells now", body = SettingsView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such proxy", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn change_settings(
    State(app): State<PaidProxies>,
    Extension(caller): Asker,
    Id(id): Id,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, ProxyError> {
    let change = SettingsChange::read(&body?.fields)?;
    Ok(answer(StatusCode::OK, app.change_settings(who(&caller), id, change).await?))
}
