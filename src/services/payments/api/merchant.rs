//! An account's own settings.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use utoipa::ToSchema;

use super::{Who, answer};
use crate::http::body::{BodyError, JsonObject};
use crate::http::problem::{Failure, Problem};
use crate::services::payments::Payments;
use crate::services::payments::error::PaymentError;
use crate::services::payments::merchant::{Change, MerchantView};

/// Where your webhooks go. What is absent stays; `null` takes an address away. What still waits for an address goes to
/// the new one at once, signed with the new secret; without one it is given up.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct MerchantBody {
    /// Its name must not lead to private addresses; one that can't be found yet is taken.
    webhook_url: Option<String>,
    /// 16 to 256 characters; without any you get one.
    webhook_secret: Option<String>,
    /// Is told the same.
    callback_url: Option<String>,
}

/// Says where your webhooks go.
#[utoipa::path(
    put, path = "/api/merchant/webhook-url", tag = "payments",
    request_body = MerchantBody,
    responses(
        (status = 200, description = "Your settings", body = MerchantView<'_>),
        (status = 400, description = "An address that may not be called", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn change(
    State(payments): State<Payments>,
    Extension(caller): Who,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, PaymentError> {
    let change = Change::read(&body?)?;
    Ok(answer(payments.set_merchant(caller.account, change).await?))
}

/// Where your webhooks go.
#[utoipa::path(
    get, path = "/api/merchant/webhook-url", tag = "payments",
    responses((status = 200, description = "Your settings", body = MerchantView<'_>), Failure)
)]
pub(super) async fn show(
    State(payments): State<Payments>,
    Extension(caller): Who,
) -> Result<Response, PaymentError> {
    Ok(answer(payments.merchant_json(caller.account).await?))
}
