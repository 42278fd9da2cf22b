//! The webhooks' delivery log.

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Asked, By};
use super::gifts::PageRequest;
use super::{AdminError, AdminState};
use crate::http::audit_log::{Act, ActKind};

/// The webhooks service.
pub trait WebhookAdmin: Send + Sync {
    /// A page of messages of all families, newest first: objects with `"id"`, `"family"`, `"url"`, `"kind"`,
    /// `"state"` (`waiting`, `delivered`, `parked`), `"attempts"`, `"last_status"`, `"last_error"`, `"created_at"` and
    /// `"last_try_at"` (unix milliseconds); neither payloads nor secrets. Or those alone that were given up.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`] for a `before` that is no message's, [`AdminError::Unavailable`].
    fn list(&self, page: PageRequest, parked: bool) -> BoxFuture<'_, Result<Vec<Value>, AdminError>>;

    /// Sends a message again that was delivered or given up, and now one that waits.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Refused`] for one whose account has taken the address away,
    /// [`AdminError::Unavailable`].
    fn replay(&self, id: String) -> BoxFuture<'_, Result<(), AdminError>>;
}

/// What of the log.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRequest {
    limit: Option<u32>,
    before: Option<String>,
    #[serde(default)]
    parked: bool,
}

/// `GET /admin/v1/webhooks`
pub async fn list(
    State(state): State<AdminState>,
    Asked(LogRequest { limit, before, parked }): Asked<LogRequest>,
) -> Result<Json<Value>, AdminError> {
    let page = PageRequest::new(limit, before).checked()?;
    let webhooks = state.webhooks.list(page, parked).await?;
    Ok(Json(json!({ "webhooks": webhooks })))
}

/// `POST /admin/v1/webhooks/{id}/replay`
pub async fn replay(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::WebhookReplay).to(&id);
    state.acts.around(act, state.webhooks.replay(id.clone()), |()| None).await?;
    Ok(Json(json!({ "id": id, "state": "waiting" })))
}
