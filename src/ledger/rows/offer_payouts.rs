//! SQL of payouts to BOLT12 offers. Every change of status names the statuses it may come from.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::{OfferPayoutId, PaymentHash};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::ledger::offer_payouts::{Ended, OfferPayout, Wanted};
use crate::storage::Tx;

const COLUMNS: &str = "id, public_id, family, offer, amount_msat, max_fee_msat, status, attempts, payment_id,
    payment_hash, doubtful, created_at, deadline, finished_at, preimage, fee_msat, error, failure_reported, next_try_at,
    granted_msat, source, routing_account_id";

fn read(row: &Row<'_>) -> rusqlite::Result<OfferPayout> {
    let status: String = row.get(6)?;
    Ok(OfferPayout {
        id: row.get(0)?,
        public_id: row.get(1)?,
        family: row.get(2)?,
        offer: row.get(3)?,
        amount: row.get(4)?,
        max_fee: row.get(5)?,
        status: status.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        attempts: row.get(7)?,
        payment_id: row.get(8)?,
        payment_hash: row.get(9)?,
        doubtful: row.get(10)?,
        created_at: row.get(11)?,
        deadline: row.get(12)?,
        finished_at: row.get(13)?,
        preimage: row.get(14)?,
        fee: row.get(15)?,
        error: row.get(16)?,
        failure_reported: row.get(17)?,
        next_try_at: row.get(18)?,
        granted: row.get(19)?,
        source: row.get(20)?,
        routing_account: row.get(21)?,
    })
}

pub(crate) fn insert(
    tx: &Tx<'_>,
    wanted: &Wanted<'_>,
    now: UnixMillis,
    deadline: UnixMillis,
) -> Result<OfferPayoutId, LedgerError> {
    tx.prepare_cached(
        "INSERT INTO offer_payouts (public_id, family, offer, amount_msat, max_fee_msat, status, created_at, deadline, next_try_at,
             source, routing_account_id)
         VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, ?6, ?8, ?9)",
    )?
    .execute(params![
        wanted.public_id,
        wanted.family,
        wanted.offer,
        wanted.amount,
        wanted.max_fee,
        now,
        deadline,
        wanted.source,
        wanted.routing_account,
    ])?;
    Ok(OfferPayoutId(tx.last_insert_rowid()))
}

fn one(
    connection: &Connection,
    which: &str,
    values: impl rusqlite::Params,
) -> Result<Option<OfferPayout>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM offer_payouts WHERE {which}");
    Ok(connection.prepare_cached(&sql)?.query_row(values, read).optional()?)
}

pub(crate) fn by_id(connection: &Connection, id: OfferPayoutId) -> Result<Option<OfferPayout>, LedgerError> {
    one(connection, "id = ?1", [id])
}

pub(crate) fn by_public_id(connection: &Connection, id: &str) -> Result<Option<OfferPayout>, LedgerError> {
    one(connection, "public_id = ?1", [id])
}

pub(crate) fn by_payment_id(
    connection: &Connection,
    id: [u8; 32],
) -> Result<Option<OfferPayout>, LedgerError> {
    one(connection, "payment_id = ?1", params![id])
}

/// The one that may have been sent and has no id, if there is exactly one.
pub(crate) fn nameless(connection: &Connection) -> Result<Option<OfferPayout>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM offer_payouts
         WHERE status NOT IN ('paid', 'failed') AND status IN ('dispatching', 'unknown') AND payment_id IS NULL LIMIT 2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query_map([], read)?.collect::<Result<Vec<_>, _>>()?;
    Ok(if found.len() == 1 { found.pop() } else { None })
}

/// What has not ended, oldest first.
pub(crate) fn open(connection: &Connection) -> Result<Vec<OfferPayout>, LedgerError> {
    let sql =
        format!("SELECT {COLUMNS} FROM offer_payouts WHERE status NOT IN ('paid', 'failed') ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map([], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Notes for whom one is made.
pub(crate) fn note_source(tx: &Tx<'_>, id: OfferPayoutId, source: &str) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE offer_payouts SET source = ?2 WHERE id = ?1")?.execute(params![id, source])?;
    Ok(())
}

/// The node is being asked, and routing may cost so much.
pub(crate) fn start(
    tx: &Tx<'_>,
    id: OfferPayoutId,
    granted: Msat,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE offer_payouts SET status = 'dispatching', attempts = attempts + 1, dispatched_at = ?2,
                 granted_msat = ?3
             WHERE id = ?1 AND status = 'queued'",
        )?
        .execute(params![id, now, granted])?;
    Ok(changed == 1)
}

/// The node took it. An event may have ended it already.
pub(crate) fn sent(tx: &Tx<'_>, id: OfferPayoutId, payment_id: [u8; 32]) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE offer_payouts SET payment_id = ?2, error = NULL,
             status = CASE WHEN status = 'dispatching' THEN 'in_flight' ELSE status END
         WHERE id = ?1 AND (payment_id IS NULL OR payment_id = ?2)",
    )?
    .execute(params![id, payment_id])?;
    Ok(())
}

