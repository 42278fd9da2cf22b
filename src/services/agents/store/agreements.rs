//! The rows of requests and the agreements they lead to.

use std::fmt;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::{AccountId, PaymentHash};
use crate::core::time::{UnixMillis, Window};
use crate::services::agents::ids::{EventId, Pubkey};
use crate::storage::Tx;

/// How far an agreement has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Status {
    /// Asked for, and not agreed on.
    Offered,
    /// Agreed on: the payment is awaited.
    Active,
    /// Paid.
    Completed,
    /// Not paid in time.
    Expired,
}

impl Status {
    pub(in super::super) const ALL: [Self; 4] = [Self::Offered, Self::Active, Self::Completed, Self::Expired];

    /// In the database and JSON.
    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Expired => "expired",
        }
    }

    /// In events.
    pub(in super::super) const fn in_events(self) -> &'static str {
        match self {
            Self::Offered => "proposed",
            other => other.name(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ToSql for Status {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

impl FromSql for Status {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or(FromSqlError::InvalidType)
    }
}

/// A request and its agreement.
#[derive(Clone, Debug)]
pub(in super::super) struct Agreement {
    /// Row id; 0 before it is written.
    pub(in super::super) id: i64,
    pub(in super::super) capability: i64,
    pub(in super::super) provider_account: AccountId,
    pub(in super::super) provider_agent: Option<i64>,
    pub(in super::super) requester_account: AccountId,
    pub(in super::super) requester_agent: Option<i64>,
    pub(in super::super) request_event_id: EventId,
    pub(in super::super) agreement_event_id: EventId,
    pub(in super::super) latest_event_id: EventId,
    pub(in super::super) d_tag: String,
    pub(in super::super) event_at: i64,
    pub(in super::super) budget_sat: u64,
    pub(in super::super) price_sat: u64,
    pub(in super::super) parameters: Option<String>,
    pub(in super::super) status: Status,
    pub(in super::super) payment_hash: Option<PaymentHash>,
    pub(in super::super) created_at: UnixMillis,
    pub(in super::super) expires_at: UnixMillis,
    pub(in super::super) completed_at: Option<UnixMillis>,
    /// The keys of both, where they have proven that they are their own.
    pub(in super::super) provider: Option<Pubkey>,
    pub(in super::super) requester: Option<Pubkey>,
    /// Of the capability.
    pub(in super::super) capability_event_id: EventId,
    pub(in super::super) endpoint: Option<String>,
}

impl Agreement {
    /// Where it stands, also if nobody has noted yet that its time is over.
    pub(in super::super) fn status_at(&self, now: UnixMillis) -> Status {
        match self.status {
            Status::Offered | Status::Active if self.expires_at <= now => Status::Expired,
            status => status,
        }
    }
}

const AGREEMENT: &str =
    "SELECT g.id, g.capability_id, g.provider_account, g.provider_agent, g.requester_account,
     g.requester_agent, g.request_event_id, g.agreement_event_id, g.latest_event_id, g.d_tag, g.event_at,
     g.budget_sat, g.price_sat, g.parameters, g.status, g.payment_hash, g.created_at, g.expires_at,
     g.completed_at,
     (SELECT a.pubkey FROM agents a WHERE a.id = g.provider_agent AND a.verified_at IS NOT NULL),
     (SELECT a.pubkey FROM agents a WHERE a.id = g.requester_agent AND a.verified_at IS NOT NULL),
     c.event_id, c.endpoint
     FROM agent_agreements g JOIN agent_capabilities c ON c.id = g.capability_id";

fn read(row: &Row<'_>) -> rusqlite::Result<Agreement> {
    Ok(Agreement {
        id: row.get(0)?,
        capability: row.get(1)?,
        provider_account: row.get(2)?,
        provider_agent: row.get(3)?,
        requester_account: row.get(4)?,
        requester_agent: row.get(5)?,
        request_event_id: row.get(6)?,
        agreement_event_id: row.get(7)?,
        latest_event_id: row.get(8)?,
        d_tag: row.get(9)?,
        event_at: row.get(10)?,
        budget_sat: row.get(11)?,
        price_sat: row.get(12)?,
        parameters: row.get(13)?,
        status: row.get(14)?,
        payment_hash: row.get(15)?,
        created_at: row.get(16)?,
        expires_at: row.get(17)?,
        completed_at: row.get(18)?,
        provider: row.get(19)?,
        requester: row.get(20)?,
        capability_event_id: row.get(21)?,
        endpoint: row.get(22)?,
    })
}

/// Writes a new one down.
pub(in super::super) fn insert(tx: &Tx<'_>, new: &Agreement) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO agent_agreements (capability_id, provider_account, provider_agent, requester_account,
             requester_agent, request_event_id, agreement_event_id, latest_event_id, d_tag, event_at, budget_sat,
             price_sat, parameters, status, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        new.capability,
        new.provider_account,
        new.provider_agent,
        new.requester_account,
        new.requester_agent,
        new.request_event_id,
        new.agreement_event_id,
        new.latest_event_id,
        new.d_tag,
        new.event_at,
        new.budget_sat,
        new.price_sat,
        new.parameters,
        new.status,
        new.created_at,
        new.expires_at,
    ])?;
    Ok(())
}

