//! What accounts have earned, for the operator.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::extract::{Asked, Body, By};
use super::{AdminError, AdminState};
use crate::http::audit_log::{Act, ActKind};
use crate::http::idempotency::IdempotencyKey;

/// The operator's side of accounts. Amounts are in msat or sat as their names say.
pub trait AccountAdmin: Send + Sync {
    /// A page of accounts by name, after this one: objects with `"account"`, `"balance_msat"`, `"withdrawable_msat"`,
    /// `"pending_msat"` and `"sweep"`; `"next"` is the name to go on after.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn list(&self, after: String) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// One account as its owner sees it, with its newest withdrawals.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn show(&self, name: String) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// A page of its statement.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn statement(&self, name: String, asked: StatementRequest) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// A part of its statement as a table: `"head"` is its first line, `"csv"` are the `"lines"` of this part, newest
    /// first, each with its end, and `"next"` says where the next part begins; it is `null` on the last.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn table(&self, name: String, asked: TableRequest) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Takes out what it has earned, or answers what `once` was answered before. No budget of a key applies.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::NotFound`], [`AdminError::Refused`], [`AdminError::Unavailable`].
    fn withdraw(
        &self,
        name: String,
        asked: WithdrawRequest,
        once: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// A withdrawal of any account's.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn withdrawal(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Ends a withdrawal of which nobody could tell: it arrived, or it was not sent.
    ///
    /// # Errors
    /// [`AdminError::NotFound`]; [`AdminError::Refused`] for one that is not in doubt; [`AdminError::Unavailable`].
    fn settle(&self, id: String, paid: bool) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Sets where its earnings go by themselves, or ends it.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn sweep(&self, name: String, asked: SweepRequest) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// What a key may withdraw in a day, in sat: 0 for no limit, `None` for what is configured. `false` if there is no
    /// such key.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn limit_key(&self, key: i64, day_sat: Option<u64>) -> BoxFuture<'_, Result<bool, AdminError>>;
}

/// Where a list goes on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct After {
    after: String,
}

/// Which lines. What is left out sets no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatementRequest {
    /// Not before this date or time.
    pub from: Option<String>,
    /// Not after this date, or before this time.
    pub to: Option<String>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// Which lines of the table. What is left out sets no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableRequest {
    /// Not before this date or time.
    pub from: Option<String>,
    /// Not after this date, or before this time.
    pub to: Option<String>,
    /// `"next"` of the part before.
    pub after: Option<String>,
}

/// What to take out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawRequest {
    /// Where to.
    pub target: String,
    /// How much; all of it without.
    pub amount_sat: Option<u64>,
}

/// Where earnings go by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SweepRequest {
    /// Where to; nowhere without.
    pub target: Option<String>,
    /// From how much on.
    pub min_sat: Option<u64>,
}

/// What was found of a withdrawal in doubt.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalSettlement {
    paid: bool,
}

/// A key's budget.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimit {
    day_sat: Option<u64>,
}

/// `GET /admin/v1/accounts`
pub async fn list(
    State(state): State<AdminState>,
    Asked(after): Asked<After>,
) -> Result<Json<Value>, AdminError> {
    state.accounts.list(after.after).await.map(Json)
}

/// `GET /admin/v1/accounts/{name}`
pub async fn show(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<Value>, AdminError> {
    state.accounts.show(name).await.map(Json)
}

/// `GET /admin/v1/accounts/{name}/statement`
pub async fn statement(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Asked(asked): Asked<StatementRequest>,
) -> Result<Json<Value>, AdminError> {
    state.accounts.statement(name, asked).await.map(Json)
}

/// `GET /admin/v1/accounts/{name}/statement/export`
pub async fn table(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Asked(asked): Asked<TableRequest>,
) -> Result<Json<Value>, AdminError> {
    state.accounts.table(name, asked).await.map(Json)
}

/// `POST /admin/v1/accounts/{name}/withdrawals`: the same `Idempotency-Key` with the same order does it once.
pub async fn withdraw(
    State(state): State<AdminState>,
    By(key): By,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(asked): Body<WithdrawRequest>,
) -> Result<Json<Value>, AdminError> {
    let whose = format!("operator accounts {name}");
    let order = serde_json::to_vec(&asked).map_err(AdminError::internal)?;
    let once = IdempotencyKey::read(&headers, &whose, "POST /admin/v1/accounts/withdrawals", &order)
        .map_err(|bad| AdminError::BadRequest(bad.to_string()))?;
    let act = Act::new(key, ActKind::AccountWithdraw)
        .to(&name)
        .with("amount_sat", asked.amount_sat)
        .with("idempotency_key", once.as_ref().map(IdempotencyKey::key));
    state.acts.around(act, state.accounts.withdraw(name, asked, once), |_| None).await.map(Json)
}

/// `POST /admin/v1/accounts/{name}/sweep`
pub async fn sweep(
    State(state): State<AdminState>,
    By(key): By,
    Path(name): Path<String>,
    Body(asked): Body<SweepRequest>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::AccountSweep)
        .to(&name)
        .with("target", &asked.target)
        .with("min_sat", asked.min_sat);
    state.acts.around(act, state.accounts.sweep(name, asked), |_| None).await.map(Json)
}

/// `GET /admin/v1/withdrawals/{id}`
pub async fn withdrawal(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    state.accounts.withdrawal(id).await.map(Json)
}

/// `POST /admin/v1/withdrawals/{id}/settle`
pub async fn settle(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
    Body(found): Body<WithdrawalSettlement>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::WithdrawalSettle).to(&id).with("paid", found.paid);
    state.acts.around(act, state.accounts.settle(id, found.paid), |_| None).await.map(Json)
}

/// `POST /admin/v1/keys/{id}/withdraw-limit`
pub async fn limit_key(
    State(state): State<AdminState>,
    By(by): By,
    Path(id): Path<String>,
    Body(limit): Body<KeyLimit>,
) -> Result<Json<Value>, AdminError> {
    let none = || AdminError::NotFound(format!("there is no key with the id {id}; see `satchel key list`"));
    let key = id.parse().map_err(|_| none())?;
    let act = Act::new(by, ActKind::KeyLimit).to(&id).with("day_sat", limit.day_sat);
    let limited =
        async { if state.accounts.limit_key(key, limit.day_sat).await? { Ok(()) } else { Err(none()) } };
    state.acts.around(act, limited, |()| None).await?;
    Ok(Json(json!({ "id": id, "day_sat": limit.day_sat })))
}
