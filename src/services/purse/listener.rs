//! What the ledger tells this service of its payouts.

use std::sync::Arc;

use tokio::sync::Notify;

use super::store::payments::{self, Payment, PaymentStatus};
use super::store::{self};
use crate::core::ids::ChargeId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::http::events::EventLog;
use crate::ledger::accounts::{self, Change, LineKind};
use crate::ledger::{Charge, End, Lapsed, LedgerError, Listener, Payout};
use crate::storage::Tx;

/// Listens to the ledger, tells the operator's event log, and wakes requests that wait for their payment.
#[derive(Clone)]
pub struct PurseListener {
    log: EventLog,
    ended: Arc<Notify>,
}

impl PurseListener {
    /// With this log.
    pub fn new(log: EventLog) -> Self {
        Self { log, ended: Arc::default() }
    }

    /// Notified whenever a payment has ended, after the commit that says so.
    pub(super) fn ended(&self) -> &Notify {
        &self.ended
    }

    /// A line in the operator's event log.
    pub(super) fn record(&self, tx: &Tx<'_>, kind: &str, payment: &Payment) -> Result<(), LedgerError> {
        let data = serde_json::json!({ "purse": payment.purse, "amount_sat": payment.amount.sat_floor() });
        Ok(self.log.record(tx, kind, &payment.public_id, &data)?)
    }

    fn paid(
        &self,
        tx: &Tx<'_>,
        payment: &Payment,
        payout: &Payout,
        at: UnixMillis,
    ) -> Result<(), LedgerError> {
        let fee = payout.fee.unwrap_or(Msat::ZERO);
        let charged = settle_reserve(tx, payment, fee, at)?;
        let returned = payment.reserve.saturating_sub(charged);
        store::add_spent(tx, payment.purse, payment.day, -returned.signed())?;
        payments::finish(tx, payment.id, PaymentStatus::Paid, (Some(charged), Msat::ZERO), None, at)?;
        self.keep_credential(tx, payment, payout)?;
        self.record(tx, "purse.paid", payment)
    }

    fn failed(
        &self,
        tx: &Tx<'_>,
        payment: &Payment,
        payout: &Payout,
        at: UnixMillis,
    ) -> Result<(), LedgerError> {
        let (account, amount) = (payment.account, payment.amount);
        settle_reserve(tx, payment, Msat::ZERO, at)?;
        let change = Change { account, kind: LineKind::PurseFailed, reference: &payment.public_id, amount };
        accounts::credit(tx, &change, at)?;
        store::add_spent(tx, payment.purse, payment.day, -whole(payment)?.signed())?;
        let error = payout.error.as_deref();
        payments::finish(tx, payment.id, PaymentStatus::Failed, (None, Msat::ZERO), error, at)?;
        self.record(tx, "purse.failed", payment)
    }

    /// It had failed, and its money was in the balance again: what is left of that is taken, whatever the limits say.
    fn arrived_late(
        &self,
        tx: &Tx<'_>,
        payment: &Payment,
        payout: &Payout,
        at: UnixMillis,
    ) -> Result<Msat, LedgerError> {
        let account = payment.account;
        let amount = accounts::balance(tx, account)?.available.min(payment.amount);
        let change = Change { account, kind: LineKind::PurseLate, reference: &payment.public_id, amount };
        let covered = if accounts::debit(tx, &change, at)? { amount } else { Msat::ZERO };
        let uncovered = payment.amount.saturating_sub(covered);
        payments::forget_request(tx, payment.id)?;
        store::add_spent(tx, payment.purse, payment.day, payment.amount.signed())?;
        let ended = (Some(Msat::ZERO), uncovered);
        payments::finish(tx, payment.id, PaymentStatus::Paid, ended, None, at)?;
        self.keep_credential(tx, payment, payout)?;
        self.record(tx, "purse.arrived_late", payment)?;
        Ok(covered)
    }

    fn keep_credential(&self, tx: &Tx<'_>, payment: &Payment, payout: &Payout) -> Result<(), LedgerError> {
        if payment.proof.is_some() && payout.preimage.is_some() {
            payments::set_usable(tx, payment.id, true)?;
        }
        Ok(())
    }
}

/// Amount and reserve.
fn whole(payment: &Payment) -> Result<Msat, LedgerError> {
    let whole = payment.amount.checked_add(payment.reserve);
    whole.ok_or_else(|| LedgerError::Broken("a payment larger than the supply".into()))
}

/// Charges what routing cost, and takes the payment from what is under way.
fn settle_reserve(tx: &Tx<'_>, payment: &Payment, fee: Msat, at: UnixMillis) -> Result<Msat, LedgerError> {
    accounts::take_pending(tx, payment.account, whole(payment)?)?;
    match payment.fee_reserve {
        Some(reserve) => accounts::settle_fee(tx, reserve, fee, &payment.public_id, at),
        None => Ok(Msat::ZERO),
    }
}

impl Listener for PurseListener {
    /// Nothing is charged for this service.
    fn charge_settled(&self, _: &Tx<'_>, charge: &Charge) -> Result<(), LedgerError> {
        Err(LedgerError::Broken(format!("charge {} is nobody's", charge.id)))
    }

    fn payout_ended(&self, tx: &Tx<'_>, payout: &Payout, end: End) -> Result<Msat, LedgerError> {
        let payment = payments::by_payout(tx, payout.id)?
            .ok_or_else(|| LedgerError::Broken(format!("payout {} is no purse's", payout.id)))?;
        let at = payout.finished_at.unwrap_or(payout.created_at);
        let covered = match end {
            End::Paid => self.paid(tx, &payment, payout, at).map(|()| payment.amount)?,
            End::Failed => self.failed(tx, &payment, payout, at).map(|()| payment.amount)?,
            End::PaidAfterFailure => self.arrived_late(tx, &payment, payout, at)?,
        };
        let ended = Arc::clone(&self.ended);
        tx.after_commit(move || ended.notify_waiters());
        Ok(covered)
    }

    fn charge_lapsed(&self, _: &Tx<'_>, _: ChargeId) -> Result<Lapsed, LedgerError> {
        Ok(Lapsed::Keep)
    }
}
