//! Groups of tips.

use axum::extract::State;
use axum::response::Response;

use super::tipper::{EditBody, ReclaimBody};
use super::{Api, Asker, Failure, answer, cuid, flag, nothing};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::Id;
use crate::services::tips::error::{TipError, TipErrorView};
use crate::services::tips::request::{Edit, Kind};
use crate::services::tips::view::{DeletedView, GroupView, StaticLinkView};

/// One of your groups, with its tips. An invoice that is over is replaced.
#[utoipa::path(
    get, path = "/api/tipGroups/{id}", tag = "tips",
    params(("id" = String, Path, description = "The group's id")),
    responses((status = 200, description = "The group", body = GroupView<'_>), Failure)
)]
pub(super) async fn group(State(api): State<Api>, Id(id): Id, asker: Asker) -> Result<Response, TipError> {
    let user = asker.reader(&api).await?;
    Ok(answer(api.tips.group_json(&user, cuid(&id)?).await?))
}

/// Gives up a group that nobody has paid for, and its tips.
#[utoipa::path(
    delete, path = "/api/tipGroups/{id}", tag = "tips",
    params(("id" = String, Path, description = "The group's id")),
    responses(
        (status = 200, description = "Deleted", body = DeletedView<'_>),
        (status = 409, description = "It is paid for", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn delete(State(api): State<Api>, Id(id): Id, asker: Asker) -> Result<Response, TipError> {
    let user = asker.writer(&api).await?;
    api.tips.delete_group(&user, cuid(&id)?).await?;
    Ok(answer(crate::services::tips::json(&DeletedView::new(&id))?))
}

/// Changes all tips of a group that can still be changed.
#[utoipa::path(
    put, path = "/api/tipGroups/{id}/tips", tag = "tips",
    params(("id" = String, Path, description = "The group's id")),
    request_body = EditBody,
    responses(
        (status = 200, description = "The group as it is now", body = GroupView<'_>),
        (status = 400, description = "The first rule that is broken", body = TipErrorView),
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
    let (fields, now) = (body?.fields, api.tips.now());
    let read = move |quantity| Ok(Edit::read(&fields, Kind::Group(quantity), now)?);
    Ok(answer(api.tips.edit_group(&user, cuid(&id)?, read).await?))
}

/// Makes every tip of a group yours again that can be; those that somebody has claimed only with `force`.
#[utoipa::path(
    post, path = "/api/tipGroups/{id}/reclaim", tag = "tips",
    params(("id" = String, Path, description = "The group's id")),
    request_body = Option<ReclaimBody>,
    responses(
        (status = 204, description = "They are yours again"),
        (status = 409, description = "There is none that can be", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn reclaim(
    State(api): State<Api>,
    Id(id): Id,
    asker: Asker,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    let user = asker.writer(&api).await?;
    let (id, body) = (cuid(&id)?, body?);
    let ask = asker.once(&user, &format!("reclaim group {id}"), &body)?;
    api.tips.reclaim_group(&user, id, flag(&body, "force")?, ask, None).await?;
    Ok(nothing())
}

/// Where the group's one link leads whoever asks: the tip they have claimed, or one that is free.
#[utoipa::path(
    get, path = "/api/tipGroups/{id}/static", tag = "tips",
    params(("id" = String, Path, description = "The group's id")),
    responses((status = 200, description = "A tip, if there is one", body = StaticLinkView<'_>), Failure)
)]
pub(super) async fn static_link(
    State(api): State<Api>,
    Id(id): Id,
    asker: Asker,
) -> Result<Response, TipError> {
    let visitor = asker.anybody(&api).await?.map(|session| session.user);
    Ok(answer(api.tips.static_json(cuid(&id)?, visitor.as_ref()).await?))
}
