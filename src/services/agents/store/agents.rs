//! The rows of agents.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::AccountId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::services::agents::ids::Pubkey;
use crate::storage::Tx;

/// An agent.
#[derive(Clone, Debug)]
pub(in super::super) struct Agent {
    pub(in super::super) id: i64,
    pub(in super::super) account: AccountId,
    pub(in super::super) pubkey: Pubkey,
    pub(in super::super) name: Option<String>,
    pub(in super::super) description: Option<String>,
    pub(in super::super) is_active: bool,
    pub(in super::super) verified_at: Option<UnixMillis>,
    pub(in super::super) sold: u64,
    pub(in super::super) revenue: Msat,
    pub(in super::super) created_at: UnixMillis,
    pub(in super::super) updated_at: UnixMillis,
    /// Agreements of its capabilities that wait for their payment.
    pub(in super::super) active_agreements: u64,
}

// `?1` is the time.
const AGENT: &str =
    "SELECT a.id, a.account_id, a.pubkey, a.name, a.description, a.is_active, a.verified_at, a.sold,
     a.revenue_msat, a.created_at, a.updated_at,
     (SELECT count(*) FROM agent_agreements g
      WHERE g.provider_agent = a.id AND g.status = 'active' AND g.expires_at > ?1)
     FROM agents a";

fn read(row: &Row<'_>) -> rusqlite::Result<Agent> {
    Ok(Agent {
        id: row.get(0)?,
        account: row.get(1)?,
        pubkey: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        is_active: row.get(5)?,
        verified_at: row.get(6)?,
        sold: row.get(7)?,
        revenue: row.get(8)?,
        created_at: row.get(9)?,
        updated_at: row.get(10)?,
        active_agreements: row.get(11)?,
    })
}

pub(in super::super) fn by_pubkey(
    connection: &Connection,
    pubkey: Pubkey,
    now: UnixMillis,
) -> rusqlite::Result<Option<Agent>> {
    let sql = format!("{AGENT} WHERE a.pubkey = ?2");
    connection.prepare_cached(&sql)?.query_row(params![now, pubkey], read).optional()
}

/// By row id.
pub(in super::super) fn by_id(
    connection: &Connection,
    id: i64,
    now: UnixMillis,
) -> rusqlite::Result<Option<Agent>> {
    let sql = format!("{AGENT} WHERE a.id = ?2");
    connection.prepare_cached(&sql)?.query_row(params![now, id], read).optional()
}

/// The agent that an account acts as if it names none: the one that was verified last, or else the newest.
pub(in super::super) fn of_account(
    connection: &Connection,
    account: AccountId,
    now: UnixMillis,
) -> rusqlite::Result<Option<Agent>> {
    let sql = format!(
        "{AGENT} WHERE a.account_id = ?2 AND a.is_active
         ORDER BY a.verified_at IS NULL, a.verified_at DESC, a.id DESC LIMIT 1"
    );
    connection.prepare_cached(&sql)?.query_row(params![now, account], read).optional()
}

/// Agents, the oldest first, and how many there are.
pub(in super::super) fn list(
    connection: &Connection,
    (limit, offset): (u32, u32),
    now: UnixMillis,
) -> rusqlite::Result<(Vec<Agent>, u64)> {
    let total = connection.prepare_cached("SELECT count(*) FROM agents")?.query_row([], |row| row.get(0))?;
    let sql = format!("{AGENT} ORDER BY a.id LIMIT ?2 OFFSET ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![now, limit, offset], read)?;
    Ok((rows.collect::<Result<_, _>>()?, total))
}

/// How many an account has.
pub(in super::super) fn count(connection: &Connection, account: AccountId) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT count(*) FROM agents WHERE account_id = ?1")?
        .query_row([account], |row| row.get(0))
}

pub(in super::super) fn insert(
    tx: &Tx<'_>,
    account: AccountId,
    pubkey: Pubkey,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO agents (account_id, pubkey, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)",
    )?
    .execute(params![account, pubkey, now])?;
    Ok(())
}

/// What it says of itself.
pub(in super::super) fn describe(
    tx: &Tx<'_>,
    id: i64,
    name: Option<&str>,
    description: Option<&str>,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE agents SET name = ?2, description = ?3, updated_at = ?4 WHERE id = ?1")?
        .execute(params![id, name, description, now])?;
    Ok(())
}

/// It has proven that it holds its key.
pub(in super::super) fn verified(tx: &Tx<'_>, id: i64, now: UnixMillis) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE agents SET verified_at = ?2, updated_at = ?2 WHERE id = ?1")?
        .execute(params![id, now])?;
    Ok(())
}

/// It belongs to another account: what the first one sold in its name was not its own.
pub(in super::super) fn give_to(tx: &Tx<'_>, id: i64, account: AccountId) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE agents SET account_id = ?2, sold = 0, revenue_msat = 0 WHERE id = ?1")?
        .execute(params![id, account])?;
    tx.prepare_cached("UPDATE agent_capabilities SET agent_id = NULL WHERE agent_id = ?1")?.execute([id])?;
    tx.prepare_cached("UPDATE agent_agreements SET provider_agent = NULL WHERE provider_agent = ?1")?
        .execute([id])?;
    Ok(())
}

/// Something of its was paid for.
pub(in super::super) fn earned(tx: &Tx<'_>, id: i64, amount: Msat, now: UnixMillis) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE agents SET sold = sold + 1, revenue_msat = revenue_msat + ?2, updated_at = ?3 WHERE id = ?1",
    )?
    .execute(params![id, amount, now])?;
    Ok(())
}
