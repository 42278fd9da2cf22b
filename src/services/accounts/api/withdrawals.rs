//! What is taken out.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use super::{Who, answer};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::Id;
use crate::http::idempotency::IdempotencyKey;
use crate::http::problem::{Failure, Problem};
use crate::services::accounts::view::WithdrawalView;
use crate::services::accounts::{AccountError, Accounts, By, NewWithdrawal};

/// A withdrawal.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct WithdrawalBody {
    /// A BOLT11 invoice with or without an amount, a BOLT12 offer, a lightning address, a BIP353 name, or an on-chain
    /// address that was not used before. A name is looked for in the DNS first and believed with DNSSEC; then it is
    /// asked as a lightning address.
    #[schema(example = "bob@example.com", max_length = 8192)]
    target: String,
    /// How much the recipient gets. Without it: what the target asks for, or else all that there is, less the reserve for
    /// fees.
    #[schema(example = 10000, minimum = 1)]
    amount_sat: Option<u64>,
}

/// Takes out what your account has earned. Needs the scope `withdraw`. The same invoice or address again is the same
/// withdrawal; for names and offers send an `Idempotency-Key`. A withdrawal to an address is done when its transaction
/// is six blocks deep.
#[utoipa::path(
    post, path = "/v1/account/withdrawals", tag = "accounts",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once")),
    request_body = WithdrawalBody,
    responses(
        (status = 201, description = "The withdrawal, on its way", body = WithdrawalView<'_>),
        (status = 200, description = "The withdrawal that this invoice or address was given for already", body = WithdrawalView<'_>),
        (status = 400, description = "The target or the amount can't be paid", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "More than there is, or than the key may in a day; a target that was used; a name that can't be reached; an idempotency key that was used for something else", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn create(
    State(accounts): State<Accounts>,
    Extension(caller): Who,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, AccountError> {
    let body = body?;
    let new = NewWithdrawal::read(&body)?;
    let whose = format!("accounts {}", caller.account);
    let ask = IdempotencyKey::read(&headers, &whose, "POST /v1/account/withdrawals", &body.raw)?;
    Ok(accounts.withdraw(caller.account, By::Key(caller.key), new, ask).await?.into_response())
}

/// One of your withdrawals.
#[utoipa::path(
    get, path = "/v1/account/withdrawals/{withdrawalId}", tag = "accounts",
    params(("withdrawalId" = String, Path, description = "The withdrawal's id")),
    responses(
        (status = 200, description = "The withdrawal", body = WithdrawalView<'_>),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        Failure,
    )
)]
pub(super) async fn one(
    State(accounts): State<Accounts>,
    Extension(caller): Who,
    Id(id): Id,
) -> Result<Response, AccountError> {
    Ok(answer(accounts.withdrawal_json(caller.account, &id).await?))
}
