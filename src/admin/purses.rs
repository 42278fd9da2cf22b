//! Purses: what API keys of agents may spend.

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::extract::{Asked, Body, By};
use super::{AdminError, AdminState};
use crate::http::audit_log::{Act, ActKind};

/// The operator's side of purses. Amounts are in sat.
pub trait PurseAdmin: Send + Sync {
    /// Makes a purse with a key of its own, and records that as this act. The object has the key (`"key"`), shown this
    /// once, and the purse as its owner sees it.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::Refused`] for a name in use, [`AdminError::Unavailable`].
    fn create(&self, new: NewPurse, act: Act) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// A page of purses, newest first: `"purses"`, and `"next"` to go on before.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn list(&self, before: Option<i64>) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// One purse with its newest receipts.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn show(&self, name: String) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Lets a purse spend more in all, and records that as this act.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn top_up(&self, name: String, sat: u64, act: Act) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Ends a purse and its key for ever, and records that as this act. Payments under way end all the same.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn revoke(&self, name: String, act: Act) -> BoxFuture<'_, Result<Value, AdminError>>;
}

/// A purse to make.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPurse {
    /// Its name, and its key's.
    pub name: String,
    /// What it may spend in all.
    pub budget_sat: u64,
    /// What it may spend in a day (UTC).
    pub per_day_sat: Option<u64>,
    /// What one request may cost.
    pub per_request_sat: Option<u64>,
    /// Which hosts it may ask, with or without a port; `*` for any public one.
    pub hosts: Vec<String>,
    /// Whether it may pay invoices that it is given.
    #[serde(default = "yes")]
    pub pay_invoices: bool,
    /// Whether it may ask public hosts over plain http.
    #[serde(default)]
    pub allow_http: bool,
    /// Whose balance it spends; by default the operator's own account, `default`.
    pub account: Option<String>,
}

const fn yes() -> bool {
    true
}

/// Where a list goes on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Before {
    before: Option<i64>,
}

/// More to spend.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    sat: u64,
}

/// `POST /admin/v1/purses`
pub async fn create(
    State(state): State<AdminState>,
    By(by): By,
    Body(mut new): Body<NewPurse>,
) -> Result<Json<Value>, AdminError> {
    new.name = new.name.trim().to_owned();
    let act = Act::new(by, ActKind::PurseCreate)
        .to(&new.name)
        .with("budget_sat", new.budget_sat)
        .with("per_day_sat", new.per_day_sat)
        .with("per_request_sat", new.per_request_sat)
        .with("hosts", &new.hosts)
        .with("allow_http", new.allow_http)
        .with("account", &new.account);
    state.acts.recorded(act.clone(), state.purses.create(new, act)).await.map(Json)
}

/// `GET /admin/v1/purses`
pub async fn list(
    State(state): State<AdminState>,
    Asked(page): Asked<Before>,
) -> Result<Json<Value>, AdminError> {
    state.purses.list(page.before).await.map(Json)
}

/// `GET /admin/v1/purses/{name}`
pub async fn show(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<Value>, AdminError> {
    state.purses.show(name).await.map(Json)
}

/// `POST /admin/v1/purses/{name}/top-up`
pub async fn top_up(
    State(state): State<AdminState>,
    By(by): By,
    Path(name): Path<String>,
    Body(more): Body<TopUp>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(by, ActKind::PurseTopUp).to(&name).with("sat", more.sat);
    state.acts.recorded(act.clone(), state.purses.top_up(name, more.sat, act)).await.map(Json)
}

/// `DELETE /admin/v1/purses/{name}`
pub async fn revoke(
    State(state): State<AdminState>,
    By(by): By,
    Path(name): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(by, ActKind::PurseRevoke).to(&name);
    state.acts.recorded(act.clone(), state.purses.revoke(name, act)).await.map(Json)
}
