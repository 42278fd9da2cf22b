//! What is sold by the request, as the operator sees it.

use axum::Json;
use axum::extract::State;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::extract::Asked;
use super::{AdminError, AdminState};

/// The L402 service.
pub trait L402Admin: Send + Sync {
    /// Requests since the start, payments and what they brought in ever, and the resources that brought in most: of
    /// everybody, or of one account.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for an account that is none, [`AdminError::Unavailable`].
    fn sold(&self, asked: SoldRequest) -> BoxFuture<'_, Result<Value, AdminError>>;
}

/// Whose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoldRequest {
    /// Only this account's, by its name.
    pub account: Option<String>,
}

/// `GET /admin/v1/l402`
pub async fn sold(
    State(state): State<AdminState>,
    Asked(asked): Asked<SoldRequest>,
) -> Result<Json<Value>, AdminError> {
    state.l402.sold(asked).await.map(Json)
}
