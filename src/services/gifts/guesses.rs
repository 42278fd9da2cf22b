//! The SQL of wrong codes. Rows of whoever has not guessed for a day go with the next wrong guess of anybody.

use rusqlite::{Connection, OptionalExtension, params};

use super::lock::{Guesses, OwnGuesses, day_of, forgotten_before, late_since};
use crate::core::ids::VoucherId;
use crate::core::time::UnixMillis;
use crate::http::client::is_of_one_region;
use crate::ledger::LedgerError;
use crate::storage::Tx;

/// Old rows that one wrong guess removes: more than it makes.
const PRUNED: i64 = 20;

/// A wrong guess as it is kept.
pub(super) struct Wrong {
    pub(super) wrong: u32,
    pub(super) locked_until: Option<UnixMillis>,
    pub(super) late: bool,
}

/// What is needed to judge a guess of this network's at a gift.
pub(super) fn of(
    connection: &Connection,
    id: VoucherId,
    network: &str,
    now: UnixMillis,
) -> Result<Guesses, LedgerError> {
    let code = connection
        .prepare_cached("SELECT unseal(sealed_code, id) FROM gifts WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    let own = connection
        .prepare_cached(
            "SELECT wrong, locked_until, last_at FROM gift_guesses
             WHERE gift_id = ?1 AND network = ?2 AND last_at > ?3",
        )?
        .query_row(params![id, network, forgotten_before(now)], |row| {
            Ok(OwnGuesses { wrong: row.get(0)?, locked_until: row.get(1)?, last_at: row.get(2)? })
        })
        .optional()?;
    let (of_day, late, first_late_at) = connection
        .prepare_cached(
            "SELECT coalesce(sum(CASE WHEN day = ?2 THEN of_day END), 0),
                    count(CASE WHEN late_at > ?3 THEN 1 END), min(CASE WHEN late_at > ?3 THEN late_at END)
             FROM gift_guesses WHERE gift_id = ?1",
        )?
        .query_row(params![id, day_of(now), late_since(now)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let region_guessed = late > 0 && region_guessed(connection, id, network, now)?;
    Ok(Guesses { code, own, of_day, late, first_late_at, region_guessed })
}

/// Whether anybody of this network's region guessed in the last day. Looks at one row for each network that did.
fn region_guessed(
    connection: &Connection,
    id: VoucherId,
    network: &str,
    now: UnixMillis,
) -> Result<bool, LedgerError> {
    let mut statement =
        connection.prepare_cached("SELECT network FROM gift_guesses WHERE gift_id = ?1 AND last_at > ?2")?;
    let mut rows = statement.query(params![id, forgotten_before(now)])?;
    while let Some(row) = rows.next()? {
        if is_of_one_region(row.get_ref(0)?.as_str().unwrap_or_default(), network) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keeps a wrong guess.
pub(super) fn note(
    tx: &Tx<'_>,
    id: VoucherId,
    network: &str,
    wrong: &Wrong,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO gift_guesses (gift_id, network, wrong, locked_until, day, of_day, last_at, late_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7)
         ON CONFLICT (gift_id, network) DO UPDATE SET
             of_day = CASE WHEN day = excluded.day THEN of_day + 1 ELSE 1 END,
             wrong = excluded.wrong, locked_until = excluded.locked_until, day = excluded.day,
             last_at = excluded.last_at, late_at = excluded.late_at",
    )?
    .execute(params![
        id,
        network,
        wrong.wrong,
        wrong.locked_until,
        day_of(now),
        now,
        wrong.late.then_some(now)
    ])?;
    if let Some(until) = wrong.locked_until {
        // For the sender to see.
        tx.prepare_cached("UPDATE gifts SET code_locked_until = ?2 WHERE id = ?1")?
            .execute(params![id, until])?;
    }
    tx.prepare_cached(
        "DELETE FROM gift_guesses WHERE (gift_id, network) IN
             (SELECT gift_id, network FROM gift_guesses WHERE last_at <= ?1 ORDER BY last_at LIMIT ?2)",
    )?
    .execute(params![forgotten_before(now), PRUNED])?;
    Ok(())
}
