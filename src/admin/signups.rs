//! Who bought accounts.

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::extract::By;
use super::{AdminError, AdminState};
use crate::http::audit_log::{Act, ActKind};

/// The operator's side of accounts that were bought.
pub trait SignupAdmin: Send + Sync {
    /// Removes the e-mail address of whoever bought an account, and records that as this act. The account and its key
    /// stay. `"forgotten"` says whether there was one.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for an account that nobody bought, [`AdminError::Unavailable`].
    fn forget_email(&self, account: String, act: Act) -> BoxFuture<'_, Result<Value, AdminError>>;
}

/// `DELETE /admin/v1/accounts/{name}/email`
pub async fn forget(
    State(state): State<AdminState>,
    By(by): By,
    Path(name): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let act = Act::new(by, ActKind::EmailForget).to(&name);
    state.acts.recorded(act.clone(), state.signups.forget_email(name, act)).await.map(Json)
}
