//! Gifts for wallets. HTTP status 200 always: wallets read the body alone.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::bodies::{PayAnswer, WithdrawAnswer};
use super::extract::{guess, order_id};
use crate::http::extract::{Id, Params};
use crate::http::respond;
use crate::services::gifts::error::GiftError;
use crate::services::gifts::request::Words;
use crate::services::gifts::view;

/// What LNURL calls an answer without content.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Outcome {
    /// `OK` or `ERROR`
    status: &'static str,
    /// The code of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// An error as wallets read it.
pub(super) fn refused(refusal: GiftError) -> Response {
    error(refusal.code())
}

/// The same from its code.
pub(super) fn error(code: &'static str) -> Response {
    let outcome = Outcome { status: "ERROR", reason: Some(code) };
    respond::no_store(respond::json(StatusCode::OK, &outcome))
}

fn answer(result: Result<Vec<u8>, GiftError>) -> Response {
    match result {
        Ok(body) => respond::no_store(respond::json_bytes(StatusCode::OK, body)),
        Err(error) => refused(error),
    }
}

/// LNURL-withdraw, both legs: what may be taken, and, with `pr` and `k1`, taking it.
#[utoipa::path(
    get, path = "/lnurl/{orderId}", tag = "gifts",
    params(
        ("orderId" = String, Path, description = "From /create"),
        ("verifyCode" = Option<String>, Query, description = "First leg: the gift's code, if it has one"),
        ("k1" = Option<String>, Query, description = "Second leg: from the first"),
        ("pr" = Option<String>, Query, description = "Second leg: the invoice"),
    ),
    responses(
        (status = 200, description = "The offer of the first leg; `OK` of the second; any error, as an outcome", body = WithdrawAnswer),
    )
)]
pub(super) async fn withdraw(State(api): State<Api>, Id(id): Id, params: Params) -> Response {
    let id = match order_id(&id) {
        Ok(id) => id,
        Err(error) => return refused(error),
    };
    let Some(invoice) = params.get("pr") else {
        return answer(api.gifts.withdraw_json(id, guess(&params)).await);
    };
    let k1 = params.get("k1").unwrap_or_default();
    let taken = api.gifts.withdraw(id, k1, invoice).await;
    answer(taken.and_then(|()| view::json(&Outcome { status: "OK", reason: None })))
}

/// LNURL-pay, both legs: a wallet pays any amount and gets the link of a gift.
#[utoipa::path(
    get, path = "/lnurl", tag = "gifts",
    params(
        ("senderName" = Option<String>, Query, description = "As in /create"),
        ("senderMessage" = Option<String>, Query, description = "As in /create"),
        ("verifyCode" = Option<String>, Query, description = "As in /create"),
        ("notify" = Option<String>, Query, description = "As in /create; signed with a key that nobody is told"),
        ("amount" = Option<u64>, Query, description = "Second leg: millisatoshis"),
    ),
    responses(
        (status = 200, description = "The offer of the first leg; the invoice of the second; any error, as an outcome", body = PayAnswer),
    )
)]
pub(super) async fn pay(State(api): State<Api>, params: Params) -> Response {
    pay_with(&api, Words::from_query(|name| params.get(name)), &params).await
}

/// LNURL-pay with what the first leg was asked with in the path, for its callback.
#[utoipa::path(
    get, path = "/lnurl/pay/{asked}", tag = "gifts",
    params(
        ("asked" = String, Path, description = "From the callback of /lnurl"),
        ("amount" = Option<u64>, Query, description = "Second leg: millisatoshis"),
    ),
    responses(
        (status = 200, description = "As /lnurl", body = PayAnswer),
    )
)]
pub(super) async fn pay_asked(State(api): State<Api>, Id(asked): Id, params: Params) -> Response {
    pay_with(&api, Words::from_path(&asked), &params).await
}

async fn pay_with(api: &Api, words: Result<Words, GiftError>, params: &Params) -> Response {
    // The amount is told first, as on /create.
    let Some(amount) = params.get("amount") else {
        let offered = async { api.gifts.pay_request_json(&words?).await };
        return answer(offered.await);
    };
    let paid = async {
        let amount = api.gifts.pay_amount(amount.parse().ok())?;
        api.gifts.pay_invoice_json(words?, amount).await
    };
    answer(paid.await)
}
