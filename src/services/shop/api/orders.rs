//! Orders: claimed, looked at, refunded.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Extensions, HeaderMap};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::ToSchema;

use super::answer;
use crate::core::ids::Secret;
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::idempotency::IdempotencyKey;
use crate::http::keys::{Caller, Scope};
use crate::http::problem::Problem;
use crate::lightning::invoice;
use crate::services::shop::claim::{self, Claim};
use crate::services::shop::customer::Customer;
use crate::services::shop::queries::Token;
use crate::services::shop::refund::NewRefund;
use crate::services::shop::view::{ClaimedView, OrderView};
use crate::services::shop::{Shop, ShopError};

/// Who bought, and where it goes.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct ClaimBody {
    /// From the paid checkout.
    #[schema(min_length = 1, max_length = 20)]
    claim_token: String,
    #[schema(max_length = 200)]
    email: String,
    shipping_address: AddressBody,
}

/// Where it goes.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
struct AddressBody {
    first_name: String,
    last_name: String,
    address1: String,
    address2: Option<String>,
    city: String,
    province: String,
    zip: String,
    /// A code of two letters, or a common name.
    country: String,
}

/// Where the money goes.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct RefundBody {
    claim_token: String,
    /// BOLT11, for exactly `refund.amountSats`.
    invoice: String,
}

/// Says who bought an order and where it goes. Once.
#[utoipa::path(
    post, path = "/api/shopify/{slug}/claim", tag = "shop",
    params(
        ("slug" = String, Path, description = "The store"),
        ("X-Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is answered alike; or `Idempotency-Key`"),
    ),
    request_body = ClaimBody,
    responses(
        (status = 200, description = "The seller has it", body = ClaimedView),
        (status = 400, description = "The first rule that is broken; or the address is in a place where shipping or tax is not what was paid", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No paid order has this token", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was claimed before, or is refunded", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn claim(
    State(shop): State<Shop>,
    Id(slug): Id,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, ShopError> {
    let body = body?;
    let claim = Claim { token: claim::token(&body.fields)?, customer: Customer::read(&body.fields)? };
    // Nobody is known, but the token is: whoever has it may claim.
    let ask =
        IdempotencyKey::read(&headers, &format!("shop {}", claim.token.expose()), "POST claim", &body.raw)?;
    Ok(shop.claim(&slug, claim, ask).await?.into_response())
}

/// An order, for whoever has its claim token or status token, or the seller's API key.
#[utoipa::path(
    get, path = "/api/shopify/{slug}/orders/{orderId}", tag = "shop",
    params(
        ("slug" = String, Path, description = "The store"),
        ("orderId" = String, Path, description = "From the checkout"),
        ("claimToken" = Option<String>, Query, description = "From the paid checkout"),
        ("statusToken" = Option<String>, Query, description = "From the 402: then the claim token is told once it is paid"),
    ),
    responses(
        (status = 200, description = "The order", body = OrderView<'_>),
        (status = 404, description = "There is none, or the token is not its own", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn one(
    State(shop): State<Shop>,
    path: Result<Path<(String, String)>, PathRejection>,
    extensions: Extensions,
    params: Params,
) -> Result<Response, ShopError> {
    let Path((slug, id)) = path.map_err(|_| ShopError::OrderNotFound)?;
    let seller = extensions.get::<Caller>().filter(|caller| caller.may(Scope::Payments));
    let claim = params.get("claimToken").map(|token| Token::Claim(Secret::new(token)));
    let status = || params.get("statusToken").map(|token| Token::Status(Secret::new(token)));
    let token = claim.or_else(status).or_else(|| seller.map(|caller| Token::Seller(caller.account)));
    let token = token.ok_or(ShopError::OrderNotFound)?;
    Ok(answer(shop.order_json(&slug, &id, token).await?))
}

/// Sends the buyer's money back, where a refund is due.
#[utoipa::path(
    post, path = "/api/shopify/{slug}/orders/{orderId}/refund", tag = "shop",
    params(
        ("slug" = String, Path, description = "The store"),
        ("orderId" = String, Path, description = "From the checkout"),
    ),
    request_body = RefundBody,
    responses(
        (status = 200, description = "It is on its way; the same invoice again is the same refund", body = OrderView<'_>),
        (status = 400, description = "The invoice can't be paid, or is for another amount", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such order, or the token is not its own", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "No refund is due, or the invoice was used before", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The node does not run", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn refund(
    State(shop): State<Shop>,
    path: Result<Path<(String, String)>, PathRejection>,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, ShopError> {
    let Path((slug, id)) = path.map_err(|_| ShopError::OrderNotFound)?;
    let fields = body?.fields;
    let claim_token = claim::token(&fields)?;
    let text = fields.get("invoice").and_then(Value::as_str).unwrap_or_default();
    let new = NewRefund { claim_token, invoice: invoice::read(text)? };
    Ok(answer(shop.refund(&slug, &id, new).await?))
}
