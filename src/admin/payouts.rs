//! Payouts of everybody: lists, one with its history, and ends that a person gives them.

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::extract::{Asked, Body, By};
use super::gifts::PageRequest;
use super::{AdminError, AdminState, acts};
use crate::core::ids::Preimage;
use crate::core::money::Msat;
use crate::http::audit_log::{Act, ActKind};
use crate::ledger::by_hand::Found;
use crate::ledger::payout_list::Place;
use crate::ledger::{Family, PayoutStatus};

/// The operator's view of payouts.
pub trait PayoutAdmin: Send + Sync {
    /// A page of all that goes to invoices, offers and addresses, newest first: `"payouts"` are objects with `"id"`,
    /// `"type"` (`invoice`, `offer`, `coins`), `"family"`, `"status"`, `"payment_hash"`, amounts in msat and times in
    /// unix milliseconds; `"next"` says where the next page begins, and is `null` on the last.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn list(&self, wanted: PayoutPage) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// All that is known of one, with its `"history"`.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn show(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Ends one by what a person found out, and records that as this act. Answers it as [`PayoutAdmin::show`] does.
    /// `has_proof`: the person says that a payment which nobody can tell of has failed for good.
    ///
    /// # Errors
    /// [`AdminError::NotFound`]; [`AdminError::Refused`] for what has ended, was never given to the node, or is still
    /// under way as far as the node shows; [`AdminError::Unavailable`].
    fn settle(
        &self,
        id: String,
        found: Found,
        has_proof: bool,
        act: Act,
    ) -> BoxFuture<'_, Result<Value, AdminError>>;
}

/// Which payouts.
#[derive(Clone, Debug)]
pub struct PayoutPage {
    /// At most so many.
    pub limit: u32,
    /// Where the list goes on.
    pub before: Option<Place>,
    /// Only in this status.
    pub status: Option<PayoutStatus>,
    /// Only of this family.
    pub family: Option<Family>,
    /// Not made before, unix milliseconds.
    pub since: Option<i64>,
    /// Only those that the node has had for so many seconds.
    pub held_secs: Option<u64>,
}

/// Which, as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    limit: Option<u32>,
    before: Option<String>,
    status: Option<String>,
    family: Option<String>,
    since: Option<String>,
    held_secs: Option<u64>,
}

/// What was found out: one of the two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    preimage: Option<String>,
    fee_msat: Option<u64>,
    #[serde(default)]
    failed: bool,
    #[serde(default)]
    i_have_proof: bool,
}

/// `GET /admin/v1/payouts`
pub async fn list(
    State(state): State<AdminState>,
    Asked(asked): Asked<ListRequest>,
) -> Result<Json<Value>, AdminError> {
    let limit = PageRequest::new(asked.limit, None).checked()?.limit;
    let status = asked.status.as_deref().map(|name| {
        name.parse::<PayoutStatus>().map_err(|_| {
            let names = "queued, dispatching, in_flight, unknown, paid or failed";
            AdminError::BadRequest(format!("status must be {names}"))
        })
    });
    let family = asked.family.as_deref().map(|name| {
        let names = Family::ALL.map(Family::name).join(", ");
        name.parse::<Family>().map_err(|_| AdminError::BadRequest(format!("family must be one of {names}")))
    });
    let before = asked.before.as_deref().map(|text| {
        let bad = || AdminError::BadRequest("before must be the \"next\" of the page before".into());
        Place::read(text).ok_or_else(bad)
    });
    let wanted = PayoutPage {
        limit,
        before: before.transpose()?,
        status: status.transpose()?,
        family: family.transpose()?,
        since: asked.since.as_deref().map(|text| acts::time("since", text)).transpose()?,
        held_secs: asked.held_secs,
    };
    state.payouts.list(wanted).await.map(Json)
}

/// `GET /admin/v1/payouts/{id}/history`
pub async fn show(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    state.payouts.show(id).await.map(Json)
}

/// `POST /admin/v1/payouts/{id}/settle`
pub async fn settle(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
    Body(asked): Body<Settlement>,
) -> Result<Json<Value>, AdminError> {
    let bad = |text: &str| AdminError::BadRequest(text.into());
    let fee = asked
        .fee_msat
        .map(|msat| Msat::new(msat).ok_or_else(|| bad("fee_msat is more than there is bitcoin")));
    let fee = fee.transpose()?;
    let found = match (&asked.preimage, asked.failed) {
        (Some(text), false) => {
            let preimage = text.parse::<Preimage>();
            let preimage = preimage.map_err(|_| bad("preimage must be 64 hex digits"))?;
            Found::Paid { preimage, fee: fee.unwrap_or(Msat::ZERO) }
        }
        (None, true) if fee.is_none() => Found::Failed,
        _ => return Err(bad("give either preimage, with fee_msat if it is known, or failed")),
    };
    let act = Act::new(key, ActKind::PayoutSettle)
        .to(&id)
        .with("as", if asked.failed { "failed" } else { "paid" })
        .with("fee_msat", fee)
        .with("i_have_proof", asked.i_have_proof);
    let settle = state.payouts.settle(id, found, asked.i_have_proof, act.clone());
    state.acts.recorded(act, settle).await.map(Json)
}
