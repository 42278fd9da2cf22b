//! The rows of what agents offer.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{list_of, list_text};
use crate::core::ids::AccountId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::services::agents::ids::{EventId, Pubkey};
use crate::storage::Tx;

/// A capability.
#[derive(Clone, Debug)]
pub(in super::super) struct Capability {
    /// Row id; 0 before it is written.
    pub(in super::super) id: i64,
    pub(in super::super) account: AccountId,
    pub(in super::super) agent: Option<i64>,
    pub(in super::super) service_id: String,
    pub(in super::super) content: String,
    pub(in super::super) categories: Vec<String>,
    pub(in super::super) hashtags: Vec<String>,
    pub(in super::super) price_sat: u64,
    pub(in super::super) endpoint: Option<String>,
    pub(in super::super) proxy_id: Option<String>,
    pub(in super::super) d_tag: String,
    pub(in super::super) event_id: EventId,
    pub(in super::super) latest_event_id: EventId,
    pub(in super::super) event_at: i64,
    pub(in super::super) listed: bool,
    pub(in super::super) removed_at: Option<UnixMillis>,
    pub(in super::super) created_at: UnixMillis,
    /// The key of its agent, if that has proven that it is its own.
    pub(in super::super) provider: Option<Pubkey>,
}

pub(super) const CAPABILITY: &str =
    "SELECT c.id, c.account_id, c.agent_id, c.service_id, c.content, c.categories, c.hashtags, c.price_sat,
     c.endpoint, c.proxy_id, c.d_tag, c.event_id, c.latest_event_id, c.event_at, c.listed, c.removed_at,
     c.created_at,
     (SELECT a.pubkey FROM agents a WHERE a.id = c.agent_id AND a.verified_at IS NOT NULL)
     FROM agent_capabilities c";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Capability> {
    Ok(Capability {
        id: row.get(0)?,
        account: row.get(1)?,
        agent: row.get(2)?,
        service_id: row.get(3)?,
        content: row.get(4)?,
        categories: list_of(row, 5)?,
        hashtags: list_of(row, 6)?,
        price_sat: row.get(7)?,
        endpoint: row.get(8)?,
        proxy_id: row.get(9)?,
        d_tag: row.get(10)?,
        event_id: row.get(11)?,
        latest_event_id: row.get(12)?,
        event_at: row.get(13)?,
        listed: row.get(14)?,
        removed_at: row.get(15)?,
        created_at: row.get(16)?,
        provider: row.get(17)?,
    })
}

/// Writes a new one down; answers its row id.
pub(in super::super) fn insert(tx: &Tx<'_>, new: &Capability) -> rusqlite::Result<i64> {
    tx.prepare_cached(
        "INSERT INTO agent_capabilities (account_id, agent_id, service_id, content, categories, hashtags,
             price_sat, endpoint, proxy_id, d_tag, event_id, latest_event_id, event_at, listed, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        new.account,
        new.agent,
        new.service_id,
        new.content,
        list_text(&new.categories),
        list_text(&new.hashtags),
        new.price_sat,
        new.endpoint,
        new.proxy_id,
        new.d_tag,
        new.event_id,
        new.latest_event_id,
        new.event_at,
        new.listed,
        new.created_at,
    ])?;
    Ok(tx.last_insert_rowid())
}

/// Writes down what may change: price, event, whether it is listed.
pub(in super::super) fn update(tx: &Tx<'_>, changed: &Capability) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE agent_capabilities SET price_sat = ?2, latest_event_id = ?3, event_at = ?4, listed = ?5,
             removed_at = ?6 WHERE id = ?1",
    )?
    .execute(params![
        changed.id,
        changed.price_sat,
        changed.latest_event_id,
        changed.event_at,
        changed.listed,
        changed.removed_at,
    ])?;
    Ok(())
}

/// How many an account has that were not taken back.
pub(in super::super) fn count(connection: &Connection, account: AccountId) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM agent_capabilities WHERE account_id = ?1 AND removed_at IS NULL",
        )?
        .query_row([account], |row| row.get(0))
}

/// By the id of its first event, or of the latest.
pub(in super::super) fn by_event(
    connection: &Connection,
    event: EventId,
) -> rusqlite::Result<Option<Capability>> {
    let sql = format!("{CAPABILITY} WHERE c.event_id = ?1 OR c.latest_event_id = ?1");
    connection.prepare_cached(&sql)?.query_row([event], read).optional()
}

/// By row id.
pub(in super::super) fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Option<Capability>> {
    let sql = format!("{CAPABILITY} WHERE c.id = ?1");
    connection.prepare_cached(&sql)?.query_row([id], read).optional()
}

/// The one that a proxy sells, or sold last.
pub(in super::super) fn by_proxy(
    connection: &Connection,
    proxy: &str,
) -> rusqlite::Result<Option<Capability>> {
    let sql = format!("{CAPABILITY} WHERE c.proxy_id = ?1 ORDER BY c.id DESC LIMIT 1");
    connection.prepare_cached(&sql)?.query_row([proxy], read).optional()
}

/// Deletes some that were taken back before a time and that no agreement names; answers how many.
pub(in super::super) fn delete_removed(
    tx: &Tx<'_>,
    before: UnixMillis,
    most: u32,
) -> rusqlite::Result<usize> {
    tx.prepare_cached(
        "DELETE FROM agent_capabilities WHERE id IN (SELECT c.id FROM agent_capabilities c
             WHERE c.removed_at < ?1
             AND NOT EXISTS (SELECT 1 FROM agent_agreements g WHERE g.capability_id = c.id)
             ORDER BY c.removed_at LIMIT ?2)",
    )?
    .execute(params![before, most])
}

/// It was paid for.
pub(in super::super) fn earned(tx: &Tx<'_>, id: i64, amount: Msat) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE agent_capabilities SET sold = sold + 1, revenue_msat = revenue_msat + ?2 WHERE id = ?1",
    )?
    .execute(params![id, amount])?;
    Ok(())
}
