//! What the ledger tells this service of what carries a withdrawal.

use super::store::{self, Carrier, Withdrawal, WithdrawalStatus};
use crate::core::ids::ChargeId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::http::events::EventLog;
use crate::ledger::accounts::{self, Change, LineKind};
use crate::ledger::{
    Charge, End, Lapsed, LedgerError, Listener, OfferPayout, OnchainPayout, Payout, coin_fees,
};
use crate::storage::Tx;

/// Listens to the ledger, and tells the operator's event log.
#[derive(Clone)]
pub struct Notifier {
    log: EventLog,
}

impl Notifier {
    /// With this log.
    pub fn new(log: EventLog) -> Self {
        Self { log }
    }

    /// A line in the operator's event log.
    pub(super) fn record(&self, tx: &Tx<'_>, kind: &str, withdrawal: &Withdrawal) -> Result<(), LedgerError> {
        let data = serde_json::json!({ "amount_sat": withdrawal.amount.sat_floor() });
        Ok(self.log.record(tx, kind, &withdrawal.public_id.to_string(), &data)?)
    }

    /// By Lightning: `fee` is what routing cost, if it arrived.
    fn by_lightning(
        &self,
        tx: &Tx<'_>,
        carrier: Carrier,
        end: End,
        fee: Option<Msat>,
        ended: Ended<'_>,
    ) -> Result<Msat, LedgerError> {
        let withdrawal = found(tx, carrier)?;
        if end == End::PaidAfterFailure {
            return self.arrived_late(tx, &withdrawal, &ended);
        }
        let reference = withdrawal.public_id.to_string();
        let spent = fee.filter(|_| end == End::Paid).unwrap_or(Msat::ZERO);
        let charged = match withdrawal.fee_reserve {
            Some(reserve) => accounts::settle_fee(tx, reserve, spent, &reference, ended.at)?,
            None => Msat::ZERO,
        };
        self.ended(tx, &withdrawal, end, charged, &ended)?;
        Ok(withdrawal.amount)
    }

    fn ended(
        &self,
        tx: &Tx<'_>,
        withdrawal: &Withdrawal,
        end: End,
        charged: Msat,
        ended: &Ended<'_>,
    ) -> Result<(), LedgerError> {
        let account = withdrawal.account;
        let whole = withdrawal
            .amount
            .checked_add(withdrawal.reserve)
            .ok_or_else(|| LedgerError::Broken("a withdrawal larger than the supply".into()))?;
        accounts::take_pending(tx, account, whole)?;
        if end == End::Failed {
            let (reference, amount) = (withdrawal.public_id.to_string(), withdrawal.amount);
            let change = Change { account, kind: LineKind::WithdrawalFailed, reference: &reference, amount };
            accounts::credit(tx, &change, ended.at)?;
            if let Some(key) = withdrawal.key {
                store::add_key_day(tx, key, store::day_of(withdrawal.created_at), -amount.signed())?;
            }
            let failed = WithdrawalStatus::Failed;
            store::finish(tx, withdrawal.id, failed, (None, Msat::ZERO), ended.error, ended.at)?;
            return self.record(tx, "withdrawal.failed", withdrawal);
        }
        let completed = WithdrawalStatus::Completed;
        store::finish(tx, withdrawal.id, completed, (Some(charged), Msat::ZERO), None, ended.at)?;
        self.record(tx, "withdrawal.completed", withdrawal)
    }

    /// It had failed, and its money was in the balance again: what is left of that is taken.
    fn arrived_late(
        &self,
        tx: &Tx<'_>,
        withdrawal: &Withdrawal,
        ended: &Ended<'_>,
    ) -> Result<Msat, LedgerError> {
        let account = withdrawal.account;
        let amount = accounts::balance(tx, account)?.available.min(withdrawal.amount);
        let reference = withdrawal.public_id.to_string();
        let change = Change { account, kind: LineKind::WithdrawalLate, reference: &reference, amount };
        let covered = if accounts::debit(tx, &change, ended.at)? { amount } else { Msat::ZERO };
        let uncovered = withdrawal.amount.saturating_sub(covered);
        let completed = WithdrawalStatus::Completed;
        store::finish(tx, withdrawal.id, completed, (Some(Msat::ZERO), uncovered), None, ended.at)?;
        self.record(tx, "withdrawal.arrived_late", withdrawal)?;
        Ok(covered)
    }
}

/// When something ended, and why, if it failed.
struct Ended<'a> {
    at: UnixMillis,
    error: Option<&'a str>,
}

fn found(tx: &Tx<'_>, carrier: Carrier) -> Result<Withdrawal, LedgerError> {
    store::by_carrier(tx, carrier)?
        .ok_or_else(|| LedgerError::Broken(format!("{carrier:?} carries no withdrawal")))
}

impl Listener for Notifier {
    /// Nothing is charged for this service.
    fn charge_settled(&self, _: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        Err(LedgerError::Broken(format!("charge {} is nobody's", charge.id)))
    }

    fn payout_ended(&self, tx: &Tx<'_>, payout: &Payout, end: End) -> Result<Msat, LedgerError> {
        let at = payout.finished_at.unwrap_or(payout.created_at);
        let ended = Ended { at, error: payout.error.as_deref() };
        self.by_lightning(tx, Carrier::Payout(payout.id), end, payout.fee, ended)
    }

    fn offer_payout_ended(&self, tx: &Tx<'_>, payout: &OfferPayout, end: End) -> Result<Msat, LedgerError> {
        let at = payout.finished_at.unwrap_or(payout.created_at);
        let ended = Ended { at, error: payout.error.as_deref() };
        self.by_lightning(tx, Carrier::Offer(payout.id), end, payout.fee, ended)
    }

    fn coins_ended(&self, tx: &Tx<'_>, send: &OnchainPayout, end: End) -> Result<(), LedgerError> {
        let withdrawal = found(tx, Carrier::Coins(send.id))?;
        let at = send.finished_at.unwrap_or(send.created_at);
        let charged = coin_fees::settle(tx, send, end, &withdrawal.public_id.to_string(), at)?;
        let ended = Ended { at, error: send.error.as_deref() };
        self.ended(tx, &withdrawal, end, charged.unwrap_or(Msat::ZERO), &ended)
    }

    fn charge_lapsed(&self, _: &Tx<'_>, _: ChargeId) -> Result<Lapsed, LedgerError> {
        Ok(Lapsed::Keep)
    }
}
