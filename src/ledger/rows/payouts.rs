//! SQL of `payouts`. Every change of status names the statuses it may come from.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::came;
use crate::core::ids::{AccountId, PaymentHash, PayoutId, Preimage};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::payouts::Order;
use crate::ledger::{LedgerError, Payout};
use crate::storage::Tx;

pub(super) const COLUMNS: &str =
    "id, public_id, family, payment_hash, unseal(invoice), amount_msat, max_fee_msat, status,
    attempts, created_at, deadline, dispatched_at, finished_at, preimage, fee_msat, error, failure_reported, routeless,
    granted_msat, left_msat, source, routing_account_id";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Payout> {
    let status: String = row.get(7)?;
    Ok(Payout {
        id: row.get(0)?,
        public_id: row.get(1)?,
        family: row.get(2)?,
        payment_hash: row.get(3)?,
        invoice: row.get(4)?,
        amount: row.get(5)?,
        max_fee: row.get(6)?,
        status: status.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        attempts: row.get(8)?,
        created_at: row.get(9)?,
        deadline: row.get(10)?,
        dispatched_at: row.get(11)?,
        finished_at: row.get(12)?,
        preimage: row.get(13)?,
        fee: row.get(14)?,
        error: row.get(15)?,
        failure_reported: row.get(16)?,
        routeless: row.get(17)?,
        granted: row.get(18)?,
        left: row.get(19)?,
        source: row.get(20)?,
        routing_account: row.get(21)?,
    })
}

pub(crate) fn insert(
    tx: &Tx<'_>,
    order: &Order<'_>,
    hash: PaymentHash,
    public_id: &str,
    now: UnixMillis,
    deadline: UnixMillis,
) -> Result<PayoutId, LedgerError> {
    tx.prepare_cached(
        "INSERT INTO payouts (public_id, family, payment_hash, invoice, amount_msat, max_fee_msat,
             status, created_at, deadline, next_try_at)
         VALUES (?1, ?2, ?3, seal(?4), ?5, ?6, 'queued', ?7, ?8, ?7)",
    )?
    .execute(params![
        public_id,
        order.family,
        hash,
        order.invoice.to_string(),
        order.amount,
        order.max_fee,
        now,
        deadline
    ])?;
    Ok(PayoutId(tx.last_insert_rowid()))
}

pub(crate) fn by_id(connection: &Connection, id: PayoutId) -> Result<Option<Payout>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM payouts WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

pub(crate) fn by_hash(connection: &Connection, hash: PaymentHash) -> Result<Option<Payout>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM payouts WHERE payment_hash = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([hash], read).optional()?)
}

pub(crate) fn by_public_id(connection: &Connection, public_id: &str) -> Result<Option<Payout>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM payouts WHERE public_id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([public_id], read).optional()?)
}

/// Queued ones whose time has come, oldest first: of amounts from `least` to `most` and not for `sources` (a JSON list),
/// and whatever is past its deadline.
pub(crate) fn due(
    connection: &Connection,
    now: UnixMillis,
    (least, most): (Msat, Msat),
    sources: &str,
    limit: usize,
) -> Result<Vec<Payout>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM payouts WHERE status = 'queued' AND next_try_at <= ?1
           AND (deadline <= ?1 OR (amount_msat BETWEEN ?3 AND ?4
             AND (source IS NULL OR source NOT IN (SELECT value FROM json_each(?5)))))
         ORDER BY next_try_at, id LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![now, limit, least, most, sources], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// All in one status, oldest first: for recovery, where there are few.
pub(crate) fn with_status(connection: &Connection, status: &str) -> Result<Vec<Payout>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM payouts WHERE status = ?1 AND status NOT IN ('paid', 'failed') ORDER BY id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map([status], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Queued ones that were never tried, the newest first, whether their time has come or not.
pub(crate) fn newest_untried(
    connection: &Connection,
    now: UnixMillis,
    limit: usize,
) -> Result<Vec<Payout>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM payouts
         WHERE status = 'queued' AND status NOT IN ('paid', 'failed') AND attempts = 0 AND deadline > ?1
         ORDER BY id DESC LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params![now, i64::try_from(limit).unwrap_or(i64::MAX)], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// For whom a payout is made: a client or an account, as [`crate::http::client::source`] names it.
pub(crate) fn note_source(tx: &Tx<'_>, id: PayoutId, source: &str) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payouts SET source = ?2 WHERE id = ?1 AND source IS NULL")?
        .execute(params![id, source])?;
    Ok(())
}

/// The account for whose payout the operator bears what routing costs.
pub(crate) fn note_routing_account(tx: &Tx<'_>, id: PayoutId, account: AccountId) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE payouts SET routing_account_id = ?2 WHERE id = ?1 AND routing_account_id IS NULL",
    )?
    .execute(params![id, account])?;
    Ok(())
}

/// A queued payout waits longer: nothing was tried.
pub(crate) fn put_off(
    tx: &Tx<'_>,
    id: PayoutId,
    next_try_at: UnixMillis,
    why: &str,
) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE payouts SET next_try_at = ?2, error = ?3 WHERE id = ?1 AND status = 'queued'")?
        .execute(params![id, next_try_at, why])?;
    Ok(())
}

pub(crate) fn start_dispatch(
    tx: &Tx<'_>,
    id: PayoutId,
    granted: Msat,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE payouts SET status = 'dispatching', attempts = attempts + 1,
                 dispatched_at = coalesce(dispatched_at, ?2), granted_msat = ?3
             WHERE id = ?1 AND status = 'queued'",
        )?
        .execute(params![id, now, granted])?;
    Ok(changed == 1)
}

