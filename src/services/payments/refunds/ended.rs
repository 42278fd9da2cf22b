//! What the ledger tells of what carries a refund: its payout, or its coins.

use super::store::{self, Refund};
use crate::core::ids::PaymentId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::accounts::{self, Change, LineKind};
use crate::ledger::books::{Journal, Kind};
use crate::ledger::service_fees;
use crate::ledger::{Account, End, Family, LedgerError, OnchainPayout, Payout, coin_fees};
use crate::services::payments::notify::Notifier;
use crate::services::payments::status::PaymentStatus;
use crate::services::payments::store as payments;
use crate::storage::Tx;

/// A refund's payout reached its end. Answers how much of it was still there to be taken.
pub(in crate::services::payments) fn ended(
    notifier: &Notifier,
    tx: &Tx<'_>,
    payout: &Payout,
    end: End,
) -> Result<Msat, LedgerError> {
    let found = store::by_payout(tx, payout.id)?;
    let refund = found.ok_or_else(|| LedgerError::Broken(format!("payout {} is no refund", payout.id)))?;
    let now = payout.finished_at.unwrap_or(payout.created_at);
    match end {
        End::Paid => {
            completed(notifier, tx, &refund, now)?;
            Ok(refund.sats)
        }
        End::PaidAfterFailure => {
            let covered = super::room(&payments::by_id(tx, refund.payment)?).min(refund.sats);
            let covered = take(tx, &refund, covered, now)?;
            payments::add_refunding(tx, refund.payment, covered)?;
            payments::add_refunded(tx, refund.payment, covered)?;
            let uncovered = refund.sats.saturating_sub(covered);
            arrived(notifier, tx, &refund, uncovered, "refund.arrived_late", now)?;
            Ok(covered)
        }
        End::Failed => {
            failed(notifier, tx, &refund, Journal::new(Kind::RefundLossRecovered, payout.id.0), now)?;
            Ok(refund.sats)
        }
    }
}

/// A refund's coins arrived, or were not sent.
pub(in crate::services::payments) fn coins_ended(
    notifier: &Notifier,
    tx: &Tx<'_>,
    send: &OnchainPayout,
    end: End,
) -> Result<(), LedgerError> {
    let found = store::by_coins(tx, send.id)?;
    let refund = found.ok_or_else(|| LedgerError::Broken(format!("coins {} are no refund", send.id)))?;
    let now = send.finished_at.unwrap_or(send.created_at);
    coin_fees::settle(tx, send, end, &refund.public_id.to_string(), now)?;
    match end {
        End::Paid => completed(notifier, tx, &refund, now),
        End::Failed => failed(notifier, tx, &refund, Journal::new(Kind::CoinsLossRecovered, send.id.0), now),
        End::PaidAfterFailure => Err(LedgerError::Broken("coins that were not sent arrived".into())),
    }
}

fn completed(notifier: &Notifier, tx: &Tx<'_>, refund: &Refund, now: UnixMillis) -> Result<(), LedgerError> {
    payments::add_refunded(tx, refund.payment, refund.sats)?;
    arrived(notifier, tx, refund, Msat::ZERO, "refund.completed", now)
}

/// `recovery` is the journal for what that sets free of earlier losses.
fn failed(
    notifier: &Notifier,
    tx: &Tx<'_>,
    refund: &Refund,
    recovery: Journal,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    store::fail(tx, refund.id)?;
    payments::take_refunding(tx, refund.payment, refund.sats)?;
    let reference = refund.public_id.to_string();
    let change = Change {
        account: refund.account,
        kind: LineKind::RefundFailed,
        reference: &reference,
        amount: refund.sats,
    };
    accounts::credit(tx, &change, now)?;
    let fee = refund.fee_back;
    if service_fees::earn_again(tx, refund.id, refund.account, &reference, fee, now)? {
        store::set_fee_back(tx, refund.id, Msat::ZERO)?;
        payments::set_fee(tx, refund.payment, fee)?;
    }
    recover(notifier, tx, refund, recovery, now)?;
    notifier.refund_changed(tx, &store::by_id(tx, refund.id)?, "refund.failed", now)
}

fn arrived(
    notifier: &Notifier,
    tx: &Tx<'_>,
    refund: &Refund,
    uncovered: Msat,
    kind: &'static str,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    store::complete(tx, refund.id, uncovered, now)?;
    notifier.refund_changed(tx, &store::by_id(tx, refund.id)?, kind, now)?;
    whole(notifier, tx, refund.payment, now)
}

/// Takes from the account what a refund took that arrived late, as far as it is there; how much that was.
fn take(tx: &Tx<'_>, refund: &Refund, wanted: Msat, now: UnixMillis) -> Result<Msat, LedgerError> {
    let amount = accounts::balance(tx, refund.account)?.available.min(wanted);
    let reference = refund.public_id.to_string();
    let change =
        Change { account: refund.account, kind: LineKind::RefundLate, reference: &reference, amount };
    let taken = accounts::debit(tx, &change, now)?;
    Ok(if taken { amount } else { Msat::ZERO })
}

/// What a failure has set free belongs to those that arrived late first: it was booked as a loss, and is none.
fn recover(
    notifier: &Notifier,
    tx: &Tx<'_>,
    refund: &Refund,
    recovery: Journal,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let mut recovered = Msat::ZERO;
    for late in store::uncovered(tx, refund.payment)? {
        let taken = super::room(&payments::by_id(tx, refund.payment)?).min(late.uncovered);
        let taken = take(tx, &late, taken, now)?;
        payments::add_refunding(tx, refund.payment, taken)?;
        payments::add_refunded(tx, refund.payment, taken)?;
        store::cover(tx, late.id, taken)?;
        recovered = recovered
            .checked_add(taken)
            .ok_or_else(|| LedgerError::Broken("refunds larger than the supply".into()))?;
    }
    if recovered == Msat::ZERO {
        return Ok(());
    }
    recovery.debit(Family::Payments.account(), recovered).credit(Account::Loss, recovered).post(tx, now)?;
    whole(notifier, tx, refund.payment, now)
}

/// Once all that came has gone back, the payment is refunded.
fn whole(notifier: &Notifier, tx: &Tx<'_>, id: PaymentId, now: UnixMillis) -> Result<(), LedgerError> {
    let payment = payments::by_id(tx, id)?;
    let all = payment.refunded.sat_floor() >= payment.received.sat_floor();
    if !all || payment.status == PaymentStatus::Refunded {
        return Ok(());
    }
    payments::set_status(tx, id, PaymentStatus::Refunded)?;
    notifier.changed(tx, &payments::by_id(tx, id)?, PaymentStatus::Refunded, now)
}
