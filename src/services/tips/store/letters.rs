//! Reminders that go out as letters.

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::ids::{UserId, VoucherId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::outbound::mail::Address;
use crate::services::tips::ids::Cuid;
use crate::services::tips::reminders::ReminderKind;
use crate::storage::Tx;

/// Reminders that one letter speaks of.
const IN_A_LETTER: i64 = 100;

/// What one letter is about.
pub(in crate::services::tips) struct Waiting {
    pub(in crate::services::tips) user: UserId,
    pub(in crate::services::tips) email: Address,
    pub(in crate::services::tips) reminders: Vec<LetterLine>,
}

/// One reminder of a letter.
pub(in crate::services::tips) struct LetterLine {
    pub(in crate::services::tips) tip: VoucherId,
    pub(in crate::services::tips) kind: String,
    pub(in crate::services::tips) tries: i64,
    pub(in crate::services::tips) public_id: Cuid,
    pub(in crate::services::tips) amount: Msat,
    pub(in crate::services::tips) expires_at: UnixMillis,
    /// Whether it is still claimed and not withdrawn.
    pub(in crate::services::tips) waits: bool,
}

/// Queues a letter to whoever claimed a tip, if their address is known.
pub(in crate::services::tips) fn queue_letter(
    tx: &Tx<'_>,
    id: VoucherId,
    kind: ReminderKind,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO tip_letters (tip_id, kind, user_id, due_at)
         SELECT t.id, ?2, w.id, ?3 FROM tips t JOIN tip_users w ON w.id = t.tippee_id
         WHERE t.id = ?1 AND w.email IS NOT NULL",
    )?
    .execute(params![id, kind.name(), now])?;
    Ok(())
}

/// Whoever has waited longest for a letter that is due, and all that it should speak of.
pub(in crate::services::tips) fn next_letter(
    connection: &Connection,
    now: UnixMillis,
) -> Result<Option<Waiting>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT l.user_id, w.email FROM tip_letters l JOIN tip_users w ON w.id = l.user_id
         WHERE l.due_at <= ?1 AND w.email IS NOT NULL ORDER BY l.due_at LIMIT 1",
    )?;
    let next = statement.query_row([now], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((user, email)) = next else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT l.tip_id, l.kind, l.tries, unseal(t.public_id), v.amount_msat, min(v.expires_at, t.expires_at),
             v.state = 'open' AND v.expires_at > ?2 AND t.expires_at > ?2
         FROM tip_letters l JOIN tips t ON t.id = l.tip_id JOIN vouchers v ON v.id = l.tip_id
         WHERE l.user_id = ?1 ORDER BY 6, l.tip_id, l.kind LIMIT ?3",
    )?;
    let reminders = statement.query_map(params![user, now, IN_A_LETTER], |row| {
        Ok(LetterLine {
            tip: row.get(0)?,
            kind: row.get(1)?,
            tries: row.get(2)?,
            public_id: row.get(3)?,
            amount: row.get(4)?,
            expires_at: row.get(5)?,
            waits: row.get(6)?,
        })
    })?;
    Ok(Some(Waiting { user, email, reminders: reminders.collect::<Result<_, _>>()? }))
}

pub(in crate::services::tips) fn forget_letter(tx: &Tx<'_>, line: &LetterLine) -> Result<(), LedgerError> {
    tx.prepare_cached("DELETE FROM tip_letters WHERE tip_id = ?1 AND kind = ?2")?
        .execute(params![line.tip, line.kind])?;
    Ok(())
}

pub(in crate::services::tips) fn put_off_letter(
    tx: &Tx<'_>,
    user: UserId,
    line: &LetterLine,
    until: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "UPDATE tip_letters SET due_at = ?4, tries = tries + 1
         WHERE tip_id = ?1 AND kind = ?2 AND user_id = ?3",
    )?
    .execute(params![line.tip, line.kind, user, until])?;
    Ok(())
}
