//! Tables for bookkeepers, part by part.

use axum::Json;
use axum::extract::State;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::extract::Asked;
use super::{AdminError, AdminState};
use crate::storage::export::{Place, Span};

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Gifts.
    Gifts,
    /// Tips.
    Tips,
    /// What was sold by the request.
    L402,
    /// Everything that went out.
    Payouts,
    /// The books.
    Ledger,
}

/// Gives tables.
pub trait ExportAdmin: Send + Sync {
    /// A part of a table: `"head"` is its first line, `"csv"` are the `"lines"` of this part, each with its end, and
    /// `"next"` says where the next part begins; it is `null` on the last.
    ///
    /// # Errors
    /// [`AdminError::Unavailable`].
    fn part(
        &self,
        kind: TableKind,
        span: Span,
        place: Option<Place>,
    ) -> BoxFuture<'_, Result<Value, AdminError>>;
}

/// Which lines. What is left out sets no limit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartRequest {
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
}

async fn part(state: AdminState, kind: TableKind, asked: PartRequest) -> Result<Json<Value>, AdminError> {
    let span = Span::read(asked.from.as_deref(), asked.to.as_deref()).map_err(AdminError::BadRequest)?;
    let place = asked.after.as_deref().map(|text| {
        let bad = || AdminError::BadRequest("after must be the \"next\" of the part before".into());
        Place::read(text).ok_or_else(bad)
    });
    state.exports.part(kind, span, place.transpose()?).await.map(Json)
}

/// `GET /admin/v1/gifts/export`
pub async fn gifts(
    State(state): State<AdminState>,
    Asked(asked): Asked<PartRequest>,
) -> Result<Json<Value>, AdminError> {
    part(state, TableKind::Gifts, asked).await
}

/// `GET /admin/v1/tips/export`
pub async fn tips(
    State(state): State<AdminState>,
    Asked(asked): Asked<PartRequest>,
) -> Result<Json<Value>, AdminError> {
    part(state, TableKind::Tips, asked).await
}

/// `GET /admin/v1/l402/export`
pub async fn l402(
    State(state): State<AdminState>,
    Asked(asked): Asked<PartRequest>,
) -> Result<Json<Value>, AdminError> {
    part(state, TableKind::L402, asked).await
}

/// `GET /admin/v1/payouts/export`
pub async fn payouts(
    State(state): State<AdminState>,
    Asked(asked): Asked<PartRequest>,
) -> Result<Json<Value>, AdminError> {
    part(state, TableKind::Payouts, asked).await
}

/// `GET /admin/v1/ledger/export`
pub async fn ledger(
    State(state): State<AdminState>,
    Asked(asked): Asked<PartRequest>,
) -> Result<Json<Value>, AdminError> {
    part(state, TableKind::Ledger, asked).await
}
