//! Tips as those see them who get them.

use axum::extract::State;
use axum::response::Response;
use utoipa::ToSchema;

use super::tipper::{page, paged};
use super::{Api, Asker, Failure, answer, cuid, flag, nothing};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::http::live;
use crate::services::tips::error::{TipError, TipErrorView};
use crate::services::tips::view::PublicTipView;

/// Claiming.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct ClaimBody {
    /// The link was on paper.
    is_printed: Option<bool>,
}

/// A tip, for whoever has its link.
#[utoipa::path(
    get, path = "/api/tippee/tips/{id}", tag = "tips",
    params(("id" = String, Path, description = "The tip's id")),
    responses((status = 200, description = "The tip", body = PublicTipView<'_>), Failure)
)]
pub(super) async fn tip(State(api): State<Api>, Id(id): Id) -> Result<Response, TipError> {
    Ok(answer(api.tips.public_json(cuid(&id)?).await?))
}

/// A tip, and every change of it, as server-sent events.
#[utoipa::path(
    get, path = "/api/tippee/tips/{id}/live", tag = "tips",
    params(("id" = String, Path, description = "The tip's id")),
    responses(
        (status = 200, description = "Events named `state`, each with the tip", content_type = "text/event-stream"),
        Failure,
    )
)]
pub(super) async fn live(State(api): State<Api>, Id(id): Id, asker: Asker) -> Result<Response, TipError> {
    let id = cuid(&id)?;
    api.tips.public_json(id).await?;
    let tips = api.tips.clone();
    let read = move || {
        let tips = tips.clone();
        async move { tips.public_json(id).await.ok().and_then(|body| String::from_utf8(body).ok()) }
    };
    let hub = api.tips.notifier().hub();
    live::sse_stream(hub, asker.client, &id.topic(), read).map_err(|_| TipError::TooMany { retry_after: 0 })
}

/// What you have claimed; or, with `passphrase`, the tip that magic words lead to.
#[utoipa::path(
    get, path = "/api/tippee/tips", tag = "tips",
    params(
        ("passphrase" = Option<String>, Query, description = "Magic words with a space between them"),
        ("publicTip" = Option<bool>, Query, description = "Has no effect: nothing but the public part is ever given"),
        ("limit" = Option<u32>, Query, description = "At most so many, up to 1,000; without it all"),
        ("cursor" = Option<String>, Query, description = "The id of the last tip of the page before; also in `X-Next-Cursor`"),
    ),
    responses((status = 200, description = "The tips", body = Vec<PublicTipView<'_>>), Failure)
)]
pub(super) async fn tips(State(api): State<Api>, asker: Asker, params: Params) -> Result<Response, TipError> {
    if let Some(words) = params.get("passphrase") {
        return Ok(answer(api.tips.by_words_json(&words, asker.client).await?));
    }
    let user = asker.reader(&api).await?;
    let (limit, cursor) = page(&api, &params)?;
    let (body, next) = api.tips.claimed_body(&user, cursor, limit).await?;
    Ok(paged(body, next))
}

/// A tip that anybody with its link may withdraw, in a list of one.
#[utoipa::path(
    get, path = "/api/anonymous/tips", tag = "tips",
    params(("tipId" = String, Query, description = "The tip's id")),
    responses((status = 200, description = "The tip", body = Vec<PublicTipView<'_>>), Failure)
)]
pub(super) async fn anonymous(State(api): State<Api>, params: Params) -> Result<Response, TipError> {
    let id = cuid(&params.get("tipId").unwrap_or_default())?;
    Ok(answer(api.tips.anonymous_json(id).await?))
}

/// Says that somebody has seen the page of a tip. A tipper's own look doesn't count.
#[utoipa::path(
    post, path = "/api/tippee/tips/{id}/markSeen", tag = "tips",
    params(("id" = String, Path, description = "The tip's id")),
    responses((status = 204, description = "Always, also for an unknown tip"), Failure)
)]
pub(super) async fn mark_seen(
    State(api): State<Api>,
    Id(id): Id,
    asker: Asker,
) -> Result<Response, TipError> {
    let viewer = asker.anybody(&api).await?.map(|session| session.user);
    if let Ok(id) = cuid(&id) {
        api.tips.mark_seen(id, viewer.as_ref()).await?;
    }
    Ok(nothing())
}

/// Makes a tip your own.
#[utoipa::path(
    post, path = "/api/tippee/tips/{id}/claim", tag = "tips",
    params(("id" = String, Path, description = "The tip's id")),
    request_body = Option<ClaimBody>,
    responses(
        (status = 204, description = "It is yours"),
        (status = 409, description = "It is claimed, over, not paid for, not seen, or you give it", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn claim(
    State(api): State<Api>,
    Id(id): Id,
    asker: Asker,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    let user = asker.writer(&api).await?;
    let (id, body) = (cuid(&id)?, body?);
    let ask = asker.once(&user, &format!("claim {id}"), &body)?;
    api.tips.claim(&user, id, flag(&body, "isPrinted")?, ask).await?;
    Ok(nothing())
}
