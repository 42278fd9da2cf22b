//! The bookkeeper's table as the admin API shows it.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::export::{self, HEAD, Place};
use super::{PaymentError, Payments, store};
use crate::admin::{AdminError, ExportRequest, PaymentAdmin};
use crate::core::ids::AccountId;

impl PaymentAdmin for Payments {
    fn export(&self, asked: ExportRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let account = match asked.account {
                None => None,
                Some(name) => Some(self.account(name).await?),
            };
            let span = export::span(asked.from.as_deref(), asked.to.as_deref()).map_err(admin_error)?;
            let place = match asked.after.as_deref() {
                None => Place::START,
                Some(text) => Place::read(text).ok_or_else(|| {
                    AdminError::BadRequest("after must be the \"next\" of the page before".into())
                })?,
            };
            let page = self.export_page(account, span, place).await.map_err(admin_error)?;
            Ok(json!({
                "head": HEAD,
                "csv": page.csv,
                "lines": page.lines,
                "next": page.next.map(Place::to_text),
            }))
        })
    }
}

impl Payments {
    async fn account(&self, name: String) -> Result<AccountId, AdminError> {
        let wanted = name.clone();
        let found = self.store().read(move |connection| store::account(connection, &wanted)).await;
        let found = found.map_err(|error| admin_error(error.into()))?;
        found.ok_or_else(|| AdminError::NotFound(format!("there is no account {name:?}")))
    }
}

fn admin_error(error: PaymentError) -> AdminError {
    match error.status() {
        400 => AdminError::BadRequest(error.message().to_owned()),
        503 => AdminError::Unavailable("the database can't be read now; try again".into()),
        _ => AdminError::internal(error),
    }
}
