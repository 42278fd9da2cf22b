//! The bookkeeper's table.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::Who;
use crate::http::extract::Params;
use crate::http::problem::{Failure, Problem};
use crate::http::respond;
use crate::services::payments::Payments;
use crate::services::payments::error::PaymentError;
use crate::services::payments::export::span;

/// Your payments and refunds as a table: CSV (RFC 4180, UTF-8) with a head; first payments, then refunds. Texts that
/// a spreadsheet would take for formulas have a `'` before them.
#[utoipa::path(
    get, path = "/api/payments.csv", tag = "payments",
    params(
        ("from" = Option<String>, Query, description = "Paid, arrived or else made not before this date (`2026-01-31`, UTC) or time"),
        ("to" = Option<String>, Query, description = "And not after this date, or before this time"),
    ),
    responses(
        (status = 200, description = "The table", body = String, content_type = "text/csv"),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another table of yours is being read", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn csv(
    State(payments): State<Payments>,
    Extension(caller): Who,
    params: Params,
) -> Result<Response, PaymentError> {
    let span = span(params.get("from").as_deref(), params.get("to").as_deref())?;
    let body = Body::from_stream(payments.export(caller.account, span)?);
    let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    let mut response = respond::no_store(respond::typed(StatusCode::OK, csv, body));
    let name = HeaderValue::from_static("attachment; filename=\"payments.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}
