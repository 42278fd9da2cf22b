//! Proxies as the operator manages them: all of them, whoever's they are.

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::extract::{Asked, Body, By};
use super::{AdminError, AdminState};
use crate::http::audit_log::{Act, ActKind};

/// The proxies service.
pub trait ProxyAdmin: Send + Sync {
    /// Makes one; the object is as `POST /api/proxy` takes it, and may name an `"account"`, whose it is then.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`] for a rule that is broken, [`AdminError::NotFound`] for an account that is none,
    /// [`AdminError::Unavailable`].
    fn create(&self, asked: Map<String, Value>) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// A page, newest first.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn list(&self, asked: ProxyPage) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Sets a price: of all that has none of its own, or of one path, whatever its endpoints are called; with a path
    /// the answer tells what requests for it cost now.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`], [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn price(&self, id: String, asked: ProxyPrice) -> BoxFuture<'_, Result<Value, AdminError>>;

    /// Takes one out of service for good.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    fn retire(&self, id: String, reason: Option<String>) -> BoxFuture<'_, Result<Value, AdminError>>;
}

/// Which page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyPage {
    /// From 1.
    pub page: Option<u64>,
    /// Up to 100.
    pub page_size: Option<u64>,
}

/// A price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyPrice {
    /// Sats.
    pub sats: u64,
    /// A pattern; without it the price is of all that has none of its own.
    #[serde(default)]
    pub path: Option<String>,
    /// With a pattern: the method; without it every method.
    #[serde(default)]
    pub method: Option<String>,
}

/// Why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retirement {
    /// For the owner.
    pub reason: Option<String>,
}

/// `POST /admin/v1/proxies`
pub async fn create(
    State(state): State<AdminState>,
    By(key): By,
    Body(asked): Body<Map<String, Value>>,
) -> Result<Json<Value>, AdminError> {
    // Other fields may hold what the service is called with.
    let act = Act::new(key, ActKind::ProxyCreate)
        .with("account", asked.get("account"))
        .with("name", asked.get("name"));
    let made = state.acts.around(act, state.proxies.create(asked), |made| {
        made.get("id").and_then(Value::as_str).map(ToOwned::to_owned)
    });
    made.await.map(Json)
}

/// `GET /admin/v1/proxies`
pub async fn list(
    State(state): State<AdminState>,
    Asked(asked): Asked<ProxyPage>,
) -> Result<Json<Value>, AdminError> {
    state.proxies.list(asked).await.map(Json)
}

/// `POST /admin/v1/proxies/{id}/price`
pub async fn price(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
    Body(asked): Body<ProxyPrice>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::ProxyPrice)
        .to(&id)
        .with("sats", asked.sats)
        .with("path", &asked.path)
        .with("method", &asked.method);
    state.acts.around(act, state.proxies.price(id, asked), |_| None).await.map(Json)
}

/// `POST /admin/v1/proxies/{id}/retire`
pub async fn retire(
    State(state): State<AdminState>,
    By(key): By,
    Path(id): Path<String>,
    Body(asked): Body<Retirement>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(key, ActKind::ProxyRetire).to(&id).with("reason", &asked.reason);
    state.acts.around(act, state.proxies.retire(id, asked.reason), |_| None).await.map(Json)
}
