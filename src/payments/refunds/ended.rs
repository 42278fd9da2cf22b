//! What the ledger tells of a refund's payout.

use super::store::{self, Refund};
use crate::clock::UnixMillis;
use crate::ids::PaymentId;
use crate::ledger::books::{Journal, Kind};
use crate::ledger::{Account, End, Family, LedgerError, Payout};
use crate::money::Msat;
use crate::payments::status::PaymentStatus;
use crate::payments::store as payments;
use crate::payments::teller::Teller;
use crate::store::Tx;

/// A refund's payout reached its end. Answers how much of it was still there to be taken.
pub(in crate::payments) fn ended(
    teller: &Teller,
    tx: &Tx<'_>,
    payout: &Payout,
    end: End,
) -> Result<Msat, LedgerError> {
    let found = store::by_payout(tx, payout.id)?;
    let refund = found.ok_or_else(|| LedgerError::Broken(format!("payout {} is no refund", payout.id)))?;
    let now = payout.finished_at.unwrap_or(payout.created_at);
    match end {
        End::Paid => {
            payments::add_refunded(tx, refund.payment, refund.sats)?;
            arrived(teller, tx, &refund, Msat::ZERO, "refund.completed", now)?;
            Ok(refund.sats)
        }
        End::PaidAfterFailure => {
            let covered = super::room(&payments::by_id(tx, refund.payment)?).min(refund.sats);
            payments::add_refunding(tx, refund.payment, covered)?;
            payments::add_refunded(tx, refund.payment, covered)?;
            let uncovered = refund.sats.saturating_sub(covered);
            arrived(teller, tx, &refund, uncovered, "refund.arrived_late", now)?;
            Ok(covered)
        }
        End::Failed => {
            store::fail(tx, refund.id)?;
            payments::take_refunding(tx, refund.payment, refund.sats)?;
            recover(teller, tx, &refund, payout, now)?;
            teller.refund_changed(tx, &store::by_id(tx, refund.id)?, "refund.failed", now)?;
            Ok(refund.sats)
        }
    }
}

fn arrived(
    teller: &Teller,
    tx: &Tx<'_>,
    refund: &Refund,
    uncovered: Msat,
    kind: &'static str,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    store::complete(tx, refund.id, uncovered, now)?;
    teller.refund_changed(tx, &store::by_id(tx, refund.id)?, kind, now)?;
    whole(teller, tx, refund.payment, now)
}

/// What a failure has set free belongs to those that arrived late first: it was booked as a loss, and is none.
fn recover(
    teller: &Teller,
    tx: &Tx<'_>,
    refund: &Refund,
    payout: &Payout,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let mut recovered = Msat::ZERO;
    for late in store::uncovered(tx, refund.payment)? {
        let taken = super::room(&payments::by_id(tx, refund.payment)?).min(late.uncovered);
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
    Journal::new(Kind::RefundLossRecovered, payout.id.0)
        .debit(Family::Payments.account(), recovered)
        .credit(Account::Loss, recovered)
        .post(tx, now)?;
    whole(teller, tx, refund.payment, now)
}

/// Once all that came has gone back, the payment is refunded.
fn whole(teller: &Teller, tx: &Tx<'_>, id: PaymentId, now: UnixMillis) -> Result<(), LedgerError> {
    let payment = payments::by_id(tx, id)?;
    let all = payment.refunded.sat_floor() >= payment.received.sat_floor();
    if !all || payment.status == PaymentStatus::Refunded {
        return Ok(());
    }
    payments::set_status(tx, id, PaymentStatus::Refunded)?;
    teller.changed(tx, &payments::by_id(tx, id)?, PaymentStatus::Refunded, now)
}
