//! LNURL-withdraw codes: each for a fixed set of tips.

use rusqlite::{Connection, OptionalExtension, params};

use crate::core::ids::{UserId, VoucherId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::storage::{StoreError, Tx};

/// What names a code.
pub(in crate::services::tips) type LinkKey = [u8; 16];

/// Codes removed in one transaction.
const PRUNE: i64 = 500;

/// A code.
#[derive(Clone)]
pub(in crate::services::tips) struct Link {
    /// Whose: nobody's is for whoever has it.
    pub(in crate::services::tips) user: Option<UserId>,
    /// `tippee`, `tipper` or `anonymous`.
    pub(in crate::services::tips) flow: String,
    /// What its tips held together when it was made.
    pub(in crate::services::tips) amount: Msat,
    /// Its tips.
    pub(in crate::services::tips) tips: Vec<VoucherId>,
}

pub(in crate::services::tips) fn insert_link(
    tx: &Tx<'_>,
    key: LinkKey,
    link: &Link,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO tip_links (id, user_id, flow, amount_msat, created_at) VALUES (seal(?1), ?2, ?3, ?4, ?5)",
    )?
    .execute(params![key, link.user, link.flow, link.amount, now])?;
    for tip in &link.tips {
        tx.prepare_cached("INSERT INTO tip_link_tips (link_id, tip_id) VALUES (seal(?1), ?2)")?
            .execute(params![key, tip])?;
    }
    Ok(())
}

pub(in crate::services::tips) fn link(
    connection: &Connection,
    key: LinkKey,
) -> Result<Option<Link>, LedgerError> {
    let found = connection
        .prepare_cached("SELECT user_id, flow, amount_msat FROM tip_links WHERE id = seal(?1)")?
        .query_row([key], |row| {
            Ok(Link { user: row.get(0)?, flow: row.get(1)?, amount: row.get(2)?, tips: Vec::new() })
        })
        .optional()?;
    let Some(link) = found else { return Ok(None) };
    Ok(Some(Link { tips: tips_of(connection, key)?, ..link }))
}

fn tips_of(connection: &Connection, key: LinkKey) -> Result<Vec<VoucherId>, LedgerError> {
    let mut statement = connection
        .prepare_cached("SELECT tip_id FROM tip_link_tips WHERE link_id = seal(?1) ORDER BY tip_id")?;
    let found = statement.query_map([key], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// An earlier code for just these tips: of this user since a moment, or for whoever has it at any time.
pub(in crate::services::tips) fn same_link(
    connection: &Connection,
    wanted: &Link,
    since: UnixMillis,
) -> Result<Option<LinkKey>, LedgerError> {
    let Some(first) = wanted.tips.iter().min() else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT unseal(l.id) FROM tip_link_tips x JOIN tip_links l ON l.id = x.link_id
         WHERE x.tip_id = ?1 AND l.user_id IS ?2 AND l.flow = ?3 AND l.amount_msat = ?4 AND l.created_at >= ?5
         ORDER BY l.created_at DESC LIMIT 20",
    )?;
    let since = if wanted.user.is_some() { since } else { 0 };
    let found = statement
        .query_map(params![first, wanted.user, wanted.flow, wanted.amount, since], |row| row.get(0))?;
    let mut sorted = wanted.tips.clone();
    sorted.sort_unstable();
    for key in found {
        let key: LinkKey = key?;
        if tips_of(connection, key)? == sorted {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Removes some codes of users that are older than `before`; `true` if there may be more. A payout that one of
/// them began goes on without it.
pub(in crate::services::tips) fn prune_links(tx: &Tx<'_>, before: UnixMillis) -> Result<bool, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT unseal(id) FROM tip_links WHERE user_id IS NOT NULL AND created_at <= ?1 ORDER BY created_at LIMIT ?2",
    )?;
    let keys: Vec<LinkKey> =
        statement.query_map(params![before, PRUNE], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for key in &keys {
        tx.prepare_cached("DELETE FROM tip_link_tips WHERE link_id = seal(?1)")?.execute([key])?;
        tx.prepare_cached("DELETE FROM tip_links WHERE id = seal(?1)")?.execute([key])?;
    }
    Ok(!keys.is_empty())
}
