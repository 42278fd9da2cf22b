//! SQL of `charges`.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::{ChargeId, PaymentHash, Preimage};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::{Charge, ChargeStatus, Family, LedgerError, SettledBy};
use crate::storage::Tx;

/// How far lapsed invoices have been marked.
const EXPIRED_MARK: &str = "expire_charges";

const COLUMNS: &str = "id, payment_hash, family, amount_msat, invoice, status, created_at, expires_at, received_msat, settled_at, held_at";

fn read(row: &Row<'_>) -> rusqlite::Result<Charge> {
    let status: String = row.get(5)?;
    Ok(Charge {
        id: row.get(0)?,
        payment_hash: row.get(1)?,
        family: row.get(2)?,
        amount: row.get(3)?,
        invoice: row.get(4)?,
        status: status.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        created_at: row.get(6)?,
        expires_at: row.get(7)?,
        received: row.get(8)?,
        settled_at: row.get(9)?,
        held_at: row.get(10)?,
    })
}

/// A charge to write down.
pub(crate) struct NewCharge<'a> {
    pub(crate) hash: PaymentHash,
    pub(crate) family: Family,
    pub(crate) amount: Option<Msat>,
    pub(crate) invoice: &'a str,
    /// Of one that we claim ourselves.
    pub(crate) preimage: Option<Preimage>,
    pub(crate) expires_at: UnixMillis,
}

pub(crate) fn insert(tx: &Tx<'_>, new: &NewCharge<'_>, now: UnixMillis) -> Result<ChargeId, LedgerError> {
    tx.prepare_cached(
        "INSERT INTO charges (payment_hash, family, amount_msat, invoice, status, created_at, expires_at, preimage)
         VALUES (?1, ?2, ?3, ?4, 'unpaid', ?5, ?6, seal(?7))",
    )?
    .execute(params![new.hash, new.family, new.amount, new.invoice, now, new.expires_at, new.preimage])?;
    Ok(ChargeId(tx.last_insert_rowid()))
}

/// A row for money nobody asked for, so that it is counted once; `None` if it is there already.
pub(crate) fn insert_unclaimed(
    tx: &Tx<'_>,
    hash: PaymentHash,
    amount: Msat,
    now: UnixMillis,
) -> Result<Option<i64>, LedgerError> {
    let added = tx
        .prepare_cached(
            "INSERT OR IGNORE INTO unclaimed (payment_hash, amount_msat, at) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![hash, amount, now])?;
    Ok((added > 0).then(|| tx.last_insert_rowid()))
}

pub(crate) fn by_hash(connection: &Connection, hash: PaymentHash) -> Result<Option<Charge>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM charges WHERE payment_hash = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([hash], read).optional()?)
}

pub(crate) fn by_id(connection: &Connection, id: ChargeId) -> Result<Option<Charge>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM charges WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

pub(crate) fn settle(
    tx: &Tx<'_>,
    id: ChargeId,
    received: Msat,
    by: SettledBy,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE charges SET status = 'paid', received_msat = ?2, settled_by = ?3, settled_at = ?4
             WHERE id = ?1 AND status <> 'paid'",
        )?
        .execute(params![id, received, by.name(), now])?;
    if changed == 1 { Ok(()) } else { Err(LedgerError::Broken(format!("charge {id} was paid already"))) }
}

pub(crate) fn settled_by(connection: &Connection, id: ChargeId) -> Result<Option<SettledBy>, LedgerError> {
    let name: Option<String> = connection
        .prepare_cached("SELECT settled_by FROM charges WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    Ok(match name.as_deref() {
        Some("internal") => Some(SettledBy::Internal),
        Some(_) => Some(SettledBy::Lightning),
        None => None,
    })
}

pub(crate) fn paid_twice(connection: &Connection, id: ChargeId) -> Result<bool, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM journals WHERE kind = 'charge_paid_twice' AND subject = ?1)",
        )?
        .query_row([id], |row| row.get(0))?)
}

