//! The SQL of logins by letter.

use rusqlite::{Connection, OptionalExtension, params};

use super::{CODE_TRIES, DAY_MS, HOUR_MS, LASTS_MS, PER_DAY, PER_HOUR};
use crate::clock::UnixMillis;
use crate::ids::UserId;
use crate::mail::Address;
use crate::store::{StoreError, Tx};
use crate::tips::ids::Cuid;

/// Rows pruned in one transaction, so that no commit becomes long.
const PRUNED_AT_ONCE: i64 = 500;

/// A login that begins.
pub(super) struct NewLogin {
    pub(super) link: [u8; 32],
    pub(super) browser: [u8; 32],
    pub(super) code: [u8; 32],
    pub(super) email: Address,
    pub(super) user: Option<UserId>,
    pub(super) tip: Option<Cuid>,
}

/// A login under way.
pub(super) struct Login {
    pub(super) link: [u8; 32],
    pub(super) code: [u8; 32],
    pub(super) email: Address,
    pub(super) user: Option<UserId>,
    pub(super) tip: Option<Cuid>,
}

pub(super) fn insert(tx: &Tx<'_>, new: &NewLogin, now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO tip_mail_logins (link, browser, code, email, mailbox, user_id, tip, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        new.link,
        new.browser,
        new.code,
        new.email,
        new.email.mailbox(),
        new.user,
        new.tip,
        now
    ])?;
    Ok(())
}

/// Milliseconds until another letter may go to this address; `None` for now.
pub(super) fn wait(
    connection: &Connection,
    email: &Address,
    per_hour: u32,
    now: UnixMillis,
) -> Result<Option<i64>, StoreError> {
    // The letter that must grow old before the next may go: one row, if there are that many in the span.
    let mailbox = email.mailbox();
    let mut to_it = connection.prepare_cached(
        "SELECT created_at FROM tip_mail_logins WHERE mailbox = ?1 AND created_at > ?2
         ORDER BY created_at DESC LIMIT 1 OFFSET ?3",
    )?;
    let mut to_all = connection.prepare_cached(
        "SELECT created_at FROM tip_mail_logins WHERE created_at > ?1
         ORDER BY created_at DESC LIMIT 1 OFFSET ?2",
    )?;
    let mut longest = None;
    for (most, span) in [(PER_HOUR, HOUR_MS), (PER_DAY, DAY_MS)] {
        let given = params![mailbox, now.saturating_sub(span), most.saturating_sub(1)];
        let at: Option<UnixMillis> = to_it.query_row(given, |row| row.get(0)).optional()?;
        longest = longest.max(at.map(|at| at.saturating_add(span).saturating_sub(now)));
    }
    let given = params![now.saturating_sub(HOUR_MS), per_hour.saturating_sub(1)];
    let at: Option<UnixMillis> = to_all.query_row(given, |row| row.get(0)).optional()?;
    Ok(longest.max(at.map(|at| at.saturating_add(HOUR_MS).saturating_sub(now))))
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Login> {
    Ok(Login {
        link: row.get(0)?,
        code: row.get(1)?,
        email: row.get(2)?,
        user: row.get(3)?,
        tip: row.get(4)?,
    })
}

/// This browser's login of this link, if it is neither over nor used.
pub(super) fn by_link(
    connection: &Connection,
    link: [u8; 32],
    browser: [u8; 32],
    now: UnixMillis,
) -> Result<Option<Login>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT link, code, email, user_id, tip FROM tip_mail_logins
         WHERE link = ?1 AND browser = ?2 AND created_at > ?3 AND used = 0",
    )?;
    Ok(statement.query_row(params![link, browser, now.saturating_sub(LASTS_MS)], read).optional()?)
}

/// This browser's newest login, if it is neither over nor used and takes codes still.
pub(super) fn newest(
    connection: &Connection,
    browser: [u8; 32],
    now: UnixMillis,
) -> Result<Option<Login>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT link, code, email, user_id, tip FROM
             (SELECT * FROM tip_mail_logins WHERE browser = ?1 AND created_at > ?2
              ORDER BY created_at DESC LIMIT 1)
         WHERE used = 0 AND tries < ?3",
    )?;
    let given = params![browser, now.saturating_sub(LASTS_MS), CODE_TRIES];
    Ok(statement.query_row(given, read).optional()?)
}

pub(super) fn note_wrong_code(tx: &Tx<'_>, link: [u8; 32]) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE tip_mail_logins SET tries = tries + 1 WHERE link = ?1")?.execute([link])?;
    Ok(())
}

pub(super) fn note_used(tx: &Tx<'_>, link: [u8; 32]) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE tip_mail_logins SET used = 1 WHERE link = ?1")?.execute([link])?;
    Ok(())
}

/// Removes some that need not be counted any more; `true` if there may be more.
pub(super) fn prune(tx: &Tx<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let gone = tx
        .prepare_cached(
            "DELETE FROM tip_mail_logins WHERE link IN
                 (SELECT link FROM tip_mail_logins WHERE created_at <= ?1 ORDER BY created_at LIMIT ?2)",
        )?
        .execute(params![now.saturating_sub(DAY_MS), PRUNED_AT_ONCE])?;
    Ok(i64::try_from(gone).is_ok_and(|gone| gone >= PRUNED_AT_ONCE))
}
