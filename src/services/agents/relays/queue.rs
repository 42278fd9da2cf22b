//! The rows of events and relays.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::core::time::UnixMillis;
use crate::services::agents::event::Event;
use crate::services::agents::ids::EventId;
use crate::storage::{StoreError, Tx};

/// Refusals for a time after which a relay doesn't get an event: about three days.
const MOST_TRIES: i64 = 432;

/// What is left of a long error.
const ERROR_CHARS: usize = 200;

const FORGET_UNUSED: &str = "DELETE FROM nostr_events WHERE id = ?1 AND NOT is_current
     AND NOT EXISTS (SELECT 1 FROM nostr_outbox WHERE event = ?1)";

/// How a relay is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RelayStatus {
    /// Its address.
    pub url: String,
    /// Events that wait for it.
    pub waiting: u64,
    /// Times in a row that it could not be reached.
    pub failures: i64,
    /// Events it doesn't want.
    pub refused: i64,
    /// Why, last.
    pub last_error: Option<String>,
}

/// The relays are these: others are forgotten, new ones get what is current.
pub(super) fn configure(tx: &Tx<'_>, relays: &[String]) -> Result<(), StoreError> {
    let mut known = tx.prepare("SELECT id, url FROM nostr_relays")?;
    let known = known
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, _) in known.iter().filter(|(_, url)| !relays.contains(url)) {
        tx.execute("DELETE FROM nostr_relays WHERE id = ?1", [id])?;
    }
    for url in relays.iter().filter(|url| known.iter().all(|(_, known)| known != *url)) {
        tx.execute("INSERT OR IGNORE INTO nostr_relays (url) VALUES (?1)", [url])?;
        tx.execute(
            "INSERT OR IGNORE INTO nostr_outbox (relay_id, event)
             SELECT r.id, e.id FROM nostr_relays r, nostr_events e WHERE r.url = ?1 AND e.is_current",
            [url],
        )?;
    }
    // A relay may be tried at once after a start, and what nobody waits for any more can go.
    tx.execute("UPDATE nostr_relays SET next_at = 0", [])?;
    tx.execute(
        "DELETE FROM nostr_events WHERE NOT is_current AND id NOT IN (SELECT event FROM nostr_outbox)",
        [],
    )?;
    Ok(())
}