/// Writes down how far it has come.
pub(in super::super) fn update(tx: &Tx<'_>, changed: &Agreement) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE agent_agreements SET latest_event_id = ?2, event_at = ?3, price_sat = ?4, status = ?5,
             payment_hash = ?6, completed_at = ?7 WHERE id = ?1",
    )?
    .execute(params![
        changed.id,
        changed.latest_event_id,
        changed.event_at,
        changed.price_sat,
        changed.status,
        changed.payment_hash,
        changed.completed_at,
    ])?;
    Ok(())
}

/// By the id of its request, or of any event of the agreement that clients know.
pub(in super::super) fn by_event(
    connection: &Connection,
    event: EventId,
) -> rusqlite::Result<Option<Agreement>> {
    let sql = format!(
        "{AGREEMENT} WHERE g.request_event_id = ?1 OR g.agreement_event_id = ?1 OR g.latest_event_id = ?1"
    );
    connection.prepare_cached(&sql)?.query_row([event], read).optional()
}

/// The oldest of a capability in this state that is not over.
pub(in super::super) fn oldest(
    connection: &Connection,
    capability: i64,
    status: Status,
    now: UnixMillis,
) -> rusqlite::Result<Option<Agreement>> {
    // The state is in the text, so that the index of what is open serves.
    let sql = format!(
        "{AGREEMENT} WHERE g.capability_id = ?1 AND g.status = '{status}' AND g.status IN ('offered', 'active')
         AND g.expires_at > ?2 ORDER BY g.id LIMIT 1"
    );
    connection.prepare_cached(&sql)?.query_row(params![capability, now], read).optional()
}

/// Some whose time is over and that nobody has told yet.
pub(in super::super) fn due(
    connection: &Connection,
    now: UnixMillis,
    most: u32,
) -> rusqlite::Result<Vec<Agreement>> {
    let sql = format!(
        "{AGREEMENT} WHERE g.status IN ('offered', 'active') AND g.expires_at <= ?1
         ORDER BY g.expires_at LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![now, most], read)?;
    rows.collect()
}

/// Some that were never paid and ended before a time.
pub(in super::super) fn unpaid_before(
    connection: &Connection,
    before: UnixMillis,
    most: u32,
) -> rusqlite::Result<Vec<Agreement>> {
    let sql = format!(
        "{AGREEMENT} WHERE g.status = 'expired' AND g.expires_at < ?1 ORDER BY g.expires_at LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![before, most], read)?;
    rows.collect()
}

pub(in super::super) fn delete(tx: &Tx<'_>, id: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM agent_agreements WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// What is open of a capability ends now.
pub(in super::super) fn end_all(tx: &Tx<'_>, capability: i64, now: UnixMillis) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE agent_agreements SET expires_at = min(expires_at, ?2)
         WHERE capability_id = ?1 AND status IN ('offered', 'active')",
    )?
    .execute(params![capability, now])?;
    Ok(())
}

/// How many of an account's own requests are open.
pub(in super::super) fn open_requests(
    connection: &Connection,
    account: AccountId,
    now: UnixMillis,
) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM agent_agreements
             WHERE requester_account = ?1 AND status IN ('offered', 'active') AND expires_at > ?2",
        )?
        .query_row(params![account, now], |row| row.get(0))
}

/// How many requests an account has made since a time, whatever became of them, and when the first of those was made.
pub(in super::super) fn made_in(
    connection: &Connection,
    account: AccountId,
    hour: &Window,
) -> rusqlite::Result<(u32, Option<UnixMillis>)> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*), min(created_at) FROM agent_agreements
         WHERE requester_account = ?1 AND created_at BETWEEN ?2 AND ?3",
    )?;
    let (mut made, mut first) = (0_u32, None);
    for span in hour.spans() {
        let (count, at): (u32, Option<UnixMillis>) = statement
            .query_row(params![account, span.from, span.to], |row| Ok((row.get(0)?, row.get(1)?)))?;
        (made, first) = (made.saturating_add(count), first.or(at));
    }
    Ok((made, first))
}

/// Whose agreements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Side {
    /// Of those that an account was asked for.
    Provider,
    /// Of those that it asked for.
    Requester,
}

/// An account's, newest first, and how many there are.
pub(in super::super) fn list(
    connection: &Connection,
    account: AccountId,
    side: Side,
    (limit, offset): (u32, u32),
) -> rusqlite::Result<(Vec<Agreement>, u64)> {
    let column = match side {
        Side::Provider => "provider_account",
        Side::Requester => "requester_account",
    };
    let total = connection
        .prepare_cached(&format!("SELECT count(*) FROM agent_agreements WHERE {column} = ?1"))?
        .query_row([account], |row| row.get(0))?;
    let sql = format!("{AGREEMENT} WHERE g.{column} = ?1 ORDER BY g.id DESC LIMIT ?2 OFFSET ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![account, limit, offset], read)?;
    Ok((rows.collect::<Result<_, _>>()?, total))
}
