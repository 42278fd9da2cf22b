//! Getting sats out: invoices, offers, lightning addresses, names, LNURL codes, refunds.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Api, Asker, Failure, answer, cuid, nothing};
use crate::core::money::Msat;
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::respond;
use crate::services::tips::error::{TipError, TipErrorView};
use crate::services::tips::links::WithdrawRequest;
use crate::services::tips::withdraw::{Asked, Flow, Outcome};

/// A withdrawal.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct PayBody {
    /// An invoice over exactly what can be withdrawn; a BOLT12 offer for that or any amount; a lightning address, or a
    /// BIP353 name.
    invoice: String,
    /// `tippee`, `tipper` or `anonymous`.
    flow: String,
    /// Only this tip; with `anonymous` it must be given.
    tip_id: Option<String>,
}

/// A code to withdraw with.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct LinkBody {
    /// `tippee`, `tipper` or `anonymous`.
    flow: String,
    /// Satoshis that can be withdrawn, as the asker knows it.
    amount: Option<u64>,
    /// Only this tip; with `anonymous` it must be given.
    tip_id: Option<String>,
}

/// A withdrawal that is still under way.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PendingView {
    withdrawal_id: String,
    /// Always `pending`.
    status: &'static str,
}

/// What wallets read.
#[derive(Serialize)]
struct LnurlView<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// An error for a wallet.
pub(super) fn refused(error: &TipError) -> Response {
    let view = LnurlView { status: "ERROR", reason: Some(error.message()) };
    respond::no_store(respond::json(StatusCode::OK, &view))
}

/// Who asks for what.
async fn asked(api: &Api, asker: &Asker, body: &JsonObject) -> Result<Asked, TipError> {
    let flow: Flow = text(body, "flow")?.unwrap_or_default().parse()?;
    let user = match flow {
        Flow::Anonymous => None,
        Flow::Tippee | Flow::Tipper => Some(asker.writer(api).await?.id),
    };
    let tip = text(body, "tipId")?.map(|id| cuid(&id)).transpose()?;
    Ok(Asked { flow, user, tip })
}

fn text(body: &JsonObject, name: &'static str) -> Result<Option<String>, TipError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(TipError::bad_request(format!("{name} must be a text"))),
    }
}

/// Pays tips out to an invoice, an offer, a lightning address or a name, and waits up to 20 seconds for the end.
#[utoipa::path(
    post, path = "/api/invoices", tag = "tips",
    request_body = PayBody,
    responses(
        (status = 204, description = "The sats have arrived"),
        (status = 202, description = "They are still under way", body = PendingView),
        (status = 400, description = "The first rule that is broken", body = TipErrorView),
        (status = 409, description = "Nothing can be withdrawn, another amount can, or the payment failed", body = TipErrorView),
        (status = 422, description = "The lightning address gives no invoice", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn pay(
    State(api): State<Api>,
    asker: Asker,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    let body = body?;
    let asked = asked(&api, &asker, &body).await?;
    let target = text(&body, "invoice")?.ok_or_else(|| TipError::bad_request("invoice must be given"))?;
    let ask = match asked.user {
        Some(user) => asker.once_by(&format!("tips {user}"), "POST /api/invoices", &body)?,
        // Nobody is known, but the tip is: whoever has its link has the same rights.
        None => {
            let tip = asked.tip.map(|tip| tip.to_string()).unwrap_or_default();
            asker.once_by(&format!("tip {tip}"), "POST /api/invoices", &body)?
        }
    };
    Ok(match api.tips.withdraw(asked, target.trim(), ask).await? {
        Outcome::Paid => nothing(),
        Outcome::Pending { id } => {
            let view = PendingView { withdrawal_id: id, status: "pending" };
            respond::no_store(respond::json(StatusCode::ACCEPTED, &view))
        }
    })
}

/// An LNURL for what can be withdrawn now, as a JSON string.
#[utoipa::path(
    post, path = "/api/withdrawalLinks", tag = "tips",
    request_body = LinkBody,
    responses(
        (status = 200, description = "The LNURL", body = String),
        (status = 400, description = "The first rule that is broken", body = TipErrorView),
        (status = 409, description = "Nothing can be withdrawn, or another amount can", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn link(
    State(api): State<Api>,
    asker: Asker,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    let body = body?;
    let asked = asked(&api, &asker, &body).await?;
    let amount = match body.get("amount") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let sat = value.as_u64().and_then(Msat::from_sat);
            Some(sat.ok_or_else(|| TipError::bad_request("amount must be a whole number of satoshis"))?)
        }
    };
    Ok(answer(api.tips.link_json(asked, amount).await?))
}

/// The first leg of LNURL-withdraw.
#[utoipa::path(
    get, path = "/api/withdrawalLinks/{id}", tag = "tips",
    params(("id" = String, Path, description = "The code's id")),
    responses((status = 200, description = "What can be withdrawn, or `status: ERROR` and why not", body = WithdrawRequest))
)]
pub(super) async fn link_request(State(api): State<Api>, Id(id): Id) -> Response {
    match api.tips.link_request_json(&id).await {
        Ok(body) => answer(body),
        Err(error) => refused(&error),
    }
}

