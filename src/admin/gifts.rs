//! Gifts as the operator sees them.

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::Asked;
use super::{AdminError, AdminState};

/// The gifts service.
pub trait GiftAdmin: Send + Sync {
    /// A page of gifts, newest first: objects with `"id"`, `"status"`, `"amount_sat"`, `"created_at"` (unix seconds).
    ///
    /// # Errors
    /// [`AdminError::BadRequest`] for a `before` that is no gift's, [`AdminError::Unavailable`].
    fn list(&self, page: PageRequest) -> BoxFuture<'_, Result<Vec<Value>, AdminError>>;

    /// All that is known of one gift.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn show(&self, id: String) -> BoxFuture<'_, Result<Option<Value>, AdminError>>;
}

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRequest {
    /// At most so many, from 1 to 500.
    #[serde(default = "default_limit")]
    pub limit: u32,
    /// Those older than the one with this id; the last of the page before.
    pub before: Option<String>,
}

const fn default_limit() -> u32 {
    50
}

/// Above this one answer would hold up the others.
const MAX_LIMIT: u32 = 500;

impl PageRequest {
    /// One that says so much.
    pub(super) fn new(limit: Option<u32>, before: Option<String>) -> Self {
        Self { limit: limit.unwrap_or_else(default_limit), before }
    }

    /// Refuses a page that is too long.
    pub(super) fn checked(self) -> Result<Self, AdminError> {
        if (1..=MAX_LIMIT).contains(&self.limit) {
            return Ok(self);
        }
        Err(AdminError::BadRequest(format!("limit must be from 1 to {MAX_LIMIT}")))
    }
}

/// `GET /admin/v1/gifts`
pub async fn list(
    State(state): State<AdminState>,
    Asked(page): Asked<PageRequest>,
) -> Result<Json<Value>, AdminError> {
    let page = page.checked()?;
    let gifts = state.gifts.list(page).await?;
    Ok(Json(json!({ "gifts": gifts })))
}

/// `GET /admin/v1/gifts/{id}`
pub async fn show(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let found = state.gifts.show(id).await?;
    found
        .map(Json)
        .ok_or_else(|| AdminError::NotFound("there is no gift with this id; see `satchel gift list`".into()))
}
