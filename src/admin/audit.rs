//! The books' check.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::{AdminError, AdminState};

/// `GET /admin/v1/audit`: 200 with `"clean": false` when something is wrong with the books; an error only when
/// they could not be looked at.
pub async fn run(State(state): State<AdminState>) -> Result<Json<Value>, AdminError> {
    (state.audit)().await.map(Json).map_err(AdminError::Unavailable)
}
