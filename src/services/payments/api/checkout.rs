//! What the customer's page asks for. No key: who has a payment's id may look at it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;

use super::answer;
use crate::http::client::Proxies;
use crate::http::extract::Id;
use crate::http::problem::Problem;
use crate::services::payments::Payments;
use crate::services::payments::checkout::CheckoutView;
use crate::services::payments::error::PaymentError;

/// A payment as its customer sees it.
#[utoipa::path(
    get, path = "/checkout/{invoiceId}/status", tag = "payments",
    params(("invoiceId" = String, Path, description = "The payment's id, or a session's")),
    responses(
        (status = 200, description = "The payment", body = CheckoutView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn status(State(payments): State<Payments>, Id(id): Id) -> Result<Response, PaymentError> {
    Ok(answer(payments.checkout_json(&id).await?))
}

/// The same, and every change of it, as server-sent events.
#[utoipa::path(
    get, path = "/checkout/{invoiceId}/live", tag = "payments",
    params(("invoiceId" = String, Path, description = "The payment's id, or a session's")),
    responses(
        (status = 200, description = "Events named `state`, each with the payment", content_type = "text/event-stream"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests or streams", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn live(
    State(payments): State<Payments>,
    Extension(proxies): Extension<Arc<Proxies>>,
    Id(id): Id,
    request: Request,
) -> Result<Response, PaymentError> {
    let client = proxies.client(request.extensions(), request.headers());
    payments.watch(&id, client).await
}
