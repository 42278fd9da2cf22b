//! SQL of operator acts.

use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde_json::Value;

use super::{Act, Outcome};
use crate::core::time::UnixMillis;
use crate::storage::{StoreError, Tx};

const INSERT: &str =
    "INSERT INTO operator_acts (at, key_id, key_name, act, subject, details, outcome, message, ended_at)
     VALUES (?1, ?2, coalesce((SELECT name FROM api_keys WHERE id = ?2), '?'), ?3, seal(?4), seal(?5), ?6, ?7, ?8)";
const END: &str =
    "UPDATE operator_acts SET outcome = ?2, subject = coalesce(seal(?3), subject), message = ?4, ended_at = ?5
     WHERE id = ?1 AND outcome = 'begun'";
const DOUBT: &str = "UPDATE operator_acts SET outcome = 'unknown', ended_at = ?1,
     message = 'the process stopped while it was being done' WHERE outcome = 'begun'";
const LIST: &str = "SELECT id, at, key_id, key_name, act, unseal(subject), unseal(details), outcome, message, ended_at FROM operator_acts";

/// An act as it was recorded.
#[derive(Clone, Debug, Serialize)]
pub struct Recorded {
    /// Its number; they grow.
    pub id: i64,
    /// When it was begun, unix milliseconds.
    pub at: UnixMillis,
    /// Whose key it was.
    pub key_id: i64,
    /// What that key was called then.
    pub key_name: String,
    /// What was done.
    pub act: String,
    /// To what.
    pub subject: String,
    /// How: JSON without secrets.
    pub details: Value,
    /// How it ended.
    pub outcome: String,
    /// Why it was refused or failed.
    pub message: Option<String>,
    /// When it ended, unix milliseconds.
    pub ended_at: Option<UnixMillis>,
}

/// Which acts. What is left out sets no limit.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only of this kind, by its name.
    pub act: Option<String>,
    /// Only to this.
    pub subject: Option<String>,
    /// Not before, unix milliseconds.
    pub since: Option<UnixMillis>,
    /// Older than the act of this number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

pub(super) fn insert(
    tx: &Tx<'_>,
    act: &Act,
    outcome: Outcome,
    message: Option<&str>,
    now: UnixMillis,
) -> Result<i64, StoreError> {
    let ended_at = (outcome != Outcome::Begun).then_some(now);
    tx.prepare_cached(INSERT)?.execute(params![
        now,
        act.by.0,
        act.kind.name(),
        act.subject,
        act.details.to_string(),
        outcome.name(),
        message,
        ended_at
    ])?;
    Ok(tx.last_insert_rowid())
}

pub(super) fn end(
    tx: &Tx<'_>,
    id: i64,
    subject: Option<&str>,
    outcome: Outcome,
    message: Option<&str>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.prepare_cached(END)?.execute(params![id, outcome.name(), subject, message, now])?;
    Ok(())
}

pub(super) fn doubt(tx: &Tx<'_>, now: UnixMillis) -> Result<usize, StoreError> {
    Ok(tx.prepare_cached(DOUBT)?.execute([now])?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    let details: String = row.get(6)?;
    Ok(Recorded {
        id: row.get(0)?,
        at: row.get(1)?,
        key_id: row.get(2)?,
        key_name: row.get(3)?,
        act: row.get(4)?,
        subject: row.get(5)?,
        details: serde_json::from_str(&details).unwrap_or_default(),
        outcome: row.get(7)?,
        message: row.get(8)?,
        ended_at: row.get(9)?,
    })
}

/// Acts, newest first.
///
/// # Errors
/// The store's.
pub fn list(connection: &Connection, wanted: &Wanted) -> Result<Vec<Recorded>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "{LIST} WHERE id < ?1 AND (?2 IS NULL OR act = ?2) AND (?3 IS NULL OR subject = seal(?3)) AND (?4 IS NULL OR at >= ?4)
         ORDER BY id DESC LIMIT ?5"
    ))?;
    let before = wanted.before.unwrap_or(i64::MAX);
    let rows =
        statement.query_map(params![before, wanted.act, wanted.subject, wanted.since, wanted.limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All acts to one thing, oldest first.
///
/// # Errors
/// The store's.
pub fn of_subject(connection: &Connection, subject: &str) -> Result<Vec<Recorded>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{LIST} WHERE subject = seal(?1) ORDER BY id"))?;
    let rows = statement.query_map([subject], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
