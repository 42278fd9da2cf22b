//! A tipper's tips.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, Asker, Failure, answer, answer_done, cuid, flag, nothing};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::respond;
use crate::services::tips::error::{TipError, TipErrorView};
use crate::services::tips::list::{TipName, Wanted};
use crate::services::tips::request::{Edit, Kind, NewTips};
use crate::services::tips::view::{DeletedView, GroupView, TipView};

/// Tips of one page at most.
const LONGEST_PAGE: usize = 1_000;

/// An order for tips.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct OrderBody {
    /// Satoshis of each tip, without the fee.
    amount: u64,
    /// More than one makes a group.
    #[schema(minimum = 1, maximum = 500)]
    quantity: u32,
    /// After it the tip can't be claimed or withdrawn and is yours again.
    #[schema(format = DateTime)]
    expiry: String,
    currency: Option<String>,
    /// `DEFAULT`, `SKIP` or `LIGHTNING`.
    onboarding_flow: Option<String>,
    /// Of a single tip.
    tippee_name: Option<String>,
    tippee_locale: Option<String>,
    /// In a group `{{name}}` stands for the tippee's name.
    #[schema(max_length = 1000)]
    note: Option<String>,
    /// Of a group; a single one is a template in which `{{index}}` counts from 1.
    tippee_names: Option<Vec<Option<String>>>,
    recommended_wallet_id: Option<String>,
    anonymous_tipper: Option<bool>,
    generate_passphrase: Option<bool>,
    /// Must be given with `generatePassphrase`.
    #[schema(minimum = 3, maximum = 6)]
    passphrase_length: Option<u8>,
    /// Told of a claim; not with `SKIP`.
    claim_webhook_url: Option<String>,
    /// Told of a withdrawal.
    withdraw_webhook_url: Option<String>,
    advertisement_url: Option<String>,
    advertisement_image_url: Option<String>,
    /// Of a group: one link leads everybody to a tip of their own.
    enable_static_link: Option<bool>,
    /// `CUSTODIAL` is the only one.
    #[schema(rename = "type")]
    kind: Option<String>,
}

/// Changes to a tip, or to all tips of a group. What is absent of the first ten goes; of the others it stays.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct EditBody {
    #[schema(max_length = 1000)]
    note: Option<String>,
    tippee_name: Option<String>,
    /// Of a group.
    tippee_names: Option<Vec<Option<String>>>,
    tippee_locale: Option<String>,
    currency: Option<String>,
    recommended_wallet_id: Option<String>,
    claim_webhook_url: Option<String>,
    withdraw_webhook_url: Option<String>,
    advertisement_url: Option<String>,
    advertisement_image_url: Option<String>,
    /// Without it the magic words go; with as many words as there are they stay.
    generate_passphrase: Option<bool>,
    #[schema(minimum = 3, maximum = 6)]
    passphrase_length: Option<u8>,
    #[schema(format = DateTime)]
    expiry: Option<String>,
    onboarding_flow: Option<String>,
    anonymous_tipper: Option<bool>,
    enable_static_link: Option<bool>,
}

/// What was made.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a schema alone")]
pub(super) enum MadeView<'a> {
    /// For a quantity of 1.
    Tip(Box<TipView<'a>>),
    /// For more.
    Group(GroupView<'a>),
}

/// Taking back.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct ReclaimBody {
    /// Also what somebody has claimed.
    force: Option<bool>,
}

