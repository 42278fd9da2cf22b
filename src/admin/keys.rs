//! API keys: make, list, revoke.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Body, By};
use super::{AdminError, AdminState, stream};
use crate::http::audit_log::{Act, ActKind};

/// The keys service.
pub trait KeyAdmin: Send + Sync {
    /// Makes a key, and records that as this act. The object has the key itself (`"key"`), shown this once, its `"id"`, `"name"` and `"scopes"`.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`] for a scope there isn't.
    fn create(&self, key: NewKey, act: Act) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Keys, without the keys themselves: objects with `"id"`, `"name"`, `"scopes"` and what else is known. At most so
    /// many, by id, those after this one.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn list(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<Value>, AdminError>>;

    /// Gives a key another text, shown this once in `"key"`, and records that as this act; `None` if there is none with
    /// this id. The old text works for `overlap_secs` more.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn rotate(
        &self,
        id: String,
        overlap_secs: u64,
        act: Act,
    ) -> BoxFuture<'_, Result<Option<Value>, AdminError>>;

    /// Makes a key worthless for ever, and records that as this act; `false` if there is none with this id.
    ///
    /// # Errors
    /// [`AdminError::Refused`] if it is the key that the operator's commands use.
    fn revoke(&self, id: String, act: Act) -> BoxFuture<'_, Result<bool, AdminError>>;
}

/// A key to make.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What it is for, in the operator's words.
    pub name: String,
    /// What it opens.
    pub scopes: Vec<String>,
    /// Whom it belongs to: made if it is new; by default an account of the key's own.
    pub account: Option<String>,
    /// In so many seconds it ends by itself.
    pub expires_in_secs: Option<u64>,
    /// From where it can be used, like `203.0.113.0/24` or `203.0.113.7`; by default from anywhere.
    #[serde(default)]
    pub networks: Vec<String>,
}

/// How a key's text is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// For so many seconds the old text works beside the new one; by default a day.
    pub overlap_secs: Option<u64>,
}

/// As many as the keys service takes.
const MAX_NAME_CHARS: usize = 64;

/// For how long the text before a rotation works, if nothing else is said.
const DEFAULT_OVERLAP_SECS: u64 = 24 * 60 * 60;

/// The longest that it may.
const MAX_OVERLAP_SECS: u64 = 90 * 24 * 60 * 60;

/// `POST /admin/v1/keys`
pub async fn create(
    State(state): State<AdminState>,
    By(by): By,
    Body(mut key): Body<NewKey>,
) -> Result<Json<Value>, AdminError> {
    key.name = key.name.trim().to_owned();
    if key.name.is_empty() || key.name.chars().count() > MAX_NAME_CHARS {
        return Err(AdminError::BadRequest(format!(
            "name must say what the key is for, in at most {MAX_NAME_CHARS} characters"
        )));
    }
    let fits = |account: &str| {
        account.trim() == account && !account.is_empty() && account.chars().count() <= MAX_NAME_CHARS
    };
    if !key.account.as_deref().is_none_or(fits) {
        return Err(AdminError::BadRequest(format!(
            "account must have 1 to {MAX_NAME_CHARS} characters, with no space around them"
        )));
    }
    key.scopes.sort();
    key.scopes.dedup();
    if key.scopes.is_empty() {
        return Err(AdminError::BadRequest("scopes must name at least one, like [\"gifts\"]".into()));
    }
    let act = Act::new(by, ActKind::KeyCreate)
        .with("name", &key.name)
        .with("scopes", &key.scopes)
        .with("account", &key.account)
        .with("expires_in_secs", key.expires_in_secs)
        .with("networks", &key.networks);
    state.acts.recorded(act.clone(), state.keys.create(key, act)).await.map(Json)
}

/// `GET /admin/v1/keys`
pub async fn list(State(state): State<AdminState>) -> Result<Response, AdminError> {
    stream::list("keys", move |after| {
        let keys = Arc::clone(&state.keys);
        Box::pin(async move { keys.list(after, stream::PAGE).await })
    })
    .await
}

/// `POST /admin/v1/keys/{id}/rotate`
pub async fn rotate(
    State(state): State<AdminState>,
    By(by): By,
    Path(id): Path<String>,
    Body(rotation): Body<Rotation>,
) -> Result<Json<Value>, AdminError> {
    let overlap = rotation.overlap_secs.unwrap_or(DEFAULT_OVERLAP_SECS);
    if overlap > MAX_OVERLAP_SECS {
        return Err(AdminError::BadRequest(format!(
            "overlap_secs must be at most {MAX_OVERLAP_SECS} (90 days)"
        )));
    }
    let act = Act::new(by, ActKind::KeyRotate).to(&id).with("overlap_secs", overlap);
    let rotate = async {
        state.keys.rotate(id.clone(), overlap, act.clone()).await?.map(Json).ok_or_else(|| {
            AdminError::NotFound(format!(
                "there is no valid key with the id {id} that can be rotated now; see `satchel key list`. While the text \
                 before the last rotation still works, only --overlap-hours 0 rotates again; the key in the key file is \
                 rotated by replacing the file"
            ))
        })
    };
    state.acts.recorded(act.clone(), rotate).await
}

/// `DELETE /admin/v1/keys/{id}`
pub async fn revoke(
    State(state): State<AdminState>,
    By(by): By,
    Path(id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(by, ActKind::KeyRevoke).to(&id);
    let revoke = async {
        if state.keys.revoke(id.clone(), act.clone()).await? {
            return Ok(Json(json!({ "revoked": id })));
        }
        Err(AdminError::NotFound(format!("there is no key with the id {id}; see `satchel key list`")))
    };
    state.acts.recorded(act.clone(), revoke).await
}
