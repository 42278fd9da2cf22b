//! What this node sells, of all kinds.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer;
use crate::http::asking::Id;
use crate::http::body::{BodyError, JsonObject};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::shop::{Shop, ShopError};

/// What to pay for.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct SessionBody {
    /// `id` of a product.
    product_id: String,
}

/// Items of stores, documents and services that this node sells: `{products, total}`.
#[utoipa::path(
    get, path = "/api/checkout/products", tag = "checkout",
    responses((status = 200, description = "All of them", body = Object))
)]
pub(super) async fn list(State(shop): State<Shop>) -> Result<Response, ShopError> {
    Ok(answer(shop.products().await?))
}

/// One of them.
#[utoipa::path(
    get, path = "/api/checkout/products/{productId}", tag = "checkout",
    params(("productId" = String, Path, description = "Its id, from the list")),
    responses(
        (status = 200, description = "It", body = Object),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn one(State(shop): State<Shop>, Id(id): Id) -> Result<Response, ShopError> {
    Ok(answer(shop.product(&id).await?))
}

/// Opens a payment for a product; `checkoutUrl` is the page on which it is paid.
#[utoipa::path(
    post, path = "/api/checkout/sessions", tag = "checkout",
    request_body = SessionBody,
    responses(
        (status = 201, description = "The payment", body = Object),
        (status = 400, description = "productId is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such product", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is sold out", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Something that is needed for it is down", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn open(
    State(shop): State<Shop>,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, ShopError> {
    let fields = body?.fields;
    let id = fields.get("productId").and_then(Value::as_str).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| ShopError::invalid("MISSING_PRODUCT_ID", "productId is required"))?;
    let body = shop.open_session(id).await?;
    Ok(respond::no_store(respond::json_bytes(StatusCode::CREATED, body)))
}
