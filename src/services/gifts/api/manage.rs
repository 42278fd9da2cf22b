//! The sender's routes.

use axum::extract::State;
use axum::response::Response;

use super::bodies::{ReadFailure, RefundBody, WriteFailure};
use super::extract::{Asker, order_id, text};
use super::{Api, answer, answer_done};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::services::gifts::Done;
use crate::services::gifts::error::GiftError;
use crate::services::gifts::manage::ManagedView;
use crate::services::gifts::view::{ErrorView, RedeemedView};

/// A gift and its history.
#[utoipa::path(
    get, path = "/gift/{orderId}/manage", tag = "gifts",
    params(
        ("orderId" = String, Path, description = "From /create"),
        ("key" = String, Query, description = "The gift's manageKey"),
    ),
    responses(
        (status = 200, description = "The gift", body = ManagedView<'_>),
        (status = 404, description = "No such gift, or not with this key", body = ErrorView),
        ReadFailure,
    )
)]
pub(super) async fn manage(State(api): State<Api>, Id(id): Id, params: Params) -> Response {
    let managed = match order_id(&id) {
        Ok(id) => api.gifts.managed_json(id, params.get("key").unwrap_or_default()).await,
        Err(error) => Err(error),
    };
    answer(managed)
}

/// Pays a gift that nobody has redeemed back to its sender.
#[utoipa::path(
    post, path = "/gift/{orderId}/refund", tag = "gifts",
    params(
        ("orderId" = String, Path, description = "From /create"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once"),
    ),
    request_body = RefundBody,
    responses(
        (status = 200, description = "The payout is under way", body = RedeemedView<'_>),
        (status = 400, description = "Why it is not", body = ErrorView),
        (status = 404, description = "No such gift, or not with this key", body = ErrorView),
        WriteFailure,
    )
)]
pub(super) async fn refund(
    State(api): State<Api>,
    asker: Asker,
    Id(id): Id,
    body: Result<JsonObject, BodyError>,
) -> Response {
    let done: Result<Done<Vec<u8>>, GiftError> = async {
        let body = body?;
        let id = order_id(&id)?;
        let ask = asker.once_for(id, "POST /gift/refund", &body)?;
        let key = text(&body, "key").unwrap_or_default();
        api.gifts.refund(id, key, text(&body, "invoice"), ask).await
    }
    .await;
    answer_done(done)
}
