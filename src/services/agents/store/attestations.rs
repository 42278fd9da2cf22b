//! The rows of what is said of agents.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::AccountId;
use crate::core::time::UnixMillis;
use crate::services::agents::ids::{EventId, Pubkey};
use crate::storage::Tx;

/// What one says of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Attestation {
    pub(in super::super) account: AccountId,
    pub(in super::super) reviewer: Pubkey,
    pub(in super::super) subject: Pubkey,
    pub(in super::super) agreement: String,
    pub(in super::super) attestation_id: String,
    pub(in super::super) rating: u8,
    pub(in super::super) content: String,
    pub(in super::super) proof: Option<String>,
    pub(in super::super) event_id: EventId,
    pub(in super::super) verified: bool,
    pub(in super::super) created_at: UnixMillis,
}

const ATTESTATION: &str =
    "SELECT account_id, reviewer, subject, agreement_ref, attestation_id, rating, content, proof, event_id,
     verified, created_at FROM agent_attestations";

fn read(row: &Row<'_>) -> rusqlite::Result<Attestation> {
    Ok(Attestation {
        account: row.get(0)?,
        reviewer: row.get(1)?,
        subject: row.get(2)?,
        agreement: row.get(3)?,
        attestation_id: row.get(4)?,
        rating: row.get(5)?,
        content: row.get(6)?,
        proof: row.get(7)?,
        event_id: row.get(8)?,
        verified: row.get(9)?,
        created_at: row.get(10)?,
    })
}

pub(in super::super) fn insert(tx: &Tx<'_>, new: &Attestation) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO agent_attestations (account_id, reviewer, subject, agreement_ref, attestation_id, rating,
             content, proof, event_id, verified, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        new.account,
        new.reviewer,
        new.subject,
        new.agreement,
        new.attestation_id,
        new.rating,
        new.content,
        new.proof,
        new.event_id,
        new.verified,
        new.created_at,
    ])?;
    Ok(())
}

/// An account's by its own id for it.
pub(in super::super) fn by_own_id(
    connection: &Connection,
    account: AccountId,
    attestation_id: &str,
) -> rusqlite::Result<Option<Attestation>> {
    let sql = format!("{ATTESTATION} WHERE account_id = ?1 AND attestation_id = ?2");
    connection.prepare_cached(&sql)?.query_row(params![account, attestation_id], read).optional()
}

/// Whether an account has said something of an agent for this agreement.
pub(in super::super) fn is_said(
    connection: &Connection,
    account: AccountId,
    subject: Pubkey,
    agreement: &str,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM agent_attestations
             WHERE account_id = ?1 AND subject = ?2 AND agreement_ref = ?3)",
        )?
        .query_row(params![account, subject, agreement], |row| row.get(0))
}

/// How many an account has given.
pub(in super::super) fn count(connection: &Connection, account: AccountId) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT count(*) FROM agent_attestations WHERE account_id = ?1")?
        .query_row([account], |row| row.get(0))
}

/// What is said of an agent, newest first, how much there is, and the sum of the ratings.
pub(in super::super) fn of(
    connection: &Connection,
    subject: Pubkey,
    limit: u32,
) -> rusqlite::Result<(Vec<Attestation>, u64, u64)> {
    let (total, sum) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(rating), 0) FROM agent_attestations WHERE subject = ?1",
        )?
        .query_row([subject], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sql = format!("{ATTESTATION} WHERE subject = ?1 ORDER BY id DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![subject, limit], read)?;
    Ok((rows.collect::<Result<_, _>>()?, total, sum))
}
