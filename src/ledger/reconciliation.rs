//! Payouts end by proof. What is proof is one table, in [`standing`](crate::lightning::standing); what follows from it
//! is this one:
//!
//! | the payout is | what is seen | what follows |
//! |---|---|---|
//! | `queued` | (the node was never asked, or proved never to have sent) | the dispatcher sends it, or gives it up |
//! | `dispatching`, `in_flight`, `unknown`, `failed` | the preimage, by whatever way | `paid` |
//! | `dispatching`, `in_flight`, `unknown` | the node reports a failure, and no closed channel had an HTLC of it | `failed` |
//! | the same | the node reports a failure otherwise, or before it has seen the chain | `unknown`, with the report |
//! | `dispatching`, `in_flight` | the process starts | `unknown` |
//! | `unknown` | [`Standing::Arrived`] | `paid` |
//! | `unknown` | [`Standing::Gone`] | `failed` |
//! | `unknown`, without a report | [`Standing::NeverSent`] | `queued` |
//! | `unknown`, without a report | [`Standing::UnderWay`] | `in_flight` |
//! | `unknown` | [`Standing::Closing`], [`Standing::Unclear`] | stays |
//! | `paid` | anything | stays |
//!
//! No row has a height or a clock in it: they only say when it is looked again. A payout of which nothing was reported
//! is looked at only after the event queue has been empty for a while, because an event that is on its way says more.
//!
//! # What a crash leaves behind
//!
//! Each step is one transaction, and the next start begins with the table again. A report that was not written down is
//! repeated by the node. Before a payout is `queued` again the node is told to forget its record of it; a crash between
//! the two leaves `unknown` without a record, which proves the same.

use std::time::Duration;

