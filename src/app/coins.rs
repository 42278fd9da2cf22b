//! What the operator's commands need of coins on their way.

use bitcoin::Txid;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::OperatorDesk;
use super::operator::unavailable;
use crate::acts::Act;
use crate::admin::{AdminError, CoinAdmin};
use crate::ids::CoinSendId;
use crate::ledger::LedgerError;
use crate::ledger::coins::{self, Found};

impl CoinAdmin for OperatorDesk {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move {
            let open = self.0.store.read(coins::open).await.map_err(unavailable)?;
            open.iter().map(|send| serde_json::to_value(send).map_err(AdminError::internal)).collect()
        })
    }

    fn settle(&self, id: i64, paid_by: Option<Txid>, act: Act) -> BoxFuture<'_, Result<String, AdminError>> {
        Box::pin(async move {
            let id = CoinSendId(id);
            let found = self.0.store.read(move |connection| coins::find(connection, id)).await;
            let send = found.map_err(unavailable)?.ok_or_else(|| {
                AdminError::NotFound(format!("no coins with the id {id}; see `satchel coins list`"))
            })?;
            let asked = self.0.ledger.clone();
            let seen = tokio::task::spawn_blocking(move || coins::is_seen(&asked, &send)).await;
            if seen.map_err(AdminError::internal)?.map_err(AdminError::Unavailable)? {
                let says = "the wallet has seen the transaction that pays them: they end by themselves, six blocks deep";
                return Err(AdminError::Refused(says.into()));
            }
            let (listeners, now) = (self.0.ledger.listeners.clone(), self.0.ledger.clock.now());
            let written = self.0.store.write(move |tx| -> Result<_, LedgerError> {
                let found = paid_by.map_or(Found::NotSent, Found::Paid);
                let settled = coins::settle(tx, &listeners, id, &found, now)?;
                if settled.is_ok() {
                    act.done(tx, now)?;
                }
                Ok(settled.map(|()| coins::by_id(tx, id)).map_err(|error| error.to_string()))
            });
            let settled = written.await.map_err(unavailable)?.map_err(AdminError::Refused)?;
            Ok(settled.map_err(unavailable)?.status.name().into())
        })
    }
}
