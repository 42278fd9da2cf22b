//! Charges that can be paid by a BOLT12 offer too.
//!
//! An invoice has a payment hash, and is paid once. Behind an offer there is an invoice for whoever asks for one:
//! each payment comes with a hash that nobody knew before, is claimed by the node itself, and only the node's record
//! says to which offer it belongs. So an offer belongs to one charge, and of such a charge every payment over
//! Lightning, by the invoice or by the offer, has a receipt under its hash, which makes it count once.
//!
//! * What comes first settles the charge as ever, late or too much alike.
//! * What comes after that belongs to the same payer: where a family [keeps more](Family::keeps_more) it is credited,
//!   is part of what the charge has received, and the family is told ([`Listener::charge_paid_more`]). Where it
//!   doesn't, it is in suspense.
//! * A payment by the offer while one by the invoice is [held](super::held) settles the charge. The held one is
//!   credited as further money if it has been claimed; if not it is refused, or goes back at its deadline.
//! * Less than was asked, which LDK refuses, is in suspense and settles nothing.
//! * Payments to offers that the ledger doesn't know, or has forgotten, are in suspense like those for unknown hashes.
//!
//! The node makes no invoice for an offer that has expired, but the last one it made can be paid for four hours more.
//! An offer goes with its charge, which a family that [keeps unpaid orders](Family::keeps_unpaid) has for days, and for
//! ever once something came. Others should make no offers.
//!
//! # What a crash leaves behind
//!
//! | the process dies | what is there at the start | what happens |
//! |---|---|---|
//! | before the offer is committed | nothing; nobody has seen it | nothing |
//! | after it, before the answer | charge and offer | both can be paid |
//! | after the node has claimed, before the event | the node's record, written before the claim | LDK tells again |
//! | before the receipt is committed | the event, unhandled | all from the beginning |
//! | after it, before the event is handled | the event again, and the receipt | nothing: it is there |
//! | and the event is lost | the record, which names the offer | [`recovery::sweep`](super::recovery::sweep) credits it |
//! | and the record too, or it could not be written | the event, which names no offer | in suspense, as for an unknown hash |
//! | and both are lost | the sats, in a channel | nobody is credited; the node has more than the books say |
//!
//! A record is forgotten some hours after its receipt, never before there is one.

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;

use rusqlite::Connection;

use super::books::{Account, Journal, Kind};
use super::charges::{self, Charge, ChargeStatus, Receipt, SettledBy};
use super::rows::{charges as charge_rows, offers as rows};
#[cfg(doc)]
use super::{Family, Listener};
use super::{LedgerError, Listeners};
use crate::core::ids::{ChargeId, OfferId, PaymentHash};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::lightning::Offer;
use crate::storage::Tx;

/// Lets a charge be paid by an offer of the same amount too. Must be committed with the charge, before anybody sees
/// either.
///
/// # Errors
/// The store's.
pub fn add(tx: &Tx<'_>, charge: ChargeId, offer: &Offer) -> Result<(), LedgerError> {
    rows::insert(tx, charge, offer)
}

/// A charge's offer, if it has one.
///
/// # Errors
/// The store's.
pub fn of(connection: &Connection, charge: ChargeId) -> Result<Option<Offer>, LedgerError> {
    rows::of(connection, charge)
}

/// Whether an offer is one that this server made.
///
/// # Errors
/// The store's.
pub fn is_ours(connection: &Connection, offer: OfferId) -> Result<bool, LedgerError> {
    Ok(rows::charge_of(connection, offer)?.is_some())
}

/// Whether there is nothing to do about a payment that the node says came in: it is in the books, or it is nobody's
/// that we know of.
///
/// # Errors
/// The store's.
pub fn is_known(
    connection: &Connection,
    hash: PaymentHash,
    offer: Option<OfferId>,
) -> Result<bool, LedgerError> {
    if let Some(charge) = charges::by_hash(connection, hash)? {
        // One that an offer has settled can have been paid by its invoice too.
        return if rows::exists(connection, charge.id)? {
            rows::is_booked(connection, hash)
        } else {
            Ok(charge.status == ChargeStatus::Paid)
        };
    }
    match charge_of(connection, offer)? {
        Some(_) => rows::is_booked(connection, hash),
        None => Ok(true),
    }
}