use super::payouts::{self, Arrival, Payout, PayoutStatus, Reported, set_aside};
use super::rows::payouts as rows;
use super::{Ledger, LedgerError};
use crate::core::ids::{PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::crash_point;
use crate::lightning::{Direction, Outbound, PaymentRecord, RecordStatus, Standing};

/// A payment arrived, and the node told so.
///
/// # Errors
/// The store's or a listener's; then nothing has changed.
pub fn arrived(
    ledger: &Ledger,
    hash: PaymentHash,
    preimage: Option<Preimage>,
    fee: Msat,
) -> Result<Reported, LedgerError> {
    let known = ledger.store.read_blocking(move |connection| payouts::by_hash(connection, hash))?;
    let left = known.and_then(|payout| payout.amount.checked_add(fee)).and_then(|at_least| {
        // Before the payout ends, since the node may forget it then.
        ledger.lightning.left(hash, at_least)
    });
    book(ledger, Arrival { hash, preimage, fee, left })
}

fn book(ledger: &Ledger, arrival: Arrival) -> Result<Reported, LedgerError> {
    let (listeners, now) = (ledger.listeners.clone(), ledger.clock.now());
    ledger.store.write_blocking(move |tx| payouts::mark_paid(tx, &listeners, &arrival, now))
}

/// The node reports that a payment failed. Believed where it is proof.
///
/// # Errors
/// The store's or a listener's; then nothing has changed and the event comes again.
pub fn failure_reported(ledger: &Ledger, hash: PaymentHash, reason: &str) -> Result<Reported, LedgerError> {
    let Some(payout) = ledger.store.read_blocking(move |connection| payouts::by_hash(connection, hash))?
    else {
        return Ok(Reported::NotOurs);
    };
    if payout.status.is_final() {
        return Ok(Reported::Repeated);
    }
    let asked = Outbound { hash, is_id: false, amount: payout.amount, reported_failed: true };
    match standing_of(ledger, &asked) {
        Standing::Arrived { preimage, left } => {
            book(ledger, Arrival { hash, preimage: Some(preimage), fee: Msat::ZERO, left })
        }
        Standing::Gone | Standing::NeverSent => fail(ledger, hash, reason),
        Standing::Closing | Standing::UnderWay | Standing::Unclear(_) => {
            tracing::warn!(payout = %payout.public_id, %reason, "a failure proves nothing yet: its channel has closed, or may have");
            let reason = reason.to_owned();
            ledger.store.write_blocking(move |tx| payouts::note_failure_reported(tx, hash, &reason))
        }
    }
}

fn standing_of(ledger: &Ledger, payment: &Outbound) -> Standing {
    let found = ledger.lightning.standings(std::slice::from_ref(payment)).into_iter().next();
    found.unwrap_or(Standing::Unclear("the node did not answer"))
}

fn fail(ledger: &Ledger, hash: PaymentHash, reason: &str) -> Result<Reported, LedgerError> {
    let (listeners, now, reason) = (ledger.listeners.clone(), ledger.clock.now(), reason.to_owned());
    ledger.store.write_blocking(move |tx| payouts::mark_failed(tx, &listeners, hash, &reason, now))
}

/// Looks for proof about every payout that is `unknown`. `quiet` says that no event of the node has been waiting for a
/// while; without it only those are looked at whose failure was reported.
///
/// # Errors
/// The store's.
pub fn look_again(ledger: &Ledger, quiet: bool) -> Result<(), LedgerError> {
    let mut unknown = ledger.store.read_blocking(|connection| rows::with_status(connection, "unknown"))?;
    let mut with_record = Vec::new();
    unknown.retain(|payout| match arrived_by_record(ledger, payout) {
        Some(record) => {
            with_record.push(record);
            false
        }
        None => quiet || payout.failure_reported.is_some(),
    });
    for record in with_record {
        let fee = record.fee.unwrap_or(Msat::ZERO);
        set_aside(arrived(ledger, record.hash, record.preimage, fee))?;
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let asked: Vec<_> = unknown.iter().map(question).collect();
    let standings = ledger.lightning.standings(&asked);
    // An event that is waiting says more than could be found out.
    if ledger.lightning.next_event(Duration::ZERO).is_some() {
        return Ok(());
    }
    for (payout, standing) in unknown.iter().zip(standings) {
        set_aside(conclude(ledger, payout, standing))?;
    }
    Ok(())
}

/// The node's record, if it says that the payment arrived. That it failed would prove nothing.
fn arrived_by_record(ledger: &Ledger, payout: &Payout) -> Option<PaymentRecord> {
    let arrived = |record: &PaymentRecord| {
        record.direction == Direction::Outbound && record.status == RecordStatus::Succeeded
    };
    ledger.lightning.record(payout.payment_hash).filter(arrived)
}

fn question(payout: &Payout) -> Outbound {
    Outbound {
        hash: payout.payment_hash,
        is_id: false,
        amount: payout.amount,
        reported_failed: payout.failure_reported.is_some(),
    }
}

/// Does what the table says.
fn conclude(ledger: &Ledger, payout: &Payout, standing: Standing) -> Result<(), LedgerError> {
    let (id, hash, reported) = (payout.id, payout.payment_hash, payout.failure_reported.as_deref());
    debug_assert_eq!(payout.status, PayoutStatus::Unknown);
    crash_point!("reconciliation.before_conclusion");
    match standing {
        Standing::Arrived { preimage, left } => {
            tracing::info!(payout = %payout.public_id, "a payout arrived, says its preimage");
            book(ledger, Arrival { hash, preimage: Some(preimage), fee: Msat::ZERO, left }).map(drop)
        }
        Standing::Gone => {
            let reason = reported.unwrap_or("it failed, and nobody told why");
            tracing::info!(payout = %payout.public_id, %reason, "a payout has failed: nothing of it is under way");
            fail(ledger, hash, reason).map(drop)
        }
        Standing::NeverSent if reported.is_none() => {
            if let Err(error) = ledger.lightning.forget(hash) {
                tracing::warn!(payout = %payout.public_id, %error, "the node could not forget its record");
                return Ok(());
            }
            crash_point!("reconciliation.after_forget");
            tracing::info!(payout = %payout.public_id, "a payout was never sent; it is sent now");
            let (now, wake) = (ledger.clock.now(), std::sync::Arc::clone(&ledger.wake));
            ledger.store.write_blocking(move |tx| {
                tx.after_commit(move || wake.notify());
                rows::queue_again(tx, id, now)
            })
        }
        Standing::NeverSent => fail(ledger, hash, reported.unwrap_or_default()).map(drop),
        Standing::UnderWay if reported.is_none() => {
            tracing::info!(payout = %payout.public_id, "the node still has a payout under way");
            ledger.store.write_blocking(move |tx| rows::note_in_flight(tx, id))
        }
        Standing::UnderWay | Standing::Closing => {
            tracing::debug!(payout = %payout.public_id, ?standing, "the chain has not decided");
            Ok(())
        }
        Standing::Unclear(why) => {
            tracing::debug!(payout = %payout.public_id, why, "can't tell yet what became of a payout");
            Ok(())
        }
    }
}
