//! Coins on their way to addresses.

use axum::Json;
use axum::extract::{Path, State};
use bitcoin::Txid;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Body, By};
use super::{AdminError, AdminState};
use crate::acts::{Act, ActKind};

/// The room of the coins.
pub trait CoinAdmin: Send + Sync {
    /// What has not ended, oldest first: objects with `"id"`, `"address"`, `"amount_msat"`, `"status"` (`queued`,
    /// `sending`, `sent`), `"txid"`, `"error"`, and times in unix milliseconds.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn list(&self) -> BoxFuture<'_, Result<Vec<Value>, AdminError>>;

    /// Ends what nobody could tell of, and records that as this act: this transaction paid it, or none did. Answers
    /// its status.
    ///
    /// # Errors
    /// [`AdminError::NotFound`]; [`AdminError::Refused`] for what has ended, or was never given to the wallet;
    /// [`AdminError::Unavailable`].
    fn settle(&self, id: i64, paid_by: Option<Txid>, act: Act) -> BoxFuture<'_, Result<String, AdminError>>;
}

/// What was found: one of the two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    txid: Option<String>,
    #[serde(default)]
    not_sent: bool,
}

/// `GET /admin/v1/coins`
pub async fn list(State(state): State<AdminState>) -> Result<Json<Value>, AdminError> {
    Ok(Json(json!({ "coins": state.coins.list().await? })))
}

/// `POST /admin/v1/coins/{id}/settle`
pub async fn settle(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
    Body(Settlement { txid, not_sent }): Body<Settlement>,
) -> Result<Json<Value>, AdminError> {
    let no_such = || AdminError::NotFound(format!("no coins with the id {id}; see `satchel coins list`"));
    let row = id.parse().map_err(|_| no_such())?;
    let paid_by = match (&txid, not_sent) {
        (Some(text), false) => {
            let bad = || AdminError::BadRequest("txid must be the 64 hex digits of a transaction".into());
            Some(text.parse().map_err(|_| bad())?)
        }
        (None, true) => None,
        _ => return Err(AdminError::BadRequest("give either txid or not_sent".into())),
    };
    let act = Act::new(key, ActKind::CoinsSettle).to(&id).with("txid", &txid).with("not_sent", not_sent);
    let status = state.acts.recorded(act.clone(), state.coins.settle(row, paid_by, act)).await?;
    Ok(Json(json!({ "id": id, "status": status })))
}
