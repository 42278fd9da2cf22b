//! Taking a gift to an invoice, an offer, a lightning address or a name.

use axum::extract::State;
use axum::response::Response;

use super::bodies::{ReadFailure, RedeemBody, WriteFailure};
use super::extract::{Asker, order_id, text};
use super::{Api, answer, answer_done};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::Id;
use crate::services::gifts::Done;
use crate::services::gifts::codes::Guess;
use crate::services::gifts::error::GiftError;
use crate::services::gifts::redeem::Proof;
use crate::services::gifts::view::{ErrorView, RedeemedView, WithdrawalStatusView};

/// Pays a gift to an invoice, a BOLT12 offer, a lightning address or a BIP353 name.
///
/// The same invoice or offer again gets the same answer; an address gives another invoice each time, so what must be done
/// once is asked with an `Idempotency-Key`.
#[utoipa::path(
    post, path = "/redeem/{orderId}", tag = "gifts",
    params(
        ("orderId" = String, Path, description = "From /create"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once"),
    ),
    request_body = RedeemBody,
    responses(
        (status = 200, description = "The payout is under way", body = RedeemedView<'_>),
        (status = 400, description = "Why it is not", body = ErrorView),
        (status = 404, description = "No such gift", body = ErrorView),
        WriteFailure,
    )
)]
pub(super) async fn redeem(
    State(api): State<Api>,
    asker: Asker,
    Id(id): Id,
    body: Result<JsonObject, BodyError>,
) -> Response {
    let done: Result<Done<Vec<u8>>, GiftError> = async {
        let body = body?;
        let id = order_id(&id)?;
        let ask = asker.once_for(id, "POST /redeem", &body)?;
        let proof = Proof::Link { guess: Guess::from_json(body.get("verifyCode")) };
        api.gifts.redeem(id, text(&body, "invoice"), proof, ask).await
    }
    .await;
    answer_done(done)
}

/// How far a payout is.
#[utoipa::path(
    get, path = "/redeemStatus/{withdrawalId}", tag = "gifts",
    params(("withdrawalId" = String, Path, description = "From /redeem")),
    responses(
        (status = 200, description = "The invoice or offer and `initial`, `confirmed` or `failed`", body = WithdrawalStatusView<'_>),
        (status = 404, description = "No such withdrawal", body = ErrorView),
        ReadFailure,
    )
)]
pub(super) async fn redeem_status(State(api): State<Api>, Id(id): Id) -> Response {
    answer(api.gifts.withdrawal_json(id).await)
}

/// The same, as old clients ask.
#[utoipa::path(
    post, path = "/redeemStatus/{withdrawalId}", tag = "gifts",
    params(("withdrawalId" = String, Path, description = "From /redeem")),
    responses(
        (status = 200, description = "The invoice or offer and `initial`, `confirmed` or `failed`", body = WithdrawalStatusView<'_>),
        (status = 404, description = "No such withdrawal", body = ErrorView),
        ReadFailure,
    )
)]
pub(super) async fn redeem_status_posted(State(api): State<Api>, Id(id): Id) -> Response {
    answer(api.gifts.withdrawal_json(id).await)
}
