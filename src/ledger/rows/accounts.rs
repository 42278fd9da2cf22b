//! SQL of accounts' balances, statements and fee reserves.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::ids::{AccountId, FeeReserveId};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;
use crate::ledger::accounts::{Balance, Change};
use crate::storage::Tx;

/// A line of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Row id.
    pub id: i64,
    /// When.
    pub at: UnixMillis,
    /// Why, by name.
    pub kind: String,
    /// The public id of what caused it.
    pub reference: String,
    /// In: positive, out: negative.
    pub msat: i64,
    /// The balance afterwards.
    pub balance: Msat,
}

impl Line {
    /// Where the next page goes on.
    pub const fn place(&self) -> Place {
        Place { at: self.at, id: self.id }
    }
}

/// A place in a statement: it stays where it is whatever is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When the line was written.
    pub at: UnixMillis,
    /// Its row.
    pub id: i64,
}

/// An account as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// What it has.
    pub balance: Balance,
    /// Where its earnings go by themselves, and from how much on.
    pub sweep: Option<(String, Msat)>,
}

pub(crate) fn add(tx: &Tx<'_>, account: AccountId, amount: Msat) -> Result<Msat, LedgerError> {
    Ok(tx
        .prepare_cached(
            "INSERT INTO account_balances (account_id, msat) VALUES (?1, ?2)
             ON CONFLICT (account_id) DO UPDATE SET msat = msat + excluded.msat RETURNING msat",
        )?
        .query_row(params![account, amount], |row| row.get(0))?)
}

/// The balance afterwards; `None` if there was less.
pub(crate) fn take(tx: &Tx<'_>, account: AccountId, amount: Msat) -> Result<Option<Msat>, LedgerError> {
    Ok(tx
        .prepare_cached(
            "UPDATE account_balances SET msat = msat - ?2 WHERE account_id = ?1 AND msat >= ?2 RETURNING msat",
        )?
        .query_row(params![account, amount], |row| row.get(0))
        .optional()?)
}

pub(crate) fn insert_line(
    tx: &Tx<'_>,
    change: &Change<'_>,
    signed: i64,
    after: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO account_lines (account_id, at, kind, reference, msat, balance_msat)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![change.account, now, change.kind.name(), change.reference, signed, after])?;
    Ok(())
}

pub(crate) fn balance(connection: &Connection, account: AccountId) -> Result<Balance, LedgerError> {
    let found = connection
        .prepare_cached("SELECT msat, pending_msat FROM account_balances WHERE account_id = ?1")?
        .query_row([account], |row| Ok(Balance { available: row.get(0)?, pending: row.get(1)? }))
        .optional()?;
    Ok(found.unwrap_or_default())
}

pub(crate) fn change_pending(tx: &Tx<'_>, account: AccountId, msat: i64) -> Result<(), LedgerError> {
    let changed = tx
        .prepare_cached("UPDATE account_balances SET pending_msat = pending_msat + ?2 WHERE account_id = ?1")?
        .execute(params![account, msat])?;
    if changed == 1 { Ok(()) } else { Err(LedgerError::Broken(format!("account {account} has no balance"))) }
}

pub(crate) fn insert_reserve(
    tx: &Tx<'_>,
    account: AccountId,
    reserve: Msat,
) -> Result<FeeReserveId, LedgerError> {
    tx.prepare_cached("INSERT INTO fee_reserves (account_id, reserve_msat) VALUES (?1, ?2)")?
        .execute(params![account, reserve])?;
    Ok(FeeReserveId(tx.last_insert_rowid()))
}

/// Whose it is and how much, if it is not settled.
pub(crate) fn open_reserve(tx: &Tx<'_>, id: FeeReserveId) -> Result<Option<(AccountId, Msat)>, LedgerError> {
    Ok(tx
        .prepare_cached(
            "SELECT account_id, reserve_msat FROM fee_reserves WHERE id = ?1 AND settled_at IS NULL",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

pub(crate) fn settle_reserve(
    tx: &Tx<'_>,
    id: FeeReserveId,
    charged: Msat,
    now: UnixMillis,
) -> Result<(), LedgerError> {
    tx.prepare_cached("UPDATE fee_reserves SET charged_msat = ?2, settled_at = ?3 WHERE id = ?1")?
        .execute(params![id, charged, now])?;
    Ok(())
}

fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        id: row.get(0)?,
        at: row.get(1)?,
        kind: row.get(2)?,
        reference: row.get(3)?,
        msat: row.get(4)?,
        balance: row.get(5)?,
    })
}

/// Newest first, of times from the first of `span` to before its second.
pub(crate) fn lines(
    connection: &Connection,
    account: AccountId,
    span: (UnixMillis, UnixMillis),
    before: Option<Place>,
    limit: usize,
) -> Result<Vec<Line>, LedgerError> {
    let before = before.unwrap_or(Place { at: i64::MAX, id: i64::MAX });
    let mut statement = connection.prepare_cached(
        "SELECT id, at, kind, reference, msat, balance_msat FROM account_lines
         WHERE account_id = ?1 AND at >= ?2 AND at < ?3 AND (at, id) < (?4, ?5)
         ORDER BY at DESC, id DESC LIMIT ?6",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![account, span.0, span.1, before.at, before.id, limit], line)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(crate) fn list(connection: &Connection, after: &str, limit: usize) -> Result<Vec<Summary>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT a.name, coalesce(b.msat, 0), coalesce(b.pending_msat, 0), s.target, s.min_msat FROM accounts a
         LEFT JOIN account_balances b ON b.account_id = a.id LEFT JOIN account_sweeps s ON s.account_id = a.id
         WHERE a.name > ?1 ORDER BY a.name LIMIT ?2",
    )?;
    let found = statement.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let target: Option<String> = row.get(3)?;
        let sweep = match target {
            Some(target) => Some((target, row.get(4)?)),
            None => None,
        };
        Ok(Summary {
            name: row.get(0)?,
            balance: Balance { available: row.get(1)?, pending: row.get(2)? },
            sweep,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(crate) fn by_name(connection: &Connection, name: &str) -> Result<Option<AccountId>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT id FROM accounts WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

pub(crate) fn name(connection: &Connection, account: AccountId) -> Result<Option<String>, LedgerError> {
    Ok(connection
        .prepare_cached("SELECT name FROM accounts WHERE id = ?1")?
        .query_row([account], |row| row.get(0))
        .optional()?)
}
