//! The SQL of logins by letter.

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::{
    CODE_TRIES, DAY_MS, HOUR_MS, LASTS_MS, OF_A_NETWORK, PER_DAY, PER_DAY_OF_ALL, PER_DAY_WITH_NEW_REGIONS,
    PER_HOUR,
};
use crate::core::ids::UserId;
use crate::core::time::UnixMillis;
use crate::http::client::is_of_one_region;
use crate::outbound::mail::Address;
use crate::services::tips::ids::Cuid;
use crate::storage::{StoreError, Tx};

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
    /// Who asks, as payouts name their source; empty: the process itself.
    pub(super) network: String,
}

/// A login under way.
pub(super) struct Login {
    pub(super) link: [u8; 32],
    pub(super) code: [u8; 32],
    pub(super) email: Address,
    pub(super) user: Option<UserId>,
    pub(super) tip: Option<Cuid>,
}

pub(super) fn insert(tx: &Tx<'_>, new: &NewLogin, asker: Asker, now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO tip_mail_logins (link, browser, code, email, mailbox, user_id, tip, created_at,
             network, known)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, seal(?7), ?8, ?9, ?10)",
    )?
    .execute(params![
        new.link,
        new.browser,
        new.code,
        new.email,
        new.email.mailbox(),
        new.user,
        new.tip,
        now,
        new.network,
        asker != Asker::Anybody,
    ])?;
    Ok(())
}

/// Who asks for a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Nothing shows that the address is theirs.
    Anybody,
    /// A browser that has asked for a letter to it before, and still has the cookie.
    Before,
    /// Its owner, logged in.
    Owner,
}

/// Whether a browser has asked for a letter to this mailbox of late.
pub(super) fn asked_before(
    connection: &Connection,
    browser: [u8; 32],
    email: &Address,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM tip_mail_logins WHERE browser = ?1 AND created_at > ?2 AND mailbox = ?3)",
    )?;
    let given = params![browser, now.saturating_sub(LASTS_MS), email.mailbox()];
    Ok(statement.query_row(given, |row| row.get(0))?)
}

/// Milliseconds until another letter may go to this address; `None` for now. Asked before it is written down.
pub(super) fn wait(
    connection: &Connection,
    new: &NewLogin,
    asker: Asker,
    per_hour: u32,
    now: UnixMillis,
) -> Result<Option<i64>, StoreError> {
    let (mailbox, network) = (new.email.mailbox(), new.network.as_str());
    // The letter that must grow old before the next may go: one row, if there are that many in the span.
    let to_it = "mailbox = ?3 AND network = ?4 AND created_at > ?1";
    let to_it_of_all = "mailbox = ?3 AND known = 0 AND created_at > ?1";
    let mut longest = None;
    let mut add = |which: &str, most: u32, span: i64, of: &[&dyn ToSql]| -> Result<(), StoreError> {
        let (since, skipped) = (now.saturating_sub(span), most.saturating_sub(1));
        let mut given: Vec<&dyn ToSql> = vec![&since, &skipped];
        given.extend(of);
        let sql = format!(
            "SELECT created_at FROM tip_mail_logins WHERE {which} ORDER BY created_at DESC LIMIT 1 OFFSET ?2"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let at: Option<UnixMillis> = statement.query_row(given.as_slice(), |row| row.get(0)).optional()?;
        longest = longest.max(at.map(|at| at.saturating_add(span).saturating_sub(now)));
        Ok(())
    };
    if asker != Asker::Owner {
        add(to_it, PER_HOUR, HOUR_MS, &[&mailbox, &network])?;
        add(to_it, PER_DAY, DAY_MS, &[&mailbox, &network])?;
    }
    // Who has to do with the address is not counted here, so that nobody else uses up what they have: its owner, and a
    // browser that has asked before, which its network's part still binds.
    if asker == Asker::Anybody {
        let most = match region_asked(connection, &mailbox, network, now)? {
            true => PER_DAY_OF_ALL,
            false => PER_DAY_WITH_NEW_REGIONS,
        };
        add(to_it_of_all, most, DAY_MS, &[&mailbox])?;
    }
    if !network.is_empty() {
        let most = (per_hour / OF_A_NETWORK).max(PER_DAY);
        add("network = ?3 AND created_at > ?1", most, HOUR_MS, &[&network])?;
    }
    add("created_at > ?1", per_hour, HOUR_MS, &[])?;
    Ok(longest)
}

/// Whether anybody of this network's region asked for a letter to this mailbox in the last day. There are no more
/// networks than letters.
fn region_asked(
    connection: &Connection,
    mailbox: &str,
    network: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT network FROM tip_mail_logins WHERE mailbox = ?1 AND created_at > ?2",
    )?;
    let mut rows = statement.query(params![mailbox, now.saturating_sub(DAY_MS)])?;
    while let Some(row) = rows.next()? {
        if is_of_one_region(row.get_ref(0)?.as_str().unwrap_or_default(), network) {
            return Ok(true);
        }
    }
    Ok(false)
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
        "SELECT link, code, email, user_id, unseal(tip) FROM tip_mail_logins
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
        "SELECT link, code, email, user_id, unseal(tip) FROM
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