/// Your tips, newest first.
#[utoipa::path(
    get, path = "/api/tipper/tips", tag = "tips",
    params(
        ("withGroups" = Option<String>, Query, description = "Of each group only its first tip, with the group inside"),
        ("reclaimable" = Option<String>, Query, description = "With `expired`: only what is over and not taken back yet"),
        ("expired" = Option<String>, Query, description = "See `reclaimable`"),
        ("limit" = Option<u32>, Query, description = "At most so many, up to 1,000; without it all"),
        ("cursor" = Option<String>, Query, description = "The id of the last tip of the page before; also in `X-Next-Cursor`"),
        ("apiKey" = Option<String>, Query, description = "A scheduler's key: tips of everybody, named by handles that reclaim them and open nothing"),
    ),
    responses((status = 200, description = "The tips", body = Vec<TipView<'_>>), Failure)
)]
pub(super) async fn list(State(api): State<Api>, asker: Asker, params: Params) -> Result<Response, TipError> {
    let scheduler = api.tips.users().scheduler(&asker.headers, params.raw()).await?;
    let user = if scheduler { None } else { Some(asker.reader(&api).await?) };
    let (limit, cursor) = page(&api, &params)?;
    let wanted = Wanted {
        with_groups: params.has("withGroups"),
        reclaimable: params.has("reclaimable") && params.has("expired"),
        cursor,
        limit: limit.or(scheduler.then_some(LONGEST_PAGE)),
    };
    let (body, next) = api.tips.list_body(user.as_ref(), wanted).await?;
    Ok(paged(body, next))
}

/// Which page of a list of tips is asked for: how many, and after which.
pub(super) fn page(api: &Api, params: &Params) -> Result<(Option<usize>, Option<TipName>), TipError> {
    let limit = match params.get("limit") {
        None => None,
        Some(text) => {
            let limit = text.parse().ok().filter(|limit| (1..=LONGEST_PAGE).contains(limit));
            Some(limit.ok_or_else(|| TipError::bad_request("limit must be a whole number from 1 to 1000"))?)
        }
    };
    let cursor = match params.get("cursor") {
        None => None,
        Some(text) => {
            let name = api.tips.tip_name(&text);
            Some(name.ok_or_else(|| TipError::bad_request("cursor must be the id of a tip"))?)
        }
    };
    Ok((limit, cursor))
}

/// A page, and where the next begins.
pub(super) fn paged(body: Body, next: Option<String>) -> Response {
    let mut response = respond::no_store(respond::json_bytes(StatusCode::OK, body));
    if let Some(value) = next.and_then(|next| HeaderValue::from_str(&next).ok()) {
        response.headers_mut().insert(HeaderName::from_static("x-next-cursor"), value);
    }
    response
}

