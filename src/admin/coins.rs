//! Coins on their way to addresses.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use bitcoin::{Address, Txid};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Body, By};
use super::{AdminError, AdminState, stream};
use crate::core::money::Msat;
use crate::http::audit_log::{Act, ActKind};
use crate::ledger::coins::read_address;

/// The coins service.
pub trait CoinAdmin: Send + Sync {
    /// What has not ended, by id, at most so much after this one: objects with `"id"`, `"address"`, `"amount_msat"`, `"status"` (`queued`,
    /// `sending`, `sent`), `"txid"`, `"error"`, and times in unix milliseconds.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn list(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<Value>, AdminError>>;

    /// Sends coins of the wallet, and records that as this act; the outcome is asked with [`CoinAdmin::show`]. The
    /// reserve for closing channels stays. The same address and amount again are the same coins.
    ///
    /// Crash behaviour: as all coins. Once answered they are sent, or seen not to have been.
    ///
    /// # Errors
    /// [`AdminError::Refused`] if there are too few, too many for the address to be used again, or too dear;
    /// [`AdminError::Unavailable`].
    fn send(&self, order: SendOrder, act: Act) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// One of all there ever were, as in [`CoinAdmin::list`].
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn show(&self, id: i64) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Ends what nobody could tell of, and records that as this act: this transaction paid it, or none did. `has_proof`
    /// says that they have seen themselves that it can't confirm. Answers its status.
    ///
    /// # Errors
    /// [`AdminError::NotFound`]; [`AdminError::Refused`] for what has ended, was never given to the wallet, or can still
    /// confirm; [`AdminError::Unavailable`].
    fn settle(
        &self,
        id: i64,
        paid_by: Option<Txid>,
        has_proof: bool,
        act: Act,
    ) -> BoxFuture<'_, Result<String, AdminError>>;
}

/// Coins to send.
#[derive(Clone, Debug)]
pub struct SendOrder {
    /// Where to.
    pub address: Address,
    /// How many; `None`: all above the reserve.
    pub amount: Option<Msat>,
    /// What the miners get, in sat for a virtual byte.
    pub sat_per_vb: Option<u64>,
    /// The most that they may get.
    pub max_fee: Option<Msat>,
}

/// The same as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    address: String,
    amount_sat: Option<u64>,
    #[serde(default)]
    all: bool,
    sat_per_vb: Option<u64>,
}

/// `POST /admin/v1/send`
pub async fn send(
    State(state): State<AdminState>,
    By(key): By,
    Body(asked): Body<SendRequest>,
) -> Result<Json<Value>, AdminError> {
    let address = read_address(&asked.address, state.config.network)
        .map_err(|why| AdminError::BadRequest(format!("address is {why}")))?;
    let amount = match (asked.amount_sat, asked.all) {
        (Some(sat), false) if sat > 0 => Some(super::money::sat_amount("amount_sat", sat)?),
        (None, true) => None,
        _ => return Err(AdminError::BadRequest("give either amount_sat or all".into())),
    };
    let act = Act::new(key, ActKind::Send)
        .with("address", address.to_string())
        .with("amount_sat", asked.amount_sat)
        .with("all", asked.all)
        .with("sat_per_vb", asked.sat_per_vb);
    let order = SendOrder { address, amount, sat_per_vb: asked.sat_per_vb, max_fee: None };
    state.acts.recorded(act.clone(), state.coins.send(order, act)).await.map(Json)
}

/// `GET /admin/v1/coins/{id}`
pub async fn show(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let row = id.parse().map_err(|_| AdminError::NotFound(format!("no coins with the id {id}")))?;
    state.coins.show(row).await.map(Json)
}

/// What was found: one of the two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    txid: Option<String>,
    #[serde(default)]
    not_sent: bool,
    #[serde(default)]
    has_proof: bool,
}

/// `GET /admin/v1/coins`
pub async fn list(State(state): State<AdminState>) -> Result<Response, AdminError> {
    stream::list("coins", move |after| {
        let coins = Arc::clone(&state.coins);
        Box::pin(async move { coins.list(after, stream::PAGE).await })
    })
    .await
}

/// `POST /admin/v1/coins/{id}/settle`
pub async fn settle(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
    Body(Settlement { txid, not_sent, has_proof }): Body<Settlement>,
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
    let act = Act::new(key, ActKind::CoinsSettle)
        .to(&id)
        .with("txid", &txid)
        .with("not_sent", not_sent)
        .with("has_proof", has_proof);
    let status = state.acts.recorded(act.clone(), state.coins.settle(row, paid_by, has_proof, act)).await?;
    Ok(Json(json!({ "id": id, "status": status })))
}
