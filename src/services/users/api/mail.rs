//! Logging in by a letter.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Failure, answer, done, with_cookies};
use crate::http::body::{BodyError, JsonObject};
use crate::http::limits::Meter;
use crate::outbound::mail::Address;
use crate::services::tips::error::{TipError, TipErrorView};
use crate::services::tips::ids::Cuid;
use crate::services::users::Users;
use crate::services::users::mail::{LetterAsk, Proof};

/// What a letter costs of a client's quota of writes, besides the request itself.
const MORE_WRITES: u32 = 4;

/// Whom to send a letter.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct SendBody {
    /// Text messages are not sent
    email: String,
    /// `true`: connect the address with whoever is logged in
    link_existing_account: Option<bool>,
    /// The tip whose page the login leads back to
    tip_id: Option<String>,
}

/// What the letter said: one of the two.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct VerifyBody {
    /// What stands behind the `#` of its link
    token: Option<String>,
    /// Its code of eight digits
    code: Option<String>,
}

/// A login that is done.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoggedInByMailView {
    /// Who is logged in.
    #[schema(value_type = String)]
    id: Cuid,
    /// The tip whose page began it.
    #[schema(value_type = Option<String>)]
    tip_id: Option<Cuid>,
}

/// Sends a letter with a link and a code, each good for fifteen minutes, once, and in this browser alone, which
/// gets a cookie for it. The answer is the same whether the address is anybody's. The link leads to a page of this
/// site's own, whatever `callbackUrl` says. While the mail server can't be reached the answer is 503 `MAIL_UNAVAILABLE`,
/// for every address.
#[utoipa::path(
    post, path = "/api/auth/2fa/send", tag = "tips",
    request_body = SendBody,
    responses(
        (status = 204, description = "It will be sent: the mail server is there"),
        (status = 400, description = "No address, or not one to write to", body = TipErrorView),
        (status = 404, description = "This site sends no letters", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn send(
    State(users): State<Users>,
    meter: Option<Extension<Meter>>,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    users.mailer()?;
    let ask = read(&body?)?;
    if let Some(Extension(meter)) = meter {
        meter.take(MORE_WRITES).map_err(|retry_after| TipError::TooMany { retry_after })?;
    }
    let cookie = users.send_letter(&headers, ask).await?;
    Ok(with_cookies(done(), [cookie]))
}

fn read(body: &JsonObject) -> Result<LetterAsk, TipError> {
    let bad = || TipError::Invalid { code: "EMAIL_BAD", message: "email must be an e-mail address".into() };
    let address = body.get("email").and_then(Value::as_str).ok_or_else(bad)?;
    let address: Address = address.parse().map_err(|_| bad())?;
    let link = match body.get("linkExistingAccount") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(link)) => *link,
        Some(_) => return Err(TipError::bad_request("linkExistingAccount must be true or false")),
    };
    let tip = match body.get("tipId") {
        None | Some(Value::Null) => None,
        Some(id) => {
            let id = id.as_str().and_then(|id| id.parse::<Cuid>().ok());
            Some(id.ok_or_else(|| TipError::bad_request("tipId must be the id of a tip"))?)
        }
    };
    Ok(LetterAsk { address, link, tip })
}

/// Finishes a login with what the letter said: the browser's cookie is set.
#[utoipa::path(
    post, path = "/api/auth/2fa/verify", tag = "tips",
    request_body = VerifyBody,
    responses(
        (status = 200, description = "Who is logged in", body = LoggedInByMailView),
        (status = 400, description = "Neither of the two is there, or the code is wrong", body = TipErrorView),
        (status = 404, description = "Unknown, expired, used, or another browser's; or this site sends no letters", body = TipErrorView),
        (status = 409, description = "The address can't be connected", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn verify(
    State(users): State<Users>,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    users.mailer()?;
    let body = body?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let proof = text("token").map(Proof::Link).or_else(|| text("code").map(Proof::Code));
    let proof = proof.ok_or_else(|| TipError::bad_request("token or code must be what the letter says"))?;
    let finished = users.finish_letter(&headers, proof).await?;
    let view = LoggedInByMailView { id: finished.id, tip_id: finished.tip };
    Ok(with_cookies(answer(&view), finished.cookies))
}