pub(crate) fn note_payment_id(
    tx: &Tx<'_>,
    id: OfferPayoutId,
    payment_id: [u8; 32],
) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE offer_payouts SET payment_id = ?2 WHERE id = ?1 AND payment_id IS NULL")?
        .execute(params![id, payment_id])?;
    Ok(())
}

pub(crate) fn note_unknown(tx: &Tx<'_>, id: OfferPayoutId, why: &str) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE offer_payouts SET status = 'unknown', error = ?2
         WHERE id = ?1 AND status IN ('dispatching', 'in_flight', 'unknown')",
    )?
    .execute(params![id, why])?;
    Ok(())
}

/// The node said that it failed, which proves nothing yet.
pub(crate) fn note_failure_reported(
    tx: &Tx<'_>,
    id: OfferPayoutId,
    hash: Option<PaymentHash>,
    reason: &str,
    next_try_at: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE offer_payouts SET status = 'unknown', failure_reported = ?3, error = ?3, next_try_at = ?4,
             payment_hash = coalesce(?2, payment_hash)
         WHERE id = ?1 AND status NOT IN ('paid', 'failed')",
    )?
    .execute(params![id, hash, reason, next_try_at])?;
    Ok(())
}

/// Back in the queue: nothing was sent.
pub(crate) fn put_back(
    tx: &Tx<'_>,
    id: OfferPayoutId,
    next_try_at: UnixMillis,
    why: &str,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE offer_payouts SET status = 'queued', next_try_at = ?2, error = ?3
         WHERE id = ?1 AND status = 'dispatching'",
    )?
    .execute(params![id, next_try_at, why])?;
    Ok(())
}

pub(crate) fn finish_paid(
    tx: &Tx<'_>,
    id: OfferPayoutId,
    ended: &Ended,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE offer_payouts SET status = 'paid', payment_hash = ?2, preimage = ?3, fee_msat = ?4, finished_at = ?5,
                 error = NULL
             WHERE id = ?1 AND status <> 'paid'",
        )?
        .execute(params![id, ended.hash, ended.preimage, ended.fee, now])?;
    if changed == 1 {
        Ok(())
    } else {
        Err(LedgerError::Broken(format!("offer payout {id} was paid already")))
    }
}

pub(crate) fn finish_failed(
    tx: &Tx<'_>,
    id: OfferPayoutId,
    reason: &str,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE offer_payouts SET status = 'failed', error = ?2, finished_at = ?3
             WHERE id = ?1 AND status NOT IN ('paid', 'failed')",
        )?
        .execute(params![id, reason, now])?;
    if changed == 1 {
        Ok(())
    } else {
        Err(LedgerError::Broken(format!("offer payout {id} had ended already")))
    }
}

/// At start: whatever the node was being asked, or had, when we stopped, is not known any more.
pub(crate) fn mark_unknown(tx: &Tx<'_>) -> Result<usize, LedgerError> {
    Ok(tx
        .prepare_cached(
            "UPDATE offer_payouts SET status = 'unknown', doubtful = 1, error = 'the process stopped while it was under way'
             WHERE status NOT IN ('paid', 'failed') AND status IN ('dispatching', 'in_flight', 'unknown') AND doubtful = 0",
        )?
        .execute([])?)
}

/// An ended payout of which the node still has a record.
#[derive(Debug)]
pub(crate) struct EndedRow {
    pub(crate) id: OfferPayoutId,
    pub(crate) public_id: String,
    /// The node's id.
    pub(crate) payment_id: Option<[u8; 32]>,
}

/// Ended ones of which the node still has a record.
pub(crate) fn to_forget(
    connection: &Connection,
    before: UnixMillis,
    limit: usize,
) -> Result<Vec<EndedRow>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, public_id, payment_id FROM offer_payouts
         WHERE status IN ('paid', 'failed') AND forgotten = 0 AND finished_at < ?1 ORDER BY finished_at LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![before, limit], |row| {
        Ok(EndedRow { id: row.get(0)?, public_id: row.get(1)?, payment_id: row.get(2)? })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(crate) fn note_forgotten(tx: &Tx<'_>, id: OfferPayoutId) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE offer_payouts SET forgotten = 1 WHERE id = ?1")?.execute([id])?;
    Ok(())
}
