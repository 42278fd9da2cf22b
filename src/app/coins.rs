//! What the operator's commands need of coins on their way.

use bitcoin::Txid;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::OperatorDesk;
use crate::admin::{AdminError, CoinAdmin};
use crate::ids::CoinSendId;
use crate::ledger::LedgerError;
use crate::ledger::coins::{self, Found};

impl CoinAdmin for OperatorDesk {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move {
            let open = self.0.store.read(coins::open).await.map_err(super::operator::unavailable)?;
            open.iter().map(|send| serde_json::to_value(send).map_err(AdminError::internal)).collect()
        })
    }

    fn settle(&self, id: i64, paid_by: Option<Txid>) -> BoxFuture<'_, Result<String, AdminError>> {
        Box::pin(async move {
            let (listeners, now) = (self.0.ledger.listeners.clone(), self.0.ledger.clock.now());
            let id = CoinSendId(id);
            let written = self.0.store.write(move |tx| -> Result<_, LedgerError> {
                let Some(_) = coins::find(tx, id)? else { return Ok(None) };
                let found = paid_by.map_or(Found::NotSent, Found::Paid);
                let settled = coins::settle(tx, &listeners, id, &found, now)?;
                Ok(Some((settled, coins::by_id(tx, id)?.status)))
            });
            match written.await.map_err(super::operator::unavailable)? {
                None => {
                    Err(AdminError::NotFound(format!("no coins with the id {id}; see `satchel coins list`")))
                }
                Some((true, status)) => Ok(status.name().into()),
                Some((false, status)) => Err(AdminError::Refused(format!(
                    "they are {status}: only what was given to the wallet and has not ended can be settled"
                ))),
            }
        })
    }
}