/// Writes an event down and queues it for every relay.
pub(super) fn add(tx: &Tx<'_>, event: &Event, current: bool, now: UnixMillis) -> rusqlite::Result<()> {
    let body = serde_json::to_string(event)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    tx.prepare_cached(
        "INSERT INTO nostr_events (event_id, kind, body, is_current, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![event.id, event.kind, body, current, now])?;
    let row = tx.last_insert_rowid();
    tx.prepare_cached("INSERT INTO nostr_outbox (relay_id, event) SELECT id, ?1 FROM nostr_relays")?
        .execute([row])?;
    if !current {
        tx.prepare_cached(FORGET_UNUSED)?.execute([row])?;
    }
    Ok(())
}

/// An event has been replaced: nobody needs it any more.
pub(super) fn supersede(tx: &Tx<'_>, old: EventId) -> rusqlite::Result<()> {
    let Some(row) = row_of(tx, old)? else { return Ok(()) };
    tx.prepare_cached("DELETE FROM nostr_outbox WHERE event = ?1")?.execute([row])?;
    tx.prepare_cached("DELETE FROM nostr_events WHERE id = ?1")?.execute([row])?;
    Ok(())
}

/// An event is not current any more; relays it is queued for still get it, so that whoever listens there hears it.
pub(super) fn retire(tx: &Tx<'_>, old: EventId) -> rusqlite::Result<()> {
    let Some(row) = row_of(tx, old)? else { return Ok(()) };
    tx.prepare_cached("UPDATE nostr_events SET is_current = 0 WHERE id = ?1")?.execute([row])?;
    tx.prepare_cached(FORGET_UNUSED)?.execute([row])?;
    Ok(())
}

fn row_of(tx: &Tx<'_>, event: EventId) -> rusqlite::Result<Option<i64>> {
    tx.prepare_cached("SELECT id FROM nostr_events WHERE event_id = ?1")?
        .query_row([event], |row| row.get(0))
        .optional()
}

/// An event that a relay has not taken yet.
pub(super) struct Waiting {
    pub(super) row: i64,
    pub(super) id: EventId,
    pub(super) body: String,
    pub(super) tries: i64,
}

/// When a relay may be asked, and the first events that wait for it.
pub(super) fn waiting(
    connection: &Connection,
    url: &str,
    most: u32,
) -> Result<(UnixMillis, Vec<Waiting>), StoreError> {
    let next = connection
        .prepare_cached("SELECT next_at FROM nostr_relays WHERE url = ?1")?
        .query_row([url], |row| row.get(0))
        .optional()?;
    let mut statement = connection.prepare_cached(
        "SELECT e.id, e.event_id, e.body, o.tries FROM nostr_relays r
         JOIN nostr_outbox o ON o.relay_id = r.id JOIN nostr_events e ON e.id = o.event
         WHERE r.url = ?1 ORDER BY o.event LIMIT ?2",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Waiting { row: row.get(0)?, id: row.get(1)?, body: row.get(2)?, tries: row.get(3)? })
    };
    let rows = statement.query_map(params![url, most], read)?;
    Ok((next.unwrap_or(0), rows.collect::<Result<_, _>>()?))
}

/// What came of a visit.
#[derive(Default)]
pub(super) struct Outcome {
    /// Events it has now.
    pub(super) taken: Vec<i64>,
    /// Events it doesn't want.
    pub(super) refused: Vec<i64>,
    /// An event it doesn't want now, with how often that was so before.
    pub(super) later: Option<(i64, i64)>,
    /// What went wrong.
    pub(super) error: Option<String>,
}

/// Notes what came of a visit. If it failed, the next is not before `next_at`, by the number of failures in a row.
pub(super) fn visited(
    tx: &Tx<'_>,
    url: &str,
    outcome: &Outcome,
    next_at: impl Fn(i64) -> UnixMillis,
) -> Result<(), StoreError> {
    let done = |row: i64| -> rusqlite::Result<()> {
        tx.prepare_cached(
            "DELETE FROM nostr_outbox WHERE event = ?2
             AND relay_id = (SELECT id FROM nostr_relays WHERE url = ?1)",
        )?
        .execute(params![url, row])?;
        tx.prepare_cached(FORGET_UNUSED)?.execute([row])?;
        Ok(())
    };
    for row in outcome.taken.iter().chain(&outcome.refused) {
        done(*row)?;
    }
    if let Some((row, tries)) = outcome.later {
        if tries >= MOST_TRIES {
            done(row)?;
        }
        tx.prepare_cached(
            "UPDATE nostr_outbox SET tries = tries + 1 WHERE event = ?2
             AND relay_id = (SELECT id FROM nostr_relays WHERE url = ?1)",
        )?
        .execute(params![url, row])?;
    }
    let failures: Option<i64> = tx
        .prepare_cached("SELECT failures FROM nostr_relays WHERE url = ?1")?
        .query_row([url], |row| row.get(0))
        .optional()?;
    let failed = outcome.error.is_some() && outcome.taken.is_empty();
    let failures = if failed { failures.unwrap_or(0).saturating_add(1) } else { 0 };
    let next = if outcome.error.is_some() || outcome.later.is_some() { next_at(failures) } else { 0 };
    let error = outcome.error.as_ref().map(|error| error.chars().take(ERROR_CHARS).collect::<String>());
    tx.prepare_cached(
        "UPDATE nostr_relays SET failures = ?2, next_at = ?3, refused = refused + ?4,
             last_error = coalesce(?5, last_error) WHERE url = ?1",
    )?
    .execute(params![url, failures, next, outcome.refused.len(), error])?;
    Ok(())
}

/// How all relays are doing.
pub(in crate::services::agents) fn status(connection: &Connection) -> Result<Vec<RelayStatus>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT url, (SELECT count(*) FROM nostr_outbox WHERE relay_id = r.id), failures, refused, last_error
         FROM nostr_relays r ORDER BY url",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(RelayStatus {
            url: row.get(0)?,
            waiting: row.get(1)?,
            failures: row.get(2)?,
            refused: row.get(3)?,
            last_error: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