/// The second leg of LNURL-withdraw.
#[utoipa::path(
    get, path = "/api/withdrawalLinks/{id}/pay", tag = "tips",
    params(
        ("id" = String, Path, description = "The code's id"),
        ("k1" = String, Query, description = "From the first leg"),
        ("pr" = String, Query, description = "An invoice"),
    ),
    responses((status = 200, description = "`status: OK` once it will be paid, or `ERROR` and why not", body = serde_json::Value))
)]
pub(super) async fn link_pay(State(api): State<Api>, Id(id): Id, params: Params) -> Response {
    let Some(pr) = params.get("pr") else {
        return refused(&TipError::bad_request("pr, the invoice, is missing"));
    };
    match api.tips.link_pay(&id, params.get("k1").unwrap_or_default(), &pr).await {
        Ok(()) => {
            let view = LnurlView { status: "OK", reason: None };
            respond::no_store(respond::json(StatusCode::OK, &view))
        }
        Err(error) => refused(&error),
    }
}

/// Who has sats to get back, for a scheduler.
#[utoipa::path(
    get, path = "/api/users", tag = "tips",
    params(
        ("apiKey" = String, Query, description = "A key of scope `scheduler`"),
        ("refundable" = Option<String>, Query, description = "Must be there: there is no other list"),
        ("hasLightningAddress" = Option<bool>, Query, description = "Only those with (`true`) or without"),
    ),
    responses((status = 200, description = "The users", body = serde_json::Value), Failure)
)]
pub(super) async fn refundable(
    State(api): State<Api>,
    asker: Asker,
    params: Params,
) -> Result<Response, TipError> {
    if !api.tips.users().scheduler(&asker.headers, params.raw()).await? {
        return Err(TipError::Unauthorized);
    }
    if !params.has("refundable") {
        return Err(TipError::bad_request("only ?refundable=true can be listed"));
    }
    let has_address = params.get("hasLightningAddress").map(|given| given != "false");
    let body = api.tips.refundable_body(has_address).await?;
    Ok(respond::no_store(respond::json_bytes(StatusCode::OK, body)))
}

/// Sends what a tipper has got back to their lightning address now. It also happens by itself.
#[utoipa::path(
    post, path = "/api/users/{id}/refundToLightningAddress", tag = "tips",
    params(
        ("id" = String, Path, description = "The tipper's id"),
        ("apiKey" = Option<String>, Query, description = "A key of scope `scheduler`; a tipper needs none for themselves"),
    ),
    responses(
        (status = 204, description = "It is under way"),
        (status = 409, description = "There is nothing to give back", body = TipErrorView),
        (status = 422, description = "The lightning address gives no invoice", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn refund(
    State(api): State<Api>,
    Id(id): Id,
    params: Params,
    asker: Asker,
) -> Result<Response, TipError> {
    let id = cuid(&id)?;
    if !api.tips.users().scheduler(&asker.headers, params.raw()).await?
        && asker.writer(&api).await?.public_id != id
    {
        return Err(TipError::Forbidden);
    }
    api.tips.refund_user(id).await?;
    Ok(nothing().into_response())
}
