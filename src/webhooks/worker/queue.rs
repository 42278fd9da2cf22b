//! The worker's SQL: what is due, what comes first, how it went.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::ids::Secret;
use crate::store::{StoreError, Tx};

/// Row id of an endpoint: one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EndpointId(i64);

/// The oldest waiting message of an endpoint.
pub(super) struct Message {
    pub(super) row: i64,
    pub(super) endpoint: EndpointId,
    pub(super) public_id: String,
    pub(super) kind: String,
    pub(super) payload: String,
    pub(super) queued_at: i64,
    /// Failures so far.
    pub(super) attempts: i64,
    pub(super) family: String,
    pub(super) url: String,
    pub(super) secret: Secret,
}

/// How a try went.
#[derive(Clone)]
pub(super) enum Outcome {
    Delivered {
        status: u16,
        at: i64,
    },
    /// Without a next try the message is parked.
    Failed {
        status: Option<u16>,
        error: String,
        at: i64,
        next_try_at: Option<i64>,
    },
}

const SCHEDULED: &str = "SELECT id, next_try_at FROM webhook_endpoints WHERE next_try_at IS NOT NULL
     ORDER BY next_try_at LIMIT ?1";
const HEAD: &str =
    "SELECT m.id, m.public_id, m.kind, m.payload, m.queued_at, m.attempts, e.family, e.url, e.secret
     FROM webhook_messages m JOIN webhook_endpoints e ON e.id = m.endpoint_id
     WHERE m.endpoint_id = ?1 AND m.state = 'waiting' ORDER BY m.id LIMIT 1";
const WAITING: &str = "SELECT count(*) FROM webhook_messages WHERE state = 'waiting'";
const DELIVERED: &str =
    "UPDATE webhook_messages SET state = 'delivered', attempts = attempts + 1, last_try_at = ?2,
     last_status = ?3, last_error = NULL, finished_at = ?2 WHERE id = ?1";
const FAILED: &str =
    "UPDATE webhook_messages SET attempts = attempts + 1, last_try_at = ?2, last_status = ?3,
     last_error = ?4 WHERE id = ?1";
const PARKED: &str =
    "UPDATE webhook_messages SET state = 'parked', attempts = attempts + 1, last_try_at = ?2,
     last_status = ?3, last_error = ?4, finished_at = ?2 WHERE id = ?1";
const PUT_OFF: &str = "UPDATE webhook_endpoints SET next_try_at = ?2 WHERE id = ?1";
const RESCHEDULE: &str = "UPDATE webhook_endpoints SET next_try_at = CASE WHEN EXISTS
     (SELECT 1 FROM webhook_messages WHERE endpoint_id = ?1 AND state = 'waiting') THEN ?2 END WHERE id = ?1";

/// The endpoints with something to send, the most urgent first.
pub(super) fn scheduled(connection: &Connection, limit: usize) -> Result<Vec<(EndpointId, i64)>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(SCHEDULED)?;
    let endpoints = statement.query_map([limit], |row| Ok((EndpointId(row.get(0)?), row.get(1)?)))?;
    endpoints.collect::<Result<_, _>>().map_err(StoreError::from)
}

/// How many messages wait.
pub(super) fn waiting(connection: &Connection) -> Result<u32, StoreError> {
    connection.prepare_cached(WAITING)?.query_row([], |row| row.get(0)).map_err(StoreError::from)
}

/// What an endpoint is to be sent first.
pub(super) fn head(connection: &Connection, endpoint: EndpointId) -> Result<Option<Message>, StoreError> {
    let message = |row: &Row<'_>| {
        Ok(Message {
            row: row.get(0)?,
            endpoint,
            public_id: row.get(1)?,
            kind: row.get(2)?,
            payload: row.get(3)?,
            queued_at: row.get(4)?,
            attempts: row.get(5)?,
            family: row.get(6)?,
            url: row.get(7)?,
            secret: Secret::new(row.get::<_, String>(8)?),
        })
    };
    connection.prepare_cached(HEAD)?.query_row([endpoint.0], message).optional().map_err(StoreError::from)
}

/// Writes an outcome down and plans the endpoint's next try; answers with the message that may be sent at once.
pub(super) fn settle(
    tx: &Tx<'_>,
    row: i64,
    endpoint: EndpointId,
    outcome: &Outcome,
) -> Result<Option<Message>, StoreError> {
    let at = match outcome {
        Outcome::Delivered { status, at } => {
            tx.prepare_cached(DELIVERED)?.execute(params![row, at, status])?;
            *at
        }
        Outcome::Failed { status, error, at, next_try_at: Some(next_try_at) } => {
            tx.prepare_cached(FAILED)?.execute(params![row, at, status, error])?;
            tx.prepare_cached(PUT_OFF)?.execute(params![endpoint.0, next_try_at])?;
            return Ok(None);
        }
        Outcome::Failed { status, error, at, next_try_at: None } => {
            tx.prepare_cached(PARKED)?.execute(params![row, at, status, error])?;
            *at
        }
    };
    reschedule(tx, endpoint, at)?;
    head(tx, endpoint)
}

/// Due now if a message waits, else not at all.
pub(super) fn reschedule(tx: &Tx<'_>, endpoint: EndpointId, now: i64) -> Result<(), StoreError> {
    tx.prepare_cached(RESCHEDULE)?.execute(params![endpoint.0, now])?;
    Ok(())
}
