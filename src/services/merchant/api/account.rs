//! The account of whoever asks.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Who, answer};
use crate::http::keys::Scope;
use crate::http::problem::Failure;
use crate::http::respond;
use crate::services::merchant::quickstart::QuickstartView;
use crate::services::merchant::view::{L402StatusView, MeView, SubscriptionView};
use crate::services::merchant::{MerchantError, Merchants};

/// Your account.
#[utoipa::path(
    get, path = "/api/merchant/me", tag = "merchant",
    responses((status = 200, description = "The account", body = MeView<'_>), Failure)
)]
pub(super) async fn me(
    State(merchants): State<Merchants>,
    Extension(caller): Who,
) -> Result<Response, MerchantError> {
    Ok(answer(merchants.me_json(caller.account, caller.may(Scope::Payments)).await?))
}

/// Whether you may sell requests.
#[utoipa::path(
    get, path = "/api/merchant/l402-status", tag = "merchant",
    responses((status = 200, description = "Whether you may", body = L402StatusView), Failure)
)]
pub(super) async fn l402_status(State(merchants): State<Merchants>) -> Response {
    respond::no_store(respond::json(StatusCode::OK, &merchants.l402_status()))
}

/// Your subscription: this server has no plans, so it is active for good.
#[utoipa::path(
    get, path = "/api/merchant/subscription", tag = "merchant",
    responses((status = 200, description = "Always the same", body = SubscriptionView), Failure)
)]
pub(super) async fn subscription() -> Response {
    respond::no_store(respond::json(StatusCode::OK, &SubscriptionView::NONE))
}

/// What is set up for you to sell here, and what is missing.
#[utoipa::path(
    get, path = "/api/merchant/quickstart", tag = "merchant",
    responses((status = 200, description = "The steps", body = QuickstartView<'_>), Failure)
)]
pub(super) async fn quickstart(
    State(merchants): State<Merchants>,
    Extension(caller): Who,
) -> Result<Response, MerchantError> {
    Ok(answer(merchants.quickstart_json(caller.account).await?))
}
