//! Orders.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::ToSchema;

use super::{Who, answer, answer_done, once};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::problem::{Failure, Problem};
use crate::services::payments::Payments;
use crate::services::payments::error::PaymentError;
use crate::services::payments::ids::InvoiceId;
use crate::services::payments::queries::Wanted;
use crate::services::payments::request::NewPayment;
use crate::services::payments::view::{PaymentView, PaymentsView};

/// Payments of one page at most.
const LONGEST_PAGE: usize = 100;

/// Payments of one page unless another number is asked for.
const PAGE: usize = 20;

/// An order.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct OrderBody {
    /// Your own name for it.
    #[schema(max_length = 255, example = "ORDER-12345")]
    order_id: String,
    /// More than 0; a whole number of sats, at most 8 digits after the point of BTC, 2 of a currency.
    #[schema(example = 49.99)]
    amount: f64,
    /// USD, EUR, GBP, CAD, AUD, JPY, CHF, CNY, INR, BRL, BTC or sats.
    #[schema(example = "USD")]
    currency: String,
    /// What the customer reads.
    #[schema(max_length = 500)]
    description: Option<String>,
    customer_email: Option<String>,
    customer_name: Option<String>,
    /// Where the customer goes once they have paid.
    success_url: Option<String>,
    /// Where they go if they don't.
    cancel_url: Option<String>,
    /// Yours alone.
    metadata: Option<serde_json::Value>,
}

/// The payment that a path names. What can't be an id names none.
pub(super) fn invoice_id(text: &str) -> Result<InvoiceId, PaymentError> {
    text.parse().map_err(|_| PaymentError::PaymentNotFound)
}

/// How many of a page are wanted.
pub(super) fn page_limit(params: &Params) -> Result<usize, PaymentError> {
    let Some(text) = params.get("limit") else { return Ok(PAGE) };
    let limit = text.parse().ok().filter(|limit| (1..=LONGEST_PAGE).contains(limit));
    limit.ok_or_else(|| PaymentError::invalid("INVALID_LIMIT", "limit must be a whole number from 1 to 100"))
}

/// Orders a payment: an invoice for a customer. The same order again, unpaid and at the same price, is the same
/// payment.
#[utoipa::path(
    post, path = "/api/payments", tag = "payments",
    params(("X-Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once; or `Idempotency-Key`")),
    request_body = OrderBody,
    responses(
        (status = 201, description = "The payment", body = PaymentView<'_>),
        (status = 200, description = "The payment that waits for this order already", body = PaymentView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The idempotency key was used for another request", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn create(
    State(payments): State<Payments>,
    Extension(caller): Who,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, PaymentError> {
    let body = body?;
    let new = NewPayment::read(&body)?;
    let ask = once(&headers, &caller, "POST /api/payments", &body)?;
    Ok(answer_done(payments.create(caller.account, new, ask).await?))
}

/// Your payments, newest first.
#[utoipa::path(
    get, path = "/api/payments", tag = "payments",
    params(
        ("status" = Option<String>, Query, description = "Only those: `unpaid`, `processing`, `paid`, `expired`, `refunded`"),
        ("limit" = Option<u32>, Query, description = "At most so many, up to 100; 20 without it"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = PaymentsView<'_>),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn list(
    State(payments): State<Payments>,
    Extension(caller): Who,
    params: Params,
) -> Result<Response, PaymentError> {
    let status = match params.get("status").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.to_ascii_lowercase().parse().map_err(|_| {
            let message = "status must be unpaid, processing, paid, expired or refunded";
            PaymentError::invalid("INVALID_STATUS_FILTER", message)
        })?),
    };
    let limit = page_limit(&params)?;
    let cursor = match params.get("cursor").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| PaymentError::bad_cursor())?),
    };
    let wanted = Wanted { status, cursor, limit };
    Ok(answer(payments.list_json(caller.account, wanted).await?))
}

/// One of your payments.
#[utoipa::path(
    get, path = "/api/payments/{invoiceId}", tag = "payments",
    params(("invoiceId" = String, Path, description = "The payment's id")),
    responses(
        (status = 200, description = "The payment", body = PaymentView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn one(
    State(payments): State<Payments>,
    Extension(caller): Who,
    Id(id): Id,
) -> Result<Response, PaymentError> {
    Ok(answer(payments.one_json(caller.account, invoice_id(&id)?).await?))
}

/// The payment of an order: the paid one if there is one, else the newest.
#[utoipa::path(
    get, path = "/api/payments/order/{orderId}", tag = "payments",
    params(("orderId" = String, Path, description = "Your name for it")),
    responses(
        (status = 200, description = "The payment", body = PaymentView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn by_order(
    State(payments): State<Payments>,
    Extension(caller): Who,
    Id(order): Id,
) -> Result<Response, PaymentError> {
    Ok(answer(payments.order_json(caller.account, order).await?))
}

/// Looks at the node again, should an event be lost.
#[utoipa::path(
    post, path = "/api/payments/{invoiceId}/sync", tag = "payments",
    params(("invoiceId" = String, Path, description = "The payment's id")),
    responses(
        (status = 200, description = "The payment as it is now", body = PaymentView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn sync(
    State(payments): State<Payments>,
    Extension(caller): Who,
    Id(id): Id,
) -> Result<Response, PaymentError> {
    Ok(answer(payments.sync(caller.account, invoice_id(&id)?).await?))
}