/// Goes on from where the last look ended, so that its cost is that of what is newly over and not of all
/// there ever was. Answers how many rows it looked at, paid ones among them.
pub(crate) fn expire(tx: &Tx<'_>, now: UnixMillis, limit: usize) -> Result<usize, LedgerError> {
    take_back_mark(tx, EXPIRED_MARK, now)?;
    let (at, id) = mark(tx, EXPIRED_MARK)?;
    let over = prunable(tx, (at, ChargeId(id)), now, limit)?;
    let Some((last_at, last, _)) = over.last() else { return Ok(0) };
    tx.prepare_cached(
        "UPDATE charges SET status = 'expired'
         WHERE (expires_at, id) > (?1, ?2) AND (expires_at, id) <= (?3, ?4) AND status = 'unpaid'
           AND held_at IS NULL",
    )?
    .execute(params![at, id, last_at, last])?;
    set_mark(tx, EXPIRED_MARK, *last_at, last.0)?;
    Ok(over.len())
}

/// Charges over since `after` and before `before`, oldest first: the node may forget their records.
pub(crate) fn prunable(
    connection: &Connection,
    after: (UnixMillis, ChargeId),
    before: UnixMillis,
    limit: usize,
) -> Result<Vec<(UnixMillis, ChargeId, PaymentHash)>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT expires_at, id, payment_hash FROM charges
         WHERE (expires_at, id) > (?1, ?2) AND expires_at <= ?3 ORDER BY expires_at, id LIMIT ?4",
    )?;
    let rows = statement
        .query_map(params![after.0, after.1, before, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A charge whose invoice is over.
pub(crate) struct Over {
    pub(crate) id: ChargeId,
    pub(crate) family: Family,
    pub(crate) status: ChargeStatus,
    pub(crate) expires_at: UnixMillis,
    pub(crate) is_held: bool,
}

/// As [`prunable`], with what decides whether they may be removed.
pub(crate) fn over(
    connection: &Connection,
    after: (UnixMillis, ChargeId),
    before: UnixMillis,
    limit: usize,
) -> Result<Vec<Over>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, family, status, expires_at, held_at IS NOT NULL FROM charges
         WHERE (expires_at, id) > (?1, ?2) AND expires_at <= ?3 ORDER BY expires_at, id LIMIT ?4",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![after.0, after.1, before, limit], |row| {
        let status: String = row.get(2)?;
        Ok(Over {
            id: row.get(0)?,
            family: row.get(1)?,
            status: status.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
            expires_at: row.get(3)?,
            is_held: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes a charge to which nothing refers.
pub(crate) fn delete(tx: &Tx<'_>, id: ChargeId) -> Result<(), LedgerError> {
    tx.prepare_cached("DELETE FROM charges WHERE id = ?1 AND status = 'expired'")?.execute([id])?;
    Ok(())
}

/// Where a background task stopped.
pub(crate) fn mark(connection: &Connection, name: &str) -> Result<(UnixMillis, i64), LedgerError> {
    let found = connection
        .prepare_cached("SELECT at, id FROM marks WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.unwrap_or((0, 0)))
}

/// Takes a mark back that a clock has left in the future: what comes until then would be passed over. What lies
/// between is looked at a second time, which changes nothing.
pub(crate) fn take_back_mark(tx: &Tx<'_>, name: &str, latest: UnixMillis) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE marks SET at = ?2, id = 0 WHERE name = ?1 AND at > ?2")?
        .execute(params![name, latest])?;
    Ok(())
}

/// Notes where a background task stopped.
pub(crate) fn set_mark(tx: &Tx<'_>, name: &str, at: UnixMillis, id: i64) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO marks (name, at, id) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET at = excluded.at, id = excluded.id",
    )?
    .execute(params![name, at, id])?;
    Ok(())
}