pub(crate) fn note_in_flight(tx: &Tx<'_>, id: PayoutId) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE payouts SET status = 'in_flight'
         WHERE id = ?1 AND status IN ('dispatching', 'unknown') AND failure_reported IS NULL",
    )?
    .execute([id])?;
    Ok(())
}

pub(crate) fn note_unknown(tx: &Tx<'_>, id: PayoutId, why: &str) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE payouts SET status = 'unknown', error = ?2 WHERE id = ?1 AND status IN ('dispatching', 'in_flight')",
    )?
    .execute(params![id, why])?;
    Ok(())
}

/// The node reported a failure that proves nothing yet.
pub(crate) fn note_failure_reported(tx: &Tx<'_>, id: PayoutId, reason: &str) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE payouts SET status = 'unknown', failure_reported = ?2, error = ?2
         WHERE id = ?1 AND status NOT IN ('paid', 'failed')",
    )?
    .execute(params![id, reason])?;
    Ok(())
}

/// Back in the queue: what the node was asked to send it never sent.
pub(crate) fn queue_again(tx: &Tx<'_>, id: PayoutId, now: UnixMillis) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE payouts SET status = 'queued', next_try_at = ?2
         WHERE id = ?1 AND status = 'unknown' AND failure_reported IS NULL",
    )?
    .execute(params![id, now])?;
    Ok(())
}

/// Back in the queue: nothing was sent. `counts` says whether the try is held against it.
pub(crate) fn put_back(
    tx: &Tx<'_>,
    id: PayoutId,
    next_try_at: UnixMillis,
    counts: bool,
    why: &str,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE payouts SET status = 'queued', next_try_at = ?2, routeless = routeless + ?3, error = ?4
         WHERE id = ?1 AND status = 'dispatching'",
    )?
    .execute(params![id, next_try_at, i64::from(counts), why])?;
    Ok(())
}

pub(crate) fn finish_paid(
    tx: &Tx<'_>,
    id: PayoutId,
    preimage: Option<Preimage>,
    fee: Msat,
    left: Option<Msat>,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE payouts SET status = 'paid', preimage = ?2, fee_msat = ?3, left_msat = ?4, finished_at = ?5,
                 error = NULL
             WHERE id = ?1 AND status <> 'paid'",
        )?
        .execute(params![id, preimage, fee, left, now])?;
    if changed == 1 { Ok(()) } else { Err(LedgerError::Broken(format!("payout {id} was paid already"))) }
}

pub(crate) fn finish_failed(
    tx: &Tx<'_>,
    id: PayoutId,
    reason: &str,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached(
            "UPDATE payouts SET status = 'failed', error = ?2, finished_at = ?3
             WHERE id = ?1 AND status NOT IN ('paid', 'failed')",
        )?
        .execute(params![id, reason, now])?;
    if changed == 1 { Ok(()) } else { Err(LedgerError::Broken(format!("payout {id} had ended already"))) }
}

/// At start: whatever the node was being asked, or had, when we stopped, is not known any more.
pub(crate) fn mark_all_unknown(tx: &Tx<'_>) -> Result<usize, LedgerError> {
    Ok(tx
        .prepare_cached(
            "UPDATE payouts SET status = 'unknown', error = 'the process stopped while it was under way'
             WHERE status NOT IN ('paid', 'failed') AND status IN ('dispatching', 'in_flight')",
        )?
        .execute([])?)
}

/// Ended ones whose record the node may forget, from where the last look ended.
pub(crate) fn prunable(
    connection: &Connection,
    after: (UnixMillis, PayoutId),
    before: UnixMillis,
    limit: usize,
) -> Result<Vec<(UnixMillis, PayoutId, PaymentHash)>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT finished_at, id, payment_hash FROM payouts
         WHERE status IN ('paid', 'failed') AND (finished_at, id) > (?1, ?2) AND finished_at <= ?3
         ORDER BY finished_at, id LIMIT ?4",
    )?;
    let rows = statement
        .query_map(params![after.0, after.1, before, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Adds one to a number that survives restarts.
pub(crate) fn count_event(tx: &Tx<'_>, name: &str) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO counters (name, value) VALUES (?1, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
    )?
    .execute([name])?;
    Ok(())
}

/// All numbers that survive restarts.
pub(crate) fn counters(connection: &Connection) -> Result<Vec<(String, i64)>, LedgerError> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM counters ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps an event that could not be applied.
pub(crate) fn quarantine(tx: &Tx<'_>, event: &str, error: &str, now: UnixMillis) -> Result<(), LedgerError> {
    tx.prepare_cached("INSERT INTO quarantine (at, event, error) VALUES (?1, ?2, ?3)")?
        .execute(params![now, event, error])?;
    Ok(())
}

/// Money for unknown hashes whose record the node may forget.
pub(crate) fn prunable_unclaimed(
    connection: &Connection,
    after: i64,
    before: UnixMillis,
    limit: usize,
) -> Result<Vec<(UnixMillis, i64, PaymentHash)>, LedgerError> {
    let sql = "SELECT at, id, payment_hash FROM unclaimed WHERE id > ?1 AND at <= ?2 ORDER BY id LIMIT ?3";
    came(connection, sql, after, before, limit)
}
