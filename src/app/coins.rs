//! What the operator's commands need of coins on their way.

use bitcoin::Txid;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::AdminService;
use super::operator::unavailable;
use crate::admin::{AdminError, CoinAdmin, SendOrder};
use crate::core::ids::CoinSendId;
use crate::core::money::Msat;
use crate::http::audit_log::Act;
use crate::ledger::LedgerError;
use crate::ledger::coin_fees::{self, FeeRules, Quote};
use crate::ledger::coins::{self, Found, OnchainPayout};
use crate::ledger::operator_sends::{self, Send};

impl CoinAdmin for AdminService {
    fn list(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move {
            let read = move |connection: &_| coins::open_after(connection, CoinSendId(after), limit);
            let open = self.0.store.read(read).await.map_err(unavailable)?;
            open.iter().map(|send| serde_json::to_value(send).map_err(AdminError::internal)).collect()
        })
    }

    fn send(&self, order: SendOrder, act: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            serde_json::to_value(self.send_coins(order, act).await?).map_err(AdminError::internal)
        })
    }

    fn show(&self, id: i64) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let found = self.0.store.read(move |connection| coins::find(connection, CoinSendId(id))).await;
            let coins = found.map_err(unavailable)?;
            let coins = coins.ok_or_else(|| AdminError::NotFound(format!("no coins with the id {id}")))?;
            serde_json::to_value(&coins).map_err(AdminError::internal)
        })
    }

    fn settle(
        &self,
        id: i64,
        paid_by: Option<Txid>,
        has_proof: bool,
        act: Act,
    ) -> BoxFuture<'_, Result<String, AdminError>> {
        Box::pin(async move {
            let id = CoinSendId(id);
            let found = self.0.store.read(move |connection| coins::find(connection, id)).await;
            let send = found.map_err(unavailable)?.ok_or_else(|| {
                AdminError::NotFound(format!("no coins with the id {id}; see `satchel coins list`"))
            })?;
            let found = paid_by.map_or(Found::NotSent, Found::Paid);
            let (asked, told) = (self.0.ledger.clone(), found.clone());
            let judged =
                tokio::task::spawn_blocking(move || coins::may_settle(&asked, &send, &told, has_proof)).await;
            if let Some(why) = judged.map_err(AdminError::internal)?.map_err(AdminError::Unavailable)? {
                return Err(AdminError::Refused(why));
            }
            let (listeners, now) = (self.0.ledger.listeners.clone(), self.0.ledger.clock.now());
            let written = self.0.store.write(move |tx| -> Result<_, LedgerError> {
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

impl AdminService {
    /// Decides to send coins of the wallet.
    pub(super) async fn send_coins(&self, order: SendOrder, act: Act) -> Result<OnchainPayout, AdminError> {
        // All that there is has no amount to reckon with, and no limit.
        let limited = match (order.max_fee, order.amount) {
            (Some(limit), Some(amount)) => Some((self.quote(amount).await?, limit)),
            _ => None,
        };
        let balances = self.0.asked.ask(|node| node.is_running().then(|| node.balances())).await?;
        let balances = balances
            .ok_or_else(|| AdminError::Unavailable("the node is not running; see `satchel doctor`".into()))?;
        let send = Send {
            address: order.address,
            amount: order.amount,
            sat_per_vb: order.sat_per_vb,
            limited,
            spendable_sat: balances.onchain_spendable_sat,
        };
        let ledger = self.0.ledger.clone();
        let written = self.0.store.write(move |tx| -> Result<_, LedgerError> {
            let queued = operator_sends::queue(tx, &ledger, &send)?;
            if let Ok((coins, true)) = &queued {
                act.to(coins.id.to_string()).done(tx, ledger.clock.now())?;
            }
            Ok(queued)
        });
        let queued = written.await.map_err(unavailable)?;
        queued.map(|(coins, _)| coins).map_err(|why| AdminError::Refused(why.to_string()))
    }
    /// What a transaction will cost at most that pays so much.
    async fn quote(&self, amount: Msat) -> Result<Quote, AdminError> {
        let rules = FeeRules { max: Msat::MAX, max_account_hour: Msat::MAX, max_hour: Msat::MAX, rate: None };
        let asked = self.0.asked.ask(move |node| coin_fees::prices(node, &rules)).await?;
        let prices = asked.map_err(|why| {
            AdminError::Unavailable(format!("nobody knows what the miners want now: {why}"))
        })?;
        Ok(prices.quote(amount))
    }
}
