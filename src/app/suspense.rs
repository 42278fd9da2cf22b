//! What the operator's commands need of money in suspense.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::AdminService;
use super::operator::unavailable;
use crate::admin::{AdminError, Recipient, SuspenseAdmin};
use crate::core::money::Msat;
use crate::http::audit_log::Act;
use crate::ledger::payouts::Order;
use crate::ledger::suspense::{self, NotSettled};
use crate::ledger::{Family, LedgerError, accounts};
use crate::storage::Tx;

impl SuspenseAdmin for AdminService {
    fn list(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move {
            let read = self.0.store.read(move |connection| suspense::list(connection, after, limit)).await;
            let found = read.map_err(unavailable)?;
            found.iter().map(|item| serde_json::to_value(item).map_err(AdminError::internal)).collect()
        })
    }

    fn settle(&self, id: i64, to: Recipient, act: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let (ledger, now) = (self.0.ledger.clone(), self.0.ledger.clock.now());
            let max_fee = {
                let gifts = self.0.gifts.clone();
                move |amount: Msat| gifts.rules().max_fee(amount)
            };
            let written = self.0.store.write(move |tx: &Tx<'_>| -> Result<_, LedgerError> {
                let settled: Result<Value, NotSettled> = match to {
                    Recipient::Operator => suspense::to_operator(tx, id, now)?
                        .map(|item| json!({ "id": id, "to": "operator", "amount_msat": item.amount })),
                    Recipient::Account(name) => {
                        let Some(account) = accounts::by_name(tx, &name)? else {
                            return Ok(Err(AdminError::NotFound(format!("there is no account {name:?}"))));
                        };
                        suspense::to_account(tx, id, account, now)?
                            .map(|item| json!({ "id": id, "to": "account", "amount_msat": item.amount }))
                    }
                    Recipient::Invoice(invoice) => {
                        let amount = invoice.amount_milli_satoshis().and_then(Msat::new).unwrap_or_default();
                        let order = Order {
                            family: Family::Operator,
                            invoice: &invoice,
                            amount,
                            max_fee: max_fee(amount),
                        };
                        suspense::pay_back(tx, &ledger, id, &order)?.map(|payout| {
                            json!({ "id": id, "to": "invoice", "amount_msat": payout.amount,
                                "payout": payout.public_id, "status": payout.status.name() })
                        })
                    }
                };
                if settled.is_ok() {
                    act.done(tx, now)?;
                }
                Ok(settled.map_err(|why| AdminError::Refused(why.to_string())))
            });
            written.await.map_err(unavailable)?
        })
    }
}
