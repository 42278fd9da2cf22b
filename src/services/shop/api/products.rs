//! What this node sells, of all kinds.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use utoipa::ToSchema;

use super::{answer, page_limit};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::shop::products::{LONGEST_PAGE, ProductsView};
use crate::services::shop::{Offered, Session, Shop, ShopError};

/// What to pay for.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct SessionBody {
    /// `id` of a product.
    product_id: String,
}

/// Items of stores, documents and services that this node sells.
#[utoipa::path(
    get, path = "/api/checkout/products", tag = "checkout",
    params(
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "At most so many, up to 500; 500 without it"),
    ),
    responses(
        (status = 200, description = "A page of them, and how many there are in all", body = ProductsView),
        (status = 400, description = "limit or cursor makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(shop): State<Shop>, params: Params) -> Result<Response, ShopError> {
    let limit = page_limit(&params, LONGEST_PAGE)?;
    Ok(answer(shop.products(params.get("cursor").as_deref(), limit).await?))
}

/// One of them.
#[utoipa::path(
    get, path = "/api/checkout/products/{productId}", tag = "checkout",
    params(("productId" = String, Path, description = "Its id, from the list")),
    responses(
        (status = 200, description = "It", body = Offered),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
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
        (status = 201, description = "The payment", body = Session),
        (status = 400, description = "productId is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such product", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is sold out", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
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
