//! Accounts that were bought, for the operator.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{MerchantError, Merchants, store};
use crate::admin::{AdminError, SignupAdmin};
use crate::http::audit_log::Act;

impl SignupAdmin for Merchants {
    fn forget_email(&self, account: String, act: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let (name, now) = (account.clone(), self.0.clock.now());
            let written = self.0.store.write(move |tx| -> Result<Option<bool>, MerchantError> {
                let Some(id) = store::bought(tx, &name)? else { return Ok(None) };
                let forgotten = store::forget_email(tx, id)?;
                act.done(tx, now)?;
                Ok(Some(forgotten))
            });
            match written.await {
                Ok(Some(forgotten)) => Ok(json!({ "account": account, "forgotten": forgotten })),
                Ok(None) => Err(AdminError::NotFound(format!("nobody bought an account {account:?}"))),
                Err(error) if error.status() == 503 => Err(AdminError::Unavailable(error.to_string())),
                Err(error) => Err(AdminError::internal(error)),
            }
        })
    }
}
