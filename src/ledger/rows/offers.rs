//! SQL of offers, and of what is paid to charges that have one.

use rusqlite::{Connection, OptionalExtension, params};

use super::came;
use crate::core::ids::{ChargeId, OfferId, PaymentHash};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::lightning::Offer;
use crate::storage::Tx;

pub(crate) fn insert(tx: &Tx<'_>, charge: ChargeId, offer: &Offer) -> Result<(), LedgerError> {
    tx.prepare_cached("INSERT INTO charge_offers (offer_id, charge_id, offer) VALUES (?1, ?2, ?3)")?
        .execute(params![offer.id, charge, offer.text])?;
    Ok(())
}

/// Whose offer it is.
pub(crate) fn charge_of(connection: &Connection, offer: OfferId) -> Result<Option<ChargeId>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT charge_id FROM charge_offers WHERE offer_id = ?1")?
        .query_row([offer], |row| row.get(0))
        .optional()?)
}

/// A charge's offer.
pub(crate) fn of(connection: &Connection, charge: ChargeId) -> Result<Option<Offer>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT offer_id, offer FROM charge_offers WHERE charge_id = ?1")?
        .query_row([charge], |row| Ok(Offer { id: row.get(0)?, text: row.get(1)? }))
        .optional()?)
}

pub(crate) fn exists(connection: &Connection, charge: ChargeId) -> Result<bool, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM charge_offers WHERE charge_id = ?1)")?
        .query_row([charge], |row| row.get(0))?)
}

/// Removes the offer of a charge that goes too.
pub(crate) fn delete(tx: &Tx<'_>, charge: ChargeId) -> Result<(), LedgerError> {
    tx.prepare_cached("DELETE FROM charge_offers WHERE charge_id = ?1")?.execute([charge])?;
    Ok(())
}

/// Notes a payment; answers its row.
pub(crate) fn insert_receipt(
    tx: &Tx<'_>,
    hash: PaymentHash,
    charge: ChargeId,
    amount: Msat,
    credited: Msat,
    now: UnixMillis,
) -> Result<i64, LedgerError> {
    tx.prepare_cached(
        "INSERT INTO charge_receipts (payment_hash, charge_id, amount_msat, credited_msat, at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![hash, charge, amount, credited, now])?;
    Ok(tx.last_insert_rowid())
}

/// Whether this payment is in the books: for a charge, or for nobody.
pub(crate) fn is_booked(connection: &Connection, hash: PaymentHash) -> Result<bool, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM charge_receipts WHERE payment_hash = ?1)
                 OR EXISTS (SELECT 1 FROM unclaimed WHERE payment_hash = ?1)",
        )?
        .query_row([hash], |row| row.get(0))?)
}

pub(crate) fn has_receipts(connection: &Connection, charge: ChargeId) -> Result<bool, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM charge_receipts WHERE charge_id = ?1)")?
        .query_row([charge], |row| row.get(0))?)
}

/// What a paid charge has received grows.
pub(crate) fn add_received(tx: &Tx<'_>, charge: ChargeId, more: Msat) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE charges SET received_msat = received_msat + ?2 WHERE id = ?1 AND status = 'paid'",
        )?
        .execute(params![charge, more])?;
    if changed == 1 { Ok(()) } else { Err(LedgerError::Broken(format!("charge {charge} is not paid"))) }
}

/// Payments whose record the node may forget.
pub(crate) fn prunable(
    connection: &Connection,
    after: i64,
    before: UnixMillis,
    limit: usize,
) -> Result<Vec<(UnixMillis, i64, PaymentHash)>, LedgerError> {
    let sql =
        "SELECT at, id, payment_hash FROM charge_receipts WHERE id > ?1 AND at <= ?2 ORDER BY id LIMIT ?3";
    came(connection, sql, after, before, limit)
}
