//! Logging in and out.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Failure, UserIdView, answer, done, with_cookies};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::Params;
use crate::http::respond;
use crate::services::tips::error::{TipError, TipErrorView};
use crate::services::users::Users;
use crate::services::users::views::SessionView;

/// What a wallet has to sign.
#[derive(Serialize, ToSchema)]
pub(super) struct LoginSecretView {
    /// The LNURL to show, in upper case
    lnurl_auth: String,
    /// The challenge inside it, in hex
    k1: String,
}

/// What a wallet hears.
#[derive(Serialize, ToSchema)]
pub(super) struct LoginOutcome {
    /// `OK` or `ERROR`
    status: &'static str,
    /// What went wrong, for the person who holds the wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// How far a login is.
#[derive(Serialize, ToSchema)]
pub(super) struct LoginStatusView {
    /// The wallet has signed: it can be finished.
    verified: bool,
    /// It is gone: finished, expired, or never this browser's.
    used: bool,
}

/// Which login to finish.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct FinishBody {
    /// From /generate-secret
    k1: String,
}

/// A refusal as wallets read it.
pub(super) fn refused(reason: &str) -> Response {
    outcome(&LoginOutcome { status: "ERROR", reason: Some(reason.to_owned()) })
}

fn outcome(outcome: &LoginOutcome) -> Response {
    respond::no_store(respond::json(StatusCode::OK, outcome))
}

/// Begins a login with a Lightning wallet. Sets a cookie without which nobody can finish it.
#[utoipa::path(
    get, path = "/api/auth/lnurl/generate-secret", tag = "tips",
    params(("linkExistingAccount" = Option<bool>, Query, description = "`true`: connect the wallet with whoever is logged in")),
    responses((status = 200, description = "What to show to the wallet, for five minutes", body = LoginSecretView), Failure)
)]
pub(super) async fn generate_secret(
    State(users): State<Users>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, TipError> {
    let link = params.get("linkExistingAccount").is_some_and(|given| given == "true");
    let begun = users.begin_login(&headers, link).await?;
    let view = LoginSecretView { lnurl_auth: begun.lnurl, k1: begun.k1 };
    Ok(with_cookies(answer(&view), [begun.cookie]))
}

/// Where the wallet brings its signature (LUD-04).
#[utoipa::path(
    get, path = "/api/auth/lnurl/do-login", tag = "tips",
    params(
        ("tag" = Option<String>, Query, description = "`login`"),
        ("k1" = String, Query, description = "What was signed, in hex"),
        ("sig" = String, Query, description = "DER, in hex"),
        ("key" = String, Query, description = "The wallet's compressed public key for this host, in hex"),
    ),
    responses((status = 200, description = "`OK`, or any error", body = LoginOutcome))
)]
pub(super) async fn do_login(State(users): State<Users>, params: Params) -> Response {
    let given = |name| params.get(name).unwrap_or_default();
    match users.sign_login(&given("k1"), &given("sig"), &given("key")).await {
        Ok(()) => outcome(&LoginOutcome { status: "OK", reason: None }),
        Err(error) => refused(&error.to_string()),
    }
}

/// Whether the wallet has signed.
#[utoipa::path(
    get, path = "/api/auth/lnurl/status", tag = "tips",
    params(("k1" = String, Query, description = "From /generate-secret, asked with its cookie")),
    responses((status = 200, description = "How far it is", body = LoginStatusView), Failure)
)]
pub(super) async fn status(State(users): State<Users>, headers: HeaderMap, params: Params) -> Response {
    let (verified, used) = users.login_status(&headers, &params.get("k1").unwrap_or_default());
    answer(&LoginStatusView { verified, used })
}

/// Finishes a login that the wallet has signed: the browser's cookie is set.
#[utoipa::path(
    post, path = "/api/auth/lnurl/session", tag = "tips",
    request_body = FinishBody,
    responses(
        (status = 200, description = "Who is logged in", body = UserIdView),
        (status = 400, description = "The body is not JSON, or has no k1", body = TipErrorView),
        (status = 404, description = "Unknown, expired, used, or another browser's", body = TipErrorView),
        (status = 409, description = "Not signed yet, or the wallet can't be connected", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn finish(
    State(users): State<Users>,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    let body = body?;
    let k1 = body.get("k1").and_then(Value::as_str);
    let k1 = k1.ok_or_else(|| TipError::bad_request("k1 must be the one of this login"))?;
    let finished = users.finish_login(&headers, k1).await?;
    Ok(with_cookies(answer(&UserIdView { id: finished.id }), finished.cookies))
}

/// Makes a guest, whom this browser's cookie alone knows. Whoever is logged in stays who they are.
#[utoipa::path(
    post, path = "/api/auth/guest", tag = "tips",
    responses((status = 200, description = "Who is logged in", body = UserIdView), Failure)
)]
pub(super) async fn guest(State(users): State<Users>, headers: HeaderMap) -> Result<Response, TipError> {
    let (id, cookie) = users.guest(&headers).await?;
    Ok(with_cookies(answer(&UserIdView { id }), cookie))
}

/// Who is logged in.
#[utoipa::path(
    get, path = "/api/auth/session", tag = "tips",
    responses((status = 200, description = "Somebody, or `id: null`", body = SessionView), Failure)
)]
pub(super) async fn session(State(users): State<Users>, headers: HeaderMap) -> Result<Response, TipError> {
    let session = users.asker(&headers).await?;
    Ok(answer(&SessionView::of(session.as_ref().map(|session| &session.user), users.methods())))
}

/// Ends the browser's session.
#[utoipa::path(
    post, path = "/api/auth/logout", tag = "tips",
    responses((status = 204, description = "Nobody is logged in any more"), Failure)
)]
pub(super) async fn log_out(State(users): State<Users>, headers: HeaderMap) -> Result<Response, TipError> {
    let cookie = users.log_out(&headers).await?;
    Ok(with_cookies(done(), [cookie]))
}
