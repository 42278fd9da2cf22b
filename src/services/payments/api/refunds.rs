//! What goes back to customers.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::ToSchema;

use super::payments::{invoice_id, page_limit};
use super::{Who, answer, answer_done, once};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::problem::{Failure, Problem};
use crate::services::payments::Payments;
use crate::services::payments::error::PaymentError;
use crate::services::payments::ids::InvoiceId;
use crate::services::payments::refunds::Wanted;
use crate::services::payments::refunds::request::NewRefund;
use crate::services::payments::refunds::view::{RefundView, RefundsView};

/// A refund.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct RefundBody {
    /// Which payment.
    #[schema(example = "inv_0123456789abcdef01234567")]
    invoice_id: String,
    /// More than 0, and no more than is left of what came in.
    #[schema(example = 49.99)]
    amount: f64,
    /// The payment's own; it is converted at the payment's own rate.
    #[schema(example = "USD")]
    currency: String,
    /// BOLT11, for exactly this many sats.
    lightning_invoice: Option<String>,
    /// Instead of an invoice: an address that was not used before, paid with the operator's coins. Done when the
    /// transaction is six blocks deep.
    bitcoin_address: Option<String>,
    /// Yours alone.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Sends back what a customer has paid, or a part of it. The same invoice or address again is the same refund.
#[utoipa::path(
    post, path = "/api/refunds", tag = "payments",
    params(("X-Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once; or `Idempotency-Key`")),
    request_body = RefundBody,
    responses(
        (status = 201, description = "The refund, on its way", body = RefundView<'_>),
        (status = 200, description = "The refund that this invoice or address was given for already", body = RefundView<'_>),
        (status = 400, description = "The first rule that is broken", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such payment", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The payment is not paid, or the invoice, address or idempotency key was used for something else", body = Problem, content_type = "application/problem+json"),
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
    let new = NewRefund::read(&body)?;
    let ask = once(&headers, &caller, "POST /api/refunds", &body)?;
    Ok(answer_done(payments.refund(caller.account, new, ask).await?))
}

/// Your refunds, newest first.
#[utoipa::path(
    get, path = "/api/refunds", tag = "payments",
    params(
        ("limit" = Option<u32>, Query, description = "At most so many, up to 100; 20 without it"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = RefundsView<'_>),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn list(
    State(payments): State<Payments>,
    Extension(caller): Who,
    params: Params,
) -> Result<Response, PaymentError> {
    let wanted = wanted(&params, None)?;
    Ok(answer(payments.refunds_json(caller.account, wanted).await?))
}

/// One of your refunds.
#[utoipa::path(
    get, path = "/api/refunds/{refundId}", tag = "payments",
    params(("refundId" = String, Path, description = "The refund's id")),
    responses(
        (status = 200, description = "The refund", body = RefundView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn one(
    State(payments): State<Payments>,
    Extension(caller): Who,
    Id(id): Id,
) -> Result<Response, PaymentError> {
    let id = id.parse().map_err(|_| PaymentError::RefundNotFound)?;
    Ok(answer(payments.refund_json(caller.account, id).await?))
}

/// The refunds of one payment, newest first.
#[utoipa::path(
    get, path = "/api/refunds/invoice/{invoiceId}", tag = "payments",
    params(
        ("invoiceId" = String, Path, description = "The payment's id"),
        ("limit" = Option<u32>, Query, description = "At most so many, up to 100; 20 without it"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = RefundsView<'_>),
        (status = 404, description = "There is no such payment", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn of_payment(
    State(payments): State<Payments>,
    Extension(caller): Who,
    Id(id): Id,
    params: Params,
) -> Result<Response, PaymentError> {
    let wanted = wanted(&params, Some(invoice_id(&id)?))?;
    Ok(answer(payments.refunds_json(caller.account, wanted).await?))
}

fn wanted(params: &Params, payment: Option<InvoiceId>) -> Result<Wanted, PaymentError> {
    let cursor = match params.get("cursor").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| PaymentError::bad_cursor())?),
    };
    Ok(Wanted { payment, cursor, limit: page_limit(params)? })
}
