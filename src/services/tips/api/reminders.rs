//! Reminders, for a scheduler.

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Api, Asker, Failure, answer, nothing};
use crate::http::body::{BodyError, JsonObject};
use crate::http::extract::Params;
use crate::http::keys::Scope;
use crate::services::tips::error::{TipError, TipErrorView};
use crate::services::tips::reminders::{self, ReminderKind, ReminderView};

/// Reminders to give.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct RemindBody {
    /// At most 500. A single one may also be the body itself.
    reminders: Vec<RemindEntry>,
}

/// One of them.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema alone")]
pub(super) struct RemindEntry {
    tip_id: String,
    reminder_type: ReminderKind,
}

/// Reminders that are due of tips which are claimed and not withdrawn: at most 500, the most urgent first.
#[utoipa::path(
    get, path = "/api/reminders", tag = "tips",
    params(("apiKey" = String, Query, description = "A key of scope `scheduler`")),
    responses((status = 200, description = "The reminders", body = Vec<ReminderView>), Failure)
)]
pub(super) async fn list(State(api): State<Api>, asker: Asker, params: Params) -> Result<Response, TipError> {
    only_scheduler(&api, &asker, &params).await?;
    Ok(answer(api.tips.reminders_json().await?))
}

/// Notes reminders as given, tells the tips' claim webhooks (`tip.reminder`) and, where letters are sent, writes to
/// those who have an address; they are written to without a scheduler as well. One that was given before or is
/// not due any more is passed over. The body may also come as `text/plain`.
#[utoipa::path(
    post, path = "/api/reminders", tag = "tips",
    params(("apiKey" = String, Query, description = "A key of scope `scheduler`")),
    request_body = RemindBody,
    responses(
        (status = 204, description = "They are noted"),
        (status = 400, description = "The first rule that is broken", body = TipErrorView),
        Failure,
    )
)]
pub(super) async fn remind(
    State(api): State<Api>,
    asker: Asker,
    params: Params,
    body: Result<JsonObject, BodyError>,
) -> Result<Response, TipError> {
    only_scheduler(&api, &asker, &params).await?;
    // The original's scheduler sends JSON and calls it plain text.
    let body: Value = serde_json::from_slice(&body?.raw).map_err(|_| TipError::Invalid {
        code: "BODY_NOT_JSON",
        message: "the body is not valid JSON".into(),
    })?;
    api.tips.remind(reminders::read(&body)?).await?;
    Ok(nothing())
}

async fn only_scheduler(api: &Api, asker: &Asker, params: &Params) -> Result<(), TipError> {
    if api.tips.users().scheduler(&asker.headers, params.raw()).await? {
        return Ok(());
    }
    // A key in a header that is good for other things.
    match api.tips.users().asker(&asker.headers).await? {
        Some(session) if session.by_key => Err(TipError::KeyLacks(Scope::Scheduler)),
        _ => Err(TipError::Unauthorized),
    }
}
