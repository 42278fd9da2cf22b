//! What was sold, as the admin API shows it.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{L402, L402Error, store};
use crate::admin::{AdminError, L402Admin, SoldRequest};
use crate::core::ids::AccountId;
use crate::core::time::iso::IsoSeconds;

impl L402Admin for L402 {
    fn sold(&self, asked: SoldRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let account = match asked.account {
                None => None,
                Some(name) => Some(self.account(name).await?),
            };
            let stats = self.stats(account).await.map_err(admin_error)?;
            let resources: Vec<_> = stats
                .resources
                .iter()
                .map(|earned| {
                    json!({
                        "account_id": earned.account,
                        "resource": earned.resource,
                        "payments": earned.payments,
                        "received_sat": earned.received.sat_floor(),
                    })
                })
                .collect();
            Ok(json!({
                "since": IsoSeconds(stats.since),
                "requests_paid": stats.requests.paid,
                "requests_unpaid": stats.requests.unpaid,
                "payments": stats.payments,
                "received_sat": stats.received.sat_floor(),
                "resources": resources,
            }))
        })
    }
}

impl L402 {
    async fn account(&self, name: String) -> Result<AccountId, AdminError> {
        let wanted = name.clone();
        let found = self.store().read(move |connection| store::account(connection, &wanted)).await;
        let found = found.map_err(|error| admin_error(error.into()))?;
        found.ok_or_else(|| AdminError::NotFound(format!("there is no account {name:?}")))
    }
}

fn admin_error(error: L402Error) -> AdminError {
    match error.status() {
        503 => AdminError::Unavailable("the database can't be read now; try again".into()),
        _ => AdminError::internal(error),
    }
}