/// The charge of an offer, if it is one of ours.
pub(super) fn charge_of(
    connection: &Connection,
    offer: Option<OfferId>,
) -> Result<Option<ChargeId>, LedgerError> {
    match offer {
        Some(offer) => rows::charge_of(connection, offer),
        None => Ok(None),
    }
}

/// Whether a charge has an offer, so that its payments are credited by [`credit`].
pub(super) fn has_one(connection: &Connection, charge: ChargeId) -> Result<bool, LedgerError> {
    rows::exists(connection, charge)
}

/// Whether a payment is in the books by its hash: for a charge that has an offer, or for nobody.
pub(super) fn is_booked(connection: &Connection, hash: PaymentHash) -> Result<bool, LedgerError> {
    rows::is_booked(connection, hash)
}

/// Whether the books tell of something that came for a charge that has an offer.
fn has_receipts(connection: &Connection, charge: ChargeId) -> Result<bool, LedgerError> {
    rows::has_receipts(connection, charge)
}

/// Credits a payment over Lightning to a charge that has an offer, by whichever of the two. Exactly once.
///
/// # Errors
/// The store's or the listener's; then nothing has changed.
pub(super) fn credit(
    tx: &Tx<'_>,
    listeners: &Listeners,
    mut charge: Charge,
    hash: PaymentHash,
    amount: Msat,
    now: UnixMillis,
) -> Result<Receipt, LedgerError> {
    // What is in suspense already stays there: it was told of before, without its offer.
    if rows::is_booked(tx, hash)? {
        return Ok(Receipt::Repeated);
    }
    let asked = charge.amount.unwrap_or(Msat::ZERO);
    if charge.status != ChargeStatus::Paid && amount >= asked {
        let owed = if charge.family.keeps_more() { amount } else { charge.amount.unwrap_or(amount) };
        rows::insert_receipt(tx, hash, charge.id, amount, owed, now)?;
        charges::settle(tx, listeners, charge, amount, SettledBy::Lightning, now)?;
        return Ok(Receipt::Settled);
    }
    let is_more = charge.status == ChargeStatus::Paid && charge.family.keeps_more();
    let owed = if is_more { amount } else { Msat::ZERO };
    let row = rows::insert_receipt(tx, hash, charge.id, amount, owed, now)?;
    Journal::new(Kind::ChargePaidMore, row)
        .debit(Account::Lightning, amount)
        .credit(charge.family.account(), owed)
        .credit(Account::Suspense, amount.saturating_sub(owed))
        .post(tx, now)?;
    if !is_more {
        tracing::warn!(charge = %charge.id, %amount, %asked, "a payment settles nothing; it is in suspense");
        return Ok(Receipt::Suspense);
    }
    rows::add_received(tx, charge.id, amount)?;
    let received = charge.received.unwrap_or(Msat::ZERO).checked_add(amount);
    charge.received =
        Some(received.ok_or_else(|| LedgerError::Broken("more than the supply came in".into()))?);
    tracing::info!(charge = %charge.id, %amount, "a charge was paid once more; that is credited too");
    if let Some(listener) = listeners.of(charge.family) {
        listener.charge_paid_more(tx, &charge, amount)?;
    }
    Ok(Receipt::Added)
}

/// Removes a charge that was never paid, with its offer; one of which the books tell stays.
///
/// # Errors
/// The store's.
pub(super) fn forget(tx: &Tx<'_>, charge: ChargeId) -> Result<(), LedgerError> {
    if has_receipts(tx, charge)? {
        return Ok(());
    }
    rows::delete(tx, charge)?;
    charge_rows::delete(tx, charge)
}
