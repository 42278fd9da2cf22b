//! What goes back to buyers.

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::ids::PayoutId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::services::shop::ids::OrderId;
use crate::storage::Tx;

/// A refund.
#[derive(Clone, Copy, Debug)]
pub(in crate::services::shop) struct Refund {
    pub(in crate::services::shop) id: i64,
    pub(in crate::services::shop) order: OrderId,
    pub(in crate::services::shop) amount: Msat,
}

pub(in crate::services::shop) fn insert(
    tx: &Tx<'_>,
    order: OrderId,
    payout: PayoutId,
    amount: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.execute(
        "INSERT INTO shop_refunds (order_id, payout_id, msat, status, created_at) VALUES (?1, ?2, ?3, 'pending', ?4)",
        params![order, payout, amount, now],
    )?;
    Ok(())
}

pub(in crate::services::shop) fn by_payout(
    connection: &Connection,
    payout: PayoutId,
) -> Result<Option<Refund>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT id, order_id, msat FROM shop_refunds WHERE payout_id = ?1")?
        .query_row([payout], |row| Ok(Refund { id: row.get(0)?, order: row.get(1)?, amount: row.get(2)? }))
        .optional()?)
}

/// Why the newest refund of an order failed, if it did.
pub(in crate::services::shop) fn last_error(
    connection: &Connection,
    order: OrderId,
) -> Result<Option<String>, LedgerError> {
    let found: Option<Option<String>> = connection
        .prepare_cached(
            "SELECT error FROM shop_refunds WHERE order_id = ?1 AND status = 'failed' ORDER BY id DESC LIMIT 1",
        )?
        .query_row([order], |row| row.get(0))
        .optional()?;
    Ok(found.flatten())
}

pub(in crate::services::shop) fn completed(
    tx: &Tx<'_>,
    id: i64,
    uncovered: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.execute(
        "UPDATE shop_refunds SET status = 'completed', uncovered_msat = ?2, finished_at = ?3 WHERE id = ?1",
        params![id, uncovered, now],
    )?;
    Ok(())
}

pub(in crate::services::shop) fn failed(
    tx: &Tx<'_>,
    id: i64,
    error: Option<&str>,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.execute(
        "UPDATE shop_refunds SET status = 'failed', error = ?2, finished_at = ?3 WHERE id = ?1",
        params![id, error, now],
    )?;
    Ok(())
}

/// Whether a refund of an order has arrived.
pub(in crate::services::shop) fn is_completed(tx: &Tx<'_>, order: OrderId) -> Result<bool, LedgerError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM shop_refunds WHERE order_id = ?1 AND status = 'completed')";
    Ok(tx.prepare_cached(sql)?.query_row([order], |row| row.get(0))?)
}
