//! Users: what they say about themselves.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::ToSchema;

use super::{Failure, answer, done};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::{Id, Params};
use crate::services::tips::error::{TipError, TipErrorView};
use crate::services::tips::ids::Cuid;
use crate::services::users::profile::Change;
use crate::services::users::views::UserView;
use crate::services::users::{Users, store};
use crate::storage::StoreError;

/// What may be changed. What is absent stays, what is null goes.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct ChangeBody {
    #[schema(max_length = 50)]
    name: Option<String>,
    /// Where refunds go: a lightning address.
    lightning_address: Option<String>,
}

/// A user. They themselves see more than others do.
#[utoipa::path(
    get, path = "/api/users/{id}", tag = "tips",
    params(
        ("id" = String, Path, description = "The user's id"),
        ("publicProfile" = Option<bool>, Query, description = "`true`: what others see"),
    ),
    responses(
        (status = 200, description = "The user", body = UserView),
        (status = 404, description = "No such user", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn user(
    State(users): State<Users>,
    Id(id): Id,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, TipError> {
    let asker = users.asker(&headers).await?.map(|session| session.user);
    let id = id.parse::<Cuid>().map_err(|_| TipError::NotFound)?;
    let public = params.get("publicProfile").is_some_and(|given| given == "true");
    if let Some(own) = asker.filter(|user| user.public_id == id && !public) {
        return Ok(answer(&UserView::Own((&own).into())));
    }
    let user = users.store().read(move |connection| store::by_public_id(connection, id)).await?;
    Ok(answer(&UserView::Public((&user.ok_or(TipError::NotFound)?).into())))
}

/// Changes what a user says about themselves.
#[utoipa::path(
    put, path = "/api/users/{id}", tag = "tips",
    params(("id" = String, Path, description = "The user's own id")),
    request_body = ChangeBody,
    responses(
        (status = 204, description = "Changed"),
        (status = 400, description = "The first rule that is broken", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn change(
    State(users): State<Users>,
    Id(id): Id,
    headers: HeaderMap,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    let user = users.writer(&headers).await?.user;
    if id.parse::<Cuid>() != Ok(user.public_id) {
        return Err(TipError::Forbidden);
    }
    let change = Change::read(&body?.fields, users.guard())?;
    users.store().write(move |tx| -> Result<(), StoreError> { store::change(tx, user.id, &change) }).await?;
    Ok(done())
}
