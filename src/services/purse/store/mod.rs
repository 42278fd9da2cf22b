//! The rows of purses and of what they spent in each day; those of their payments are in [`payments`].

pub(super) mod payments;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::{AccountId, PurseId, random_bytes};
use crate::core::money::Msat;
use crate::core::time::{Clock, UnixMillis};
use crate::http::keys::KeyId;
use crate::ledger::LedgerError;
use crate::storage::{StoreError, Tx};

pub(super) const DAY_MS: i64 = 86_400_000;

/// Stands for every host.
pub(super) const ANY_HOST: &str = "*";

/// What an API key may spend.
#[derive(Clone, Debug)]
pub(super) struct Purse {
    pub(super) id: PurseId,
    pub(super) name: String,
    pub(super) key: KeyId,
    pub(super) account: AccountId,
    pub(super) budget: Msat,
    pub(super) per_day: Option<Msat>,
    pub(super) per_request: Option<Msat>,
    /// With what is reserved for payments under way.
    pub(super) spent: Msat,
    pub(super) hosts: Vec<String>,
    /// Whether it may pay invoices that it is given.
    pub(super) invoices: bool,
    /// Whether it may ask public hosts over plain http.
    pub(super) allow_http: bool,
    pub(super) created_at: UnixMillis,
    /// It, or its key.
    pub(super) revoked_at: Option<UnixMillis>,
}

const PURSE: &str =
    "SELECT p.id, p.name, p.key_id, p.account_id, p.budget_msat, p.per_day_msat, p.per_request_msat,
     p.spent_msat, p.hosts, p.invoices, p.created_at, coalesce(p.revoked_at, k.revoked_at), p.allow_http
     FROM purses p JOIN api_keys k ON k.id = p.key_id";

fn read(row: &Row<'_>) -> rusqlite::Result<Purse> {
    Ok(Purse {
        id: row.get(0)?,
        name: row.get(1)?,
        key: KeyId(row.get(2)?),
        account: row.get(3)?,
        budget: row.get(4)?,
        per_day: row.get(5)?,
        per_request: row.get(6)?,
        spent: row.get(7)?,
        hosts: row.get::<_, String>(8)?.split_ascii_whitespace().map(str::to_owned).collect(),
        invoices: row.get(9)?,
        created_at: row.get(10)?,
        revoked_at: row.get(11)?,
        allow_http: row.get(12)?,
    })
}

impl Purse {
    /// Whether it may ask this host, which may be given with a port.
    pub(super) fn may_ask(&self, host: &str, port: Option<u16>) -> bool {
        let with_port = port.map(|port| format!("{host}:{port}"));
        self.hosts.iter().any(|allowed| {
            allowed == ANY_HOST
                || allowed.eq_ignore_ascii_case(host)
                || with_port.as_ref().is_some_and(|whole| allowed.eq_ignore_ascii_case(whole))
        })
    }
}

/// A purse to write down.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) budget: Msat,
    pub(super) per_day: Option<Msat>,
    pub(super) per_request: Option<Msat>,
    pub(super) hosts: Vec<String>,
    pub(super) invoices: bool,
    pub(super) allow_http: bool,
}

pub(super) fn insert(tx: &Tx<'_>, key: KeyId, draft: &Draft, now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO purses (name, key_id, account_id, budget_msat, per_day_msat, per_request_msat, hosts, invoices, created_at,
             allow_http)
         SELECT ?2, id, account_id, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM api_keys WHERE id = ?1",
    )?
    .execute(params![
        key.0,
        draft.name,
        draft.budget,
        draft.per_day,
        draft.per_request,
        draft.hosts.join(" "),
        draft.invoices,
        now,
        draft.allow_http,
    ])?;
    Ok(())
}

/// The purse of a key, revoked or not.
pub(super) fn of_key(connection: &Connection, key: KeyId) -> Result<Option<Purse>, LedgerError> {
    let sql = format!("{PURSE} WHERE p.key_id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([key.0], read).optional()?)
}

pub(super) fn by_id(connection: &Connection, id: PurseId) -> Result<Option<Purse>, LedgerError> {
    let sql = format!("{PURSE} WHERE p.id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// The purse of a name: the one in use, or else the newest of those that were.
pub(super) fn by_name(connection: &Connection, name: &str) -> Result<Option<Purse>, LedgerError> {
    let sql = format!("{PURSE} WHERE p.name = ?1 ORDER BY p.revoked_at IS NULL DESC, p.id DESC LIMIT 1");
    Ok(connection.prepare_cached(&sql)?.query_row([name], read).optional()?)
}

/// All of them, newest first, from before this one.
pub(super) fn list(
    connection: &Connection,
    before: Option<PurseId>,
    limit: usize,
) -> Result<Vec<Purse>, LedgerError> {
    let sql = format!("{PURSE} WHERE ?1 IS NULL OR p.id < ?1 ORDER BY p.id DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![before, limit], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Sets what a purse may spend in all.
pub(super) fn set_budget(tx: &Tx<'_>, id: PurseId, budget: Msat) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE purses SET budget_msat = ?2 WHERE id = ?1")?.execute(params![id, budget])?;
    Ok(())
}

pub(super) fn revoke(tx: &Tx<'_>, id: PurseId, now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE purses SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL")?
        .execute(params![id, now])?;
    Ok(())
}

/// A day of the clock, in days since 1970: what a payment is written down for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day(pub(super) i64);

impl Day {
    /// The day whose limit holds.
    ///
    /// A clock that is set wrong must not give a second day's money, neither ahead nor back, nor hold a purse up for as
    /// long as it was wrong. So a limit is for a [day](Clock::day) that ends by the time that has really passed, and what
    /// was written down for it counts.
    pub(super) fn today(clock: &Clock) -> Self {
        Self(clock.day())
    }

    /// The day of a time.
    pub(super) const fn of(at: UnixMillis) -> Self {
        Self(at.div_euclid(DAY_MS))
    }
}

/// What was spent today, with what is reserved.
pub(super) fn spent_today(connection: &Connection, id: PurseId, day: Day) -> Result<Msat, LedgerError> {
    let mut statement = connection
        .prepare_cached("SELECT coalesce(sum(msat), 0) FROM purse_days WHERE purse_id = ?1 AND day = ?2")?;
    Ok(statement.query_row(params![id, day.0], |row| row.get(0))?)
}

/// Adds to what was spent, in all and in a day, or takes from it.
pub(super) fn add_spent(tx: &Tx<'_>, id: PurseId, day: Day, msat: i64) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE purses SET spent_msat = max(spent_msat + ?2, 0) WHERE id = ?1")?
        .execute(params![id, msat])?;
    tx.prepare_cached(
        "INSERT INTO purse_days (purse_id, day, msat) VALUES (?1, ?2, max(?3, 0))
         ON CONFLICT (purse_id, day) DO UPDATE SET msat = max(msat + ?3, 0)",
    )?
    .execute(params![id, day.0, msat])?;
    Ok(())
}

/// What credentials are sealed with, made once.
pub(super) fn secret(tx: &Tx<'_>) -> Result<[u8; 32], StoreError> {
    let fresh = random_bytes::<32>().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    tx.execute("INSERT OR IGNORE INTO purse_secret (id, secret) VALUES (1, seal(?1))", params![fresh])?;
    Ok(tx.query_row("SELECT unseal(secret) FROM purse_secret WHERE id = 1", [], |row| row.get(0))?)
}