/// Makes a tip, or a group of them.
#[utoipa::path(
    post, path = "/api/tipper/tips", tag = "tips",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body does it once")),
    request_body = OrderBody,
    responses(
        (status = 200, description = "The tip, or for a quantity above 1 the group", body = MadeView<'_>),
        (status = 400, description = "The first rule that is broken", body = TipErrorView),
        (status = 422, description = "The Idempotency-Key was used for another request", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    asker: Asker,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    let user = asker.tipper(&api).await?;
    let body = body?;
    let new = NewTips::read(&body.fields, &api.tips.rules().limits, api.tips.now())?;
    let ask = asker.once(&user, "POST /api/tipper/tips", &body)?;
    asker.pay_for(new.quantity)?;
    Ok(answer_done(api.tips.create(&user, new, ask).await?))
}

/// One of your tips. An invoice that is over is replaced.
#[utoipa::path(
    get, path = "/api/tipper/tips/{id}", tag = "tips",
    params(("id" = String, Path, description = "The tip's id")),
    responses((status = 200, description = "The tip", body = TipView<'_>), Failure)
)]
pub(super) async fn tip(State(api): State<Api>, Id(id): Id, asker: Asker) -> Result<Response, TipError> {
    let user = asker.reader(&api).await?;
    Ok(answer(api.tips.given_json(&user, cuid(&id)?).await?))
}

/// Changes a tip. What is absent of note, names, currency, locale, wallet, webhooks and advertisement goes; expiry,
/// flow and anonymity stay.
#[utoipa::path(
    put, path = "/api/tipper/tips/{id}", tag = "tips",
    params(("id" = String, Path, description = "The tip's id")),
    request_body = EditBody,
    responses(
        (status = 200, description = "The tip as it is now", body = TipView<'_>),
        (status = 400, description = "The first rule that is broken", body = TipErrorView),
        (status = 409, description = "It can't be changed any more", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn change(
    State(api): State<Api>,
    Id(id): Id,
    asker: Asker,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    let user = asker.writer(&api).await?;
    let id = cuid(&id)?;
    api.tips.given(user.id, id).await?;
    let edit = Edit::read(&body?.fields, Kind::Single, api.tips.now())?;
    Ok(answer(api.tips.edit(&user, id, edit).await?))
}

/// Gives up a tip that nobody has paid for.
#[utoipa::path(
    delete, path = "/api/tipper/tips/{id}", tag = "tips",
    params(("id" = String, Path, description = "The tip's id")),
    responses(
        (status = 200, description = "Deleted", body = DeletedView<'_>),
        (status = 409, description = "It is paid for, or in a group", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn delete(State(api): State<Api>, Id(id): Id, asker: Asker) -> Result<Response, TipError> {
    let user = asker.writer(&api).await?;
    api.tips.delete(&user, cuid(&id)?).await?;
    Ok(answer(crate::services::tips::json(&DeletedView::new(&id))?))
}

/// Makes a tip yours again, before its expiry too. One that somebody has claimed only with `force`.
#[utoipa::path(
    post, path = "/api/tipper/tips/{id}/reclaim", tag = "tips",
    params(("id" = String, Path, description = "The tip's id")),
    request_body = Option<ReclaimBody>,
    responses(
        (status = 204, description = "It is yours again"),
        (status = 409, description = "It is claimed, withdrawn, being withdrawn, or not paid for", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn reclaim(
    State(api): State<Api>,
    Id(id): Id,
    params: Params,
    asker: Asker,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    let scheduler = api.tips.users().scheduler(&asker.headers, params.raw()).await?;
    let user = if scheduler { None } else { Some(asker.writer(&api).await?) };
    let (name, body) = (api.tips.tip_name(&id).ok_or(TipError::NotFound)?, body?);
    let ask = match &user {
        Some(user) => asker.once(user, &format!("reclaim {id}"), &body)?,
        None => None,
    };
    api.tips.reclaim(user.as_ref(), name, flag(&body, "force")?, ask, None).await?;
    Ok(nothing())
}

/// Gives a tip three other magic words.
#[utoipa::path(
    post, path = "/api/tipper/tips/{id}/generatePassphrase", tag = "tips",
    params(("id" = String, Path, description = "The tip's id")),
    responses((status = 204, description = "It has other words"), Failure)
)]
pub(super) async fn new_passphrase(
    State(api): State<Api>,
    Id(id): Id,
    asker: Asker,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    let user = asker.writer(&api).await?;
    let id = cuid(&id)?;
    let ask = asker.once(&user, &format!("passphrase {id}"), &body?)?;
    api.tips.new_passphrase(&user, id, ask).await?;
    Ok(nothing())
}

/// Notes that you copied the claim link.
#[utoipa::path(
    post, path = "/api/tipper/tips/{id}/markCopied", tag = "tips",
    params(("id" = String, Path, description = "The tip's id")),
    responses((status = 204, description = "Noted"), Failure)
)]
pub(super) async fn mark_copied(
    State(api): State<Api>,
    Id(id): Id,
    asker: Asker,
) -> Result<Response, TipError> {
    let user = asker.writer(&api).await?;
    api.tips.mark_copied(&user, cuid(&id)?).await?;
    Ok(nothing())
}

/// What your webhooks are signed with (Standard Webhooks).
#[utoipa::path(
    get, path = "/api/tipper/webhookSecret", tag = "tips",
    responses((status = 200, description = "`webhookSecret`", body = serde_json::Value), Failure)
)]
pub(super) async fn webhook_secret(State(api): State<Api>, asker: Asker) -> Result<Response, TipError> {
    let user = asker.reader(&api).await?;
    let secret = serde_json::json!({ "webhookSecret": api.tips.webhook_secret(&user) });
    Ok(answer(crate::services::tips::json(&secret)?).into_response())
}
