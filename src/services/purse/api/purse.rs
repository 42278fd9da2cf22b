//! Spending, and what was spent.

use std::collections::HashMap;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use super::{Who, answer};
use crate::core::ids::PursePaymentId;
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::idempotency::IdempotencyKey;
use crate::http::keys::Caller;
use crate::http::problem::{Failure, Problem};
use crate::services::purse::view::{FetchView, PaidView, PayView, PursePage};
use crate::services::purse::{FetchRequest, PayRequest, PurseError, Purses};

/// Receipts of a page, and the most of one.
const LIMIT: usize = 20;
const MOST: usize = 100;

/// A request to a service.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct FetchBody {
    #[schema(example = "https://api.example.com/forecast?city=Berlin", max_length = 2048)]
    url: String,
    /// `GET` without it.
    #[schema(example = "GET")]
    method: Option<String>,
    headers: Option<HashMap<String, String>>,
    /// A text, or JSON that is sent as such.
    body: Option<String>,
    /// `base64` for a body that is no text.
    #[schema(example = "utf8")]
    body_encoding: Option<String>,
    /// The most that it may cost, in sat, routing not included. Without it the purse's own limits hold.
    #[schema(example = 50, minimum = 1)]
    max_sats: Option<u64>,
    /// `false` pays anew although an earlier request has paid at this address: to buy one more of a thing. `true` without
    /// it.
    reuse_credential: Option<bool>,
}

/// An invoice.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct PayBody {
    /// BOLT11.
    #[schema(example = "lnbc…", max_length = 8192)]
    invoice: String,
    /// How much, where the invoice leaves it to you.
    #[schema(example = 10, minimum = 1)]
    amount_sat: Option<u64>,
}

/// Asks a service and pays what it asks for (L402, LSAT, `Payment`), at most once for one request and within the purse's
/// limits. What was paid for is shown again for later requests of the same path. With the same `Idempotency-Key` a request
/// goes on where it was.
#[utoipa::path(
    post, path = "/v1/purse/fetch", tag = "purse",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body pays once")),
    request_body = FetchBody,
    responses(
        (status = 200, description = "What the service answered, and what was paid", body = FetchView),
        (status = 400, description = "The request can't be sent", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A limit forbids the payment: `limit`, `neededSat`, `leftSat` say which; or the invoice or idempotency key was used for something else", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "The service can't be reached, or sends what can't be used; `paid` if it was paid before", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "The service takes too long, or the payment is under way: `payment` tells which", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn fetch(
    State(purses): State<Purses>,
    Extension(caller): Who,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, PurseError> {
    let body = body?;
    let new = FetchRequest::read(&body, purses.guard())?;
    let ask = once(&headers, &caller, "POST /v1/purse/fetch", &body)?;
    Ok(purses.fetch(caller.key, new, ask).await?.into_response())
}

/// Pays an invoice within the purse's limits. The same invoice again is the same payment.
#[utoipa::path(
    post, path = "/v1/purse/pay", tag = "purse",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body pays once")),
    request_body = PayBody,
    responses(
        (status = 200, description = "It is paid", body = PayView),
        (status = 400, description = "It is no invoice that can be paid", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A limit forbids the payment: `limit`, `neededSat`, `leftSat` say which; or the invoice or idempotency key was used for something else", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "The payment did not arrive; nothing was paid", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "The payment is under way: `payment` tells which", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn pay(
    State(purses): State<Purses>,
    Extension(caller): Who,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, PurseError> {
    let body = body?;
    let new = PayRequest::read(&body)?;
    let ask = once(&headers, &caller, "POST /v1/purse/pay", &body)?;
    Ok(purses.pay(caller.key, new, ask).await?.into_response())
}

/// What your purse has, may, and did: limits, what is left, receipts newest first.
#[utoipa::path(
    get, path = "/v1/purse", tag = "purse",
    params(
        ("limit" = Option<u32>, Query, description = "At most so many receipts, up to 100; 20 without it"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses(
        (status = 200, description = "The purse", body = PursePage),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn show(
    State(purses): State<Purses>,
    Extension(caller): Who,
    params: Params,
) -> Result<Response, PurseError> {
    let given = |name: &str| params.get(name).filter(|text| !text.is_empty());
    let limit =
        match given("limit") {
            None => LIMIT,
            Some(text) => text.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(|| {
                PurseError::invalid("INVALID_LIMIT", format!("limit must be from 1 to {MOST}"))
            })?,
        };
    let cursor = given("cursor").map(|text| text.parse().map(PursePaymentId)).transpose();
    let cursor = cursor.map_err(|_| PurseError::invalid("INVALID_CURSOR", "cursor is not one of ours"))?;
    Ok(answer(purses.page_json(caller.key, cursor, limit).await?))
}

/// One of your purse's payments.
#[utoipa::path(
    get, path = "/v1/purse/payments/{paymentId}", tag = "purse",
    params(("paymentId" = String, Path, description = "The payment's id")),
    responses(
        (status = 200, description = "The payment", body = PaidView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn payment(
    State(purses): State<Purses>,
    Extension(caller): Who,
    Id(id): Id,
) -> Result<Response, PurseError> {
    Ok(answer(purses.payment_json(caller.key, id).await?))
}

fn once(
    headers: &HeaderMap,
    caller: &Caller,
    route: &str,
    body: &JsonObject,
) -> Result<Option<IdempotencyKey>, PurseError> {
    Ok(IdempotencyKey::read(headers, &format!("purse {}", caller.key.0), route, &body.raw)?)
}
