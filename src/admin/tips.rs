//! Tips as the operator makes, sees and takes them back.

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Asked, Body, By};
use super::gifts::PageRequest;
use super::{AdminError, AdminState};
use crate::http::audit_log::{Act, ActKind};

/// The tips service.
pub trait TipAdmin: Send + Sync {
    /// A page of tips of all tippers, newest first: objects with `"id"`, `"status"`, `"amount_sat"`, `"group"`,
    /// `"tippee_name"`, `"created_at"` and `"expires_at"` (unix seconds).
    ///
    /// # Errors
    /// [`AdminError::BadRequest`] for a `before` that is no tip's, [`AdminError::Unavailable`].
    fn list(&self, page: PageRequest) -> BoxFuture<'_, Result<Vec<Value>, AdminError>>;

    /// All that is known of one tip or of one group, but no magic words and no webhook.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn show(&self, id: String) -> BoxFuture<'_, Result<Option<Value>, AdminError>>;

    /// Makes one tip, or a group of them on one invoice. The object has the `"invoice"`, what it asks for
    /// (`"total_sat"`) and for each of the `"tips"` its link and magic words.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`] for the first rule that is broken, [`AdminError::NotFound`] for an account that
    /// is none, [`AdminError::Refused`] while tips are switched off, [`AdminError::Unavailable`]. Nothing is left
    /// behind by any.
    fn create(&self, order: TipOrder) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Gives a tip, or all tips of a group that can be, back to the tipper, and records that as this act; with `force` also what somebody has
    /// claimed. Answers how many; `None` if there is no such tip or group.
    ///
    /// # Errors
    /// [`AdminError::Refused`] if the state of it forbids that, [`AdminError::Unavailable`].
    fn reclaim(&self, id: String, force: bool, act: Act) -> BoxFuture<'_, Result<Option<usize>, AdminError>>;
}

/// Tips to make. What is left out is as if it were `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TipOrder {
    /// Whose tips they are: keys of this account see and change them. By default the operator's own, `default`.
    pub account: Option<String>,
    /// Of each, in sat, without the fee.
    pub amount_sat: u64,
    /// How many; by default one for each name.
    pub quantity: Option<u32>,
    /// After so many seconds they go back to the tipper; by default 21 days.
    pub expiry_secs: Option<u64>,
    /// `DEFAULT`, `SKIP` or `LIGHTNING`.
    pub onboarding_flow: Option<String>,
    /// Whom they are for; a single one for many tips is a template in which `{{index}}` counts from 1.
    pub tippee_names: Vec<String>,
    /// What they are told; in a group `{{name}}` stands for the name.
    pub note: Option<String>,
    /// Magic words of each, from 3 to 6; by default none.
    pub passphrase_words: Option<u8>,
    /// Whether the tippees may not know whose account it is.
    pub anonymous: bool,
    /// Whether one link leads everybody to a tip of the group.
    pub static_link: bool,
    /// Told of each claim.
    pub claim_webhook_url: Option<String>,
    /// Told of each withdrawal.
    pub withdraw_webhook_url: Option<String>,
}

/// How a tip is taken back.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct ReclaimRequest {
    force: bool,
}

/// `GET /admin/v1/tips`
pub async fn list(
    State(state): State<AdminState>,
    Asked(page): Asked<PageRequest>,
) -> Result<Json<Value>, AdminError> {
    let tips = state.tips.list(page.checked()?).await?;
    Ok(Json(json!({ "tips": tips })))
}

/// `GET /admin/v1/tips/{id}`
pub async fn show(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    state.tips.show(id).await?.map(Json).ok_or_else(no_tip)
}

/// `POST /admin/v1/tips`
pub async fn create(
    State(state): State<AdminState>,
    By(key): By,
    Body(order): Body<TipOrder>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::TipCreate)
        .with("account", &order.account)
        .with("amount_sat", order.amount_sat)
        .with("quantity", order.quantity);
    let made = state.acts.around(act, state.tips.create(order), |made| {
        made.get("id").and_then(Value::as_str).map(ToOwned::to_owned)
    });
    made.await.map(Json)
}

/// `POST /admin/v1/tips/{id}/reclaim`
pub async fn reclaim(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
    Body(ReclaimRequest { force }): Body<ReclaimRequest>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::TipReclaim).to(&id).with("force", force);
    let reclaim = async { state.tips.reclaim(id.clone(), force, act.clone()).await?.ok_or_else(no_tip) };
    let reclaimed = state.acts.recorded(act.clone(), reclaim).await?;
    Ok(Json(json!({ "id": id, "reclaimed": reclaimed })))
}

fn no_tip() -> AdminError {
    AdminError::NotFound("there is no tip or group with this id; see `satchel tip list`".into())
}
