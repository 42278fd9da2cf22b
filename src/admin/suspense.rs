//! Money that belongs to nobody we know: what there is, and what becomes of it.

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use lightning_invoice::Bolt11Invoice;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Asked, Body, By};
use super::gifts::PageRequest;
use super::{AdminError, AdminState, money};
use crate::http::audit_log::{Act, ActKind};
use crate::ledger::charges;

/// The operator's view of money in suspense.
pub trait SuspenseAdmin: Send + Sync {
    /// What is there, oldest first, behind an id: objects with `"id"`, `"at"` (unix milliseconds), `"kind"`,
    /// `"amount_msat"`, `"payment_hash"`, `"family"` and the `"payout"` that pays it back.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn list(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<Value>, AdminError>>;

    /// Gives it to somebody, once, and records that as this act. The answer says to whom, and names the payout that
    /// pays it back.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for an account that is none; [`AdminError::Refused`] for what was settled, is being
    /// paid back, or is asked for by an invoice over another amount; [`AdminError::Unavailable`].
    fn settle(&self, id: i64, to: Recipient, act: Act) -> BoxFuture<'_, Result<Value, AdminError>>;
}

/// To whom money in suspense goes.
#[derive(Clone, Debug)]
pub enum Recipient {
    /// The operator.
    Operator,
    /// An account, by its name.
    Account(String),
    /// Whoever made this invoice.
    Invoice(Box<Bolt11Invoice>),
}

/// Which.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    limit: Option<u32>,
    after: Option<i64>,
}

/// To whom: one of the three.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    #[serde(default)]
    operator: bool,
    account: Option<String>,
    pay: Option<String>,
}

/// `GET /admin/v1/suspense`
pub async fn list(
    State(state): State<AdminState>,
    Asked(asked): Asked<ListRequest>,
) -> Result<Json<Value>, AdminError> {
    let limit = PageRequest::new(asked.limit, None).checked()?.limit;
    let found = state.suspense.list(asked.after.unwrap_or(0), limit).await?;
    Ok(Json(json!({ "suspense": found })))
}

/// `POST /admin/v1/suspense/{id}/settle`
pub async fn settle(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
    Body(asked): Body<Settlement>,
) -> Result<Json<Value>, AdminError> {
    let no_such =
        || AdminError::NotFound(format!("nothing in suspense has the id {id}; see `satchel suspense list`"));
    let row = id.parse().map_err(|_| no_such())?;
    let act = Act::new(key, ActKind::SuspenseSettle).to(&id);
    let (to, act) = match (asked.operator, asked.account, asked.pay) {
        (true, None, None) => (Recipient::Operator, act.with("to", "operator")),
        (false, Some(name), None) => {
            let act = act.with("to", "account").with("account", &name);
            (Recipient::Account(name), act)
        }
        (false, None, Some(text)) => {
            let invoice = money::parse_invoice(&text, state.config.network)?;
            let act = act.with("to", "invoice").with("payment_hash", charges::hash_of(&invoice));
            (Recipient::Invoice(Box::new(invoice)), act)
        }
        _ => return Err(AdminError::BadRequest("give one of operator, account and pay".into())),
    };
    let settle = state.suspense.settle(row, to, act.clone());
    state.acts.recorded(act, settle).await.map(Json)
}
