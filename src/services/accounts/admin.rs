//! All accounts, for the operator.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::ids::WithdrawalKey;
use super::statement::{read_cursor, write_cursor};
use super::store::{self, Carrier, Withdrawal};
use super::view::WithdrawalView;
use super::{AccountError, Accounts, By, HEAD, NewWithdrawal, span};
use crate::admin::{AccountAdmin, AdminError, StatementRequest, SweepRequest, TableRequest, WithdrawRequest};
use crate::core::ids::AccountId;
use crate::core::money::Msat;
use crate::http::idempotency::{IdempotencyKey, Reply};
use crate::ledger::offer_payouts::{self, Found};
use crate::ledger::{LedgerError, accounts};

/// Accounts in one page.
const PAGE: usize = 100;

/// Withdrawals shown of one account.
const SHOWN: usize = 20;

impl AccountAdmin for Accounts {
    fn list(&self, after: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let read = move |connection: &rusqlite::Connection| accounts::list(connection, &after, PAGE + 1);
            let mut found = self.store().read(read).await.map_err(told)?;
            let more = found.len() > PAGE;
            found.truncate(PAGE);
            let next = found.last().filter(|_| more).map(|last| last.name.clone());
            let shown: Vec<_> = found
                .into_iter()
                .map(|account| {
                    let sweep = account
                        .sweep
                        .map(|(target, least)| json!({ "target": target, "min_sat": least.sat_floor() }));
                    json!({
                        "account": account.name,
                        "balance_msat": account.balance.available.get(),
                        "withdrawable_msat": self.rules().all_by_lightning(account.balance.available).get(),
                        "pending_msat": account.balance.pending.get(),
                        "sweep": sweep,
                    })
                })
                .collect();
            Ok(json!({ "accounts": shown, "next": next }))
        })
    }

    fn show(&self, name: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let account = self.named(name.clone()).await?;
            let read = move |connection: &rusqlite::Connection| -> Result<_, AccountError> {
                Ok((accounts::balance(connection, account)?, store::newest(connection, account, SHOWN)?))
            };
            let (balance, newest) = self.store().read(read).await.map_err(told)?;
            let view =
                serde_json::to_value(self.account_view(name, balance)).map_err(AdminError::internal)?;
            let withdrawals: Vec<_> = newest.iter().map(WithdrawalView::new).collect();
            let withdrawals = serde_json::to_value(withdrawals).map_err(AdminError::internal)?;
            Ok(json!({ "account": view, "withdrawals": withdrawals }))
        })
    }

    fn statement(&self, name: String, asked: StatementRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let account = self.named(name).await?;
            let within = span(asked.from.as_deref(), asked.to.as_deref()).map_err(told)?;
            let page = self.statement(account, within, asked.cursor.as_deref(), PAGE).await.map_err(told)?;
            serde_json::to_value(page).map_err(AdminError::internal)
        })
    }

    fn table(&self, name: String, asked: TableRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let account = self.named(name).await?;
            let within = span(asked.from.as_deref(), asked.to.as_deref()).map_err(told)?;
            let place = read_cursor(asked.after.as_deref()).map_err(told)?;
            let part = self.table_part(account, within, place).await.map_err(told)?;
            let next = part.next.map(write_cursor);
            Ok(json!({ "head": HEAD, "csv": part.csv, "lines": part.lines, "next": next }))
        })
    }

    fn withdraw(
        &self,
        name: String,
        asked: WithdrawRequest,
        once: Option<IdempotencyKey>,
    ) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let account = self.named(name).await?;
            let amount = match asked.amount_sat {
                None => None,
                Some(sat) => {
                    Some(Msat::from_sat(sat).filter(|amount| *amount > Msat::ZERO).ok_or_else(|| {
                        AdminError::BadRequest(
                            "amount_sat must be at least 1, and no more than there is bitcoin".into(),
                        )
                    })?)
                }
            };
            let new = NewWithdrawal { target: asked.target, amount };
            let done = Accounts::withdraw(self, account, By::Operator, new, once).await.map_err(told)?;
            let body = match done {
                Reply::New(_, body) => body,
                Reply::Replayed(recorded) => recorded.body,
            };
            serde_json::from_slice(&body).map_err(AdminError::internal)
        })
    }

    fn withdrawal(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let withdrawal = self.any(&id).await?;
            serde_json::to_value(WithdrawalView::new(&withdrawal)).map_err(AdminError::internal)
        })
    }

    fn settle(&self, id: String, paid: bool) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let withdrawal = self.any(&id).await?;
            let Carrier::Offer(offer) = withdrawal.carrier else {
                let says = "only a withdrawal to a BOLT12 offer is settled here; for coins there is `satchel coins settle`";
                return Err(AdminError::Refused(says.into()));
            };
            if !paid {
                let ledger = self.ledger().clone();
                let asked = tokio::task::spawn_blocking(move || -> Result<_, LedgerError> {
                    let row = ledger
                        .store
                        .read_blocking(move |connection| offer_payouts::by_id(connection, offer))?;
                    Ok(offer_payouts::may_be_under_way(&ledger, &row))
                });
                if let Some(why) = asked.await.map_err(AdminError::internal)?.map_err(told)? {
                    return Err(AdminError::Refused(format!(
                        "it may have been sent: {why}; try again later"
                    )));
                }
            }
            let (listeners, now) = (self.ledger().listeners.clone(), self.now());
            let found = if paid { Found::Paid } else { Found::NotSent };
            let written =
                self.store().write(move |tx| offer_payouts::settle(tx, &listeners, offer, found, now));
            if !written.await.map_err(told)? {
                let says = "its outcome is not in doubt: it ends by itself, or has ended";
                return Err(AdminError::Refused(says.into()));
            }
            self.withdrawal(id).await
        })
    }

    fn sweep(&self, name: String, asked: SweepRequest) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let account = self.named(name).await?;
            let least = Msat::from_sat(asked.min_sat.unwrap_or(1)).unwrap_or(Msat::MAX);
            let wanted = asked.target.clone().map(|target| (target, least));
            self.set_sweep(account, wanted).await.map_err(told)?;
            Ok(json!({ "target": asked.target, "min_sat": asked.target.as_ref().map(|_| least.sat_floor()) }))
        })
    }

    fn limit_key(&self, key: i64, day_sat: Option<u64>) -> BoxFuture<'_, Result<bool, AdminError>> {
        Box::pin(async move {
            let written = self.store().write(move |tx| store::set_key_day(tx, key, day_sat));
            written.await.map_err(told)
        })
    }
}

impl Accounts {
    async fn named(&self, name: String) -> Result<AccountId, AdminError> {
        let wanted = name.clone();
        let found = self.store().read(move |connection| accounts::by_name(connection, &wanted)).await;
        found.map_err(told)?.ok_or_else(|| {
            AdminError::NotFound(format!("there is no account {name:?}; see `satchel account list`"))
        })
    }

    async fn any(&self, id: &str) -> Result<Withdrawal, AdminError> {
        let none = || AdminError::NotFound(format!("there is no withdrawal {id}"));
        let key: WithdrawalKey = id.parse().map_err(|_| none())?;
        let found = self.store().read(move |connection| store::by_public_id(connection, key)).await;
        found.map_err(told)?.ok_or_else(none)
    }
}

/// In the operator's words.
pub fn admin_error(error: AccountError) -> AdminError {
    told(error)
}

fn told(error: impl Into<AccountError>) -> AdminError {
    let error = error.into();
    let message = format!("{} ({})", error.message(), error.code());
    match error.status() {
        400 => AdminError::BadRequest(message),
        409 => AdminError::Refused(message),
        503 => AdminError::Unavailable(message),
        _ => AdminError::internal(error),
    }
}
