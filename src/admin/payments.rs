//! Payments as the operator's bookkeeper sees them.

use axum::Json;
use axum::extract::State;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::extract::Asked;
use super::{AdminError, AdminState};

/// The payments service.
pub trait PaymentAdmin: Send + Sync {
    /// A part of the table of payments and refunds of all merchants, or of one account: `"head"` is the table's first
    /// line, `"csv"` are the `"lines"` of this part, each with its end, and `"next"` says where the next part begins;
    /// it is `null` on the last.
    ///
    /// # Errors
    /// [`AdminError::BadRequest`] for what can't be read, [`AdminError::NotFound`] for an account that is none,
    /// [`AdminError::Unavailable`].
    fn export(&self, asked: ExportRequest) -> BoxFuture<'_, Result<Value, AdminError>>;
}

/// Which lines. What is left out sets no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExportRequest {
    /// Only this account's, by its name.
    pub account: Option<String>,
    /// Not before this date or time.
    pub from: Option<String>,
    /// Not after this date, or before this time.
    pub to: Option<String>,
    /// `"next"` of the part before.
    pub after: Option<String>,
}

/// `GET /admin/v1/payments/export`
pub async fn export(
    State(state): State<AdminState>,
    Asked(asked): Asked<ExportRequest>,
) -> Result<Json<Value>, AdminError> {
    state.payments.export(asked).await.map(Json)
}
