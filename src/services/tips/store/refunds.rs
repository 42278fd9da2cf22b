//! Whose reclaimed sats go back by themselves, and when that is tried next.
//!
//! `refund_try_at` is 0 while nothing is to be done; who has no address is never tried.

use rusqlite::{Connection, params};

use crate::core::ids::UserId;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::services::tips::ids::Cuid;
use crate::storage::Tx;

/// The first pause after a failure; each is twice as long as the one before.
const FIRST_PAUSE_MS: i64 = 60_000;

/// Doublings of the pause at most: a little more than a day.
const MOST_DOUBLINGS: i64 = 11;

/// Something came back to a tipper.
pub(in crate::services::tips) fn want_refund(
    tx: &Tx<'_>,
    user: UserId,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE tip_users SET refund_try_at = ?2
         WHERE id = ?1 AND refund_try_at = 0 AND lightning_address IS NOT NULL",
    )?
    .execute(params![user, now])?;
    Ok(())
}

/// A try begins: the next one is due later, in case this one ends without a word. Answers when.
pub(in crate::services::tips) fn put_off_refund(
    tx: &Tx<'_>,
    user: UserId,
    now: UnixMillis,
) -> Result<UnixMillis, LedgerError> {
    Ok(tx
        .prepare_cached(
            "UPDATE tip_users SET refund_tries = refund_tries + 1,
                 refund_try_at = ?2 + (?3 << min(refund_tries, ?4))
             WHERE id = ?1 RETURNING refund_try_at",
        )?
        .query_row(params![user, now, FIRST_PAUSE_MS, MOST_DOUBLINGS], |row| row.get(0))?)
}

/// The payout of a try failed, or one that the tipper began themselves. It was counted when it began; and it is
/// told of for each of its tips, so often is like once.
pub(in crate::services::tips) fn refund_failed(
    tx: &Tx<'_>,
    user: UserId,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE tip_users SET
             refund_try_at = max(refund_try_at, ?2 + (?3 << min(max(refund_tries - 1, 0), ?4)))
         WHERE id = ?1 AND lightning_address IS NOT NULL",
    )?
    .execute(params![user, now, FIRST_PAUSE_MS, MOST_DOUBLINGS])?;
    Ok(())
}

/// Tries since a tipper's refund last arrived.
pub(in crate::services::tips) fn refund_tries(
    connection: &Connection,
    user: UserId,
) -> Result<u32, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT refund_tries FROM tip_users WHERE id = ?1")?
        .query_row([user], |row| row.get(0))?)
}

/// Where a tipper's sats go, as it is now.
pub(in crate::services::tips) fn refund_address(
    connection: &Connection,
    user: UserId,
) -> Result<Option<String>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT lightning_address FROM tip_users WHERE id = ?1")?
        .query_row([user], |row| row.get(0))?)
}

/// The try that was put off till `until` is under way, or there is nothing to give back. Another one that failed
/// meanwhile keeps its pause.
pub(in crate::services::tips) fn refund_begun(
    tx: &Tx<'_>,
    user: UserId,
    until: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE tip_users SET refund_try_at = 0 WHERE id = ?1 AND refund_try_at <= ?2")?
        .execute(params![user, until])?;
    Ok(())
}

/// A try is under way, and there was more to give back than one payout carries.
pub(in crate::services::tips) fn want_refund_of_rest(
    tx: &Tx<'_>,
    user: UserId,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    let more: bool = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM tips t JOIN vouchers v ON v.id = t.id
             WHERE t.user_id = ?1 AND v.state = 'expired')",
        )?
        .query_row([user], |row| row.get(0))?;
    if more { want_refund(tx, user, now) } else { Ok(()) }
}

/// A try arrived; told for each of its tips. What was tried in smaller parts after failures grows again.
pub(in crate::services::tips) fn refunded(tx: &Tx<'_>, user: UserId) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE tip_users SET refund_tries = max(refund_tries - 2, 0) WHERE id = ?1")?
        .execute([user])?;
    Ok(())
}

/// Tippers whose turn it is.
pub(in crate::services::tips) fn refunds_due(
    connection: &Connection,
    now: UnixMillis,
    limit: i64,
) -> Result<Vec<UserId>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM tip_users
         WHERE refund_try_at > 0 AND refund_try_at <= ?1 AND lightning_address IS NOT NULL
         ORDER BY refund_try_at LIMIT ?2",
    )?;
    let found = statement.query_map(params![now, limit], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A tipper who has something to get back.
pub(in crate::services::tips) struct Refundable {
    pub(in crate::services::tips) id: UserId,
    pub(in crate::services::tips) public_id: Cuid,
    pub(in crate::services::tips) name: Option<String>,
    pub(in crate::services::tips) lightning_address: Option<String>,
}

/// Tippers who have something to get back, by row, after this one; with `address`, only those who have told where to or
/// only those who have not.
pub(in crate::services::tips) fn refundable(
    connection: &Connection,
    address: Option<bool>,
    after: UserId,
    limit: usize,
) -> Result<Vec<Refundable>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT u.id, u.public_id, u.name, u.lightning_address FROM tip_users u
         WHERE u.id > ?2 AND (?1 IS NULL OR (u.lightning_address IS NOT NULL) = ?1)
           AND EXISTS (SELECT 1 FROM tips t JOIN vouchers v ON v.id = t.id
                       WHERE t.user_id = u.id AND v.state = 'expired')
         ORDER BY u.id LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![address, after, limit], |row| {
        Ok(Refundable {
            id: row.get(0)?,
            public_id: row.get(1)?,
            name: row.get(2)?,
            lightning_address: row.get(3)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}
