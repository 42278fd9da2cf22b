//! What is free: manifests, and the registry of those that are listed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{answer, page};
use crate::http::extract::{Id, Params};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::manifest::registry::{RegistryView, Search};
use crate::services::manifest::validate;
use crate::services::proxy::PaidProxies;
use crate::services::proxy::error::ProxyError;

/// Characters of a search.
const SEARCH: usize = 200;

/// Whether a manifest keeps to the rules.
#[derive(Serialize, ToSchema)]
pub(super) struct ValidationView {
    valid: bool,
    /// All that is wrong, each with its place.
    errors: Vec<String>,
}

/// The manifests whose owners want them found, newest first.
#[utoipa::path(
    get, path = "/api/manifests/registry", tag = "l402-manifests",
    params(
        ("q" = Option<String>, Query, description = "Words of the name, the description or a category"),
        ("category" = Option<String>, Query, description = "A category"),
        ("page" = Option<u64>, Query, description = "From 1"),
        ("pageSize" = Option<u64>, Query, description = "Up to 100; 20 without it"),
    ),
    responses(
        (status = 200, description = "A page", body = RegistryView<'_>),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn search(State(app): State<PaidProxies>, params: Params) -> Result<Response, ProxyError> {
    let text = |name| params.get(name).map(|text| text.chars().take(SEARCH).collect::<String>());
    let given = |name| text(name).filter(|text| !text.trim().is_empty());
    let search = Search { words: given("q"), category: given("category") };
    Ok(answer(StatusCode::OK, app.registry_json(search, page(&params)?).await?))
}

/// The manifest of a store that the registry lists.
#[utoipa::path(
    get, path = "/api/manifests/stores/{slug}", tag = "l402-manifests",
    params(("slug" = String, Path, description = "The store")),
    responses(
        (status = 200, description = "Its manifest", body = Value),
        (status = 404, description = "There is no such store, or it is closed or empty", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn store(State(app): State<PaidProxies>, Id(slug): Id) -> Result<Response, ProxyError> {
    Ok(answer(StatusCode::OK, app.store_manifest_json(&slug).await?))
}

/// Whether a manifest keeps to the rules of version 1.
#[utoipa::path(
    post, path = "/api/manifests/validate", tag = "l402-manifests",
    request_body = Value,
    responses(
        (status = 200, description = "What is wrong with it, if anything", body = ValidationView),
        (status = 413, description = "It is too large", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn validate(
    body: Result<axum::body::Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, ProxyError> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ProxyError::BodyTooLarge,
        _ => ProxyError::invalid("invalid_json", "the body ended too soon"),
    })?;
    let errors = match serde_json::from_slice::<Value>(&body) {
        Ok(manifest) => validate::errors(&manifest),
        Err(error) => {
            vec![format!("the body is not valid JSON (line {}, column {})", error.line(), error.column())]
        }
    };
    let view = ValidationView { valid: errors.is_empty(), errors };
    Ok(respond::no_store(respond::json(StatusCode::OK, &view)))
}
