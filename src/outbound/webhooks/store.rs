//! The outbox: messages, their endpoints, and when to try next.
//!
//! An endpoint's messages go out one after the other: its `next_try_at` is when the first of them is due, and NULL
//! when none waits. So the worker's question costs the same however many messages there ever were. A message has one
//! of its own only after it was refused; [`schedule`](super::schedule) tells of both.

mod listeners;

use std::fmt;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use tokio::sync::Notify;

pub use super::lanes::Owner;
use super::schedule::LONGEST_WHILE_YOUNG;
use crate::core::ids::{NoRandomness, Secret, random_hex};
use crate::core::time::millis;
use crate::http::now_ms;
use crate::storage::{Store, StoreError, Tx};

/// Delivered messages are kept for a week, for whoever asks "did you send it?".
const DELIVERED_KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Parked ones longer: someone may want to replay them.
const PARKED_KEPT_MS: i64 = 60 * 24 * 60 * 60 * 1000;

/// Rows pruned in one transaction, so that no commit becomes long.
const PRUNED_AT_ONCE: i64 = 1000;

/// The public id of a message: what receivers get as `webhook-id`, and tell doubles by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// The id in a request. Any text will do: an unknown one finds nothing.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a message goes. All messages of the same family, URL and secret are one queue.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Which family's, for its own header.
    pub family: &'a str,
    /// Checked by the guard when it was given.
    pub url: &'a str,
    /// Signs the messages; without one they go unsigned.
    pub secret: Option<&'a Secret>,
    /// Who gave it: deliveries have places by that.
    pub owner: Owner,
}

/// How a message is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// In its queue.
    Waiting,
    /// The receiver answered with 2xx.
    Delivered,
    /// Given up; can be replayed.
    Parked,
}

impl MessageState {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Parked => "parked",
        }
    }
}

/// A message as the operator sees it. Times are unix milliseconds. The secret is not among it.
#[derive(Clone, Debug, Serialize)]
pub struct MessageInfo {
    /// Its public id.
    pub id: MessageId,
    /// Position in the list, for the next page.
    pub row: i64,
    /// Whose it is.
    pub family: String,
    /// Where it goes. May be a secret in itself: for the operator's eyes only.
    pub url: String,
    /// What it tells: `gift.redeemed`.
    pub kind: String,
    /// How it is doing.
    pub state: MessageState,
    /// When its cause was committed.
    pub created_at: i64,
    /// How often it was tried since it was last queued.
    pub attempts: i64,
    /// When that was last.
    pub last_try_at: Option<i64>,
    /// HTTP status of the last answer.
    pub last_status: Option<u16>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// Why a message could not be queued or replayed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OutboxError {
    /// No such message.
    #[error("there is no such webhook message")]
    NoSuchMessage,
    /// Whom it was for has taken the address away.
    #[error("the account has no address for this webhook message any more")]
    NobodyListens,
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness, no id.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

impl From<rusqlite::Error> for OutboxError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The way into the outbox. Cheap to clone; all clones wake the same worker.
#[derive(Clone, Default)]
pub struct Outbox {
    pub(super) bell: Arc<Notify>,
}

// While it doesn't answer, a new message waits for the next try, though not for long: see `schedule`.
const ENDPOINT: &str = "INSERT INTO webhook_endpoints (family, url, secret, next_try_at, strangers, lane)
     VALUES (?1, ?2, seal(?3), ?4, ?6, ?7)
     ON CONFLICT (family, url, secret) DO UPDATE SET
         strangers = min(strangers, excluded.strangers),
         lane = CASE WHEN excluded.strangers <= strangers THEN excluded.lane ELSE lane END,
         next_try_at = min(coalesce(next_try_at, ?4), CASE WHEN failures > 0 THEN ?5 ELSE ?4 END)
     RETURNING id";
const MESSAGE: &str = "INSERT INTO webhook_messages
     (public_id, endpoint_id, kind, payload, state, created_at, queued_at, listener)
     VALUES (?1, ?2, ?3, seal(?4), 'waiting', ?5, ?5, ?6)";
const TO_REPLAY: &str = "SELECT m.endpoint_id, l.name IS NOT NULL, l.endpoint_id FROM webhook_messages m
     LEFT JOIN webhook_listeners l ON l.name = m.listener WHERE m.public_id = ?1";
const REQUEUE: &str =
    "UPDATE webhook_messages SET state = 'waiting', endpoint_id = ?2, queued_at = ?3, attempts = 0,
     refusals = 0, next_try_at = 0, finished_at = NULL WHERE public_id = ?1";
const ROW: &str = "SELECT id FROM webhook_messages WHERE public_id = ?1";
const DUE_NOW: &str = "UPDATE webhook_endpoints SET next_try_at = ?2, failures = 0 WHERE id = ?1";
const LIST: &str =
    "SELECT m.id, m.public_id, e.family, e.url, m.kind, m.state, m.created_at, m.attempts, m.last_try_at,
            m.last_status, m.last_error
     FROM webhook_messages m JOIN webhook_endpoints e ON e.id = m.endpoint_id
     WHERE m.id < ?1 ORDER BY m.id DESC LIMIT ?2";
const LIST_PARKED: &str =
    "SELECT m.id, m.public_id, e.family, e.url, m.kind, m.state, m.created_at, m.attempts,
            m.last_try_at, m.last_status, m.last_error
     FROM webhook_messages m JOIN webhook_endpoints e ON e.id = m.endpoint_id
     WHERE m.id < ?1 AND m.state = 'parked' ORDER BY m.id DESC LIMIT ?2";
const PRUNE: &str = "DELETE FROM webhook_messages WHERE id IN
     (SELECT id FROM webhook_messages WHERE finished_at < ?1 AND state = ?2 ORDER BY finished_at LIMIT ?3)
     RETURNING endpoint_id";
const PRUNE_ENDPOINT: &str = "DELETE FROM webhook_endpoints WHERE id = ?1
     AND NOT EXISTS (SELECT 1 FROM webhook_messages WHERE endpoint_id = ?1)
     AND NOT EXISTS (SELECT 1 FROM webhook_listeners WHERE endpoint_id = ?1)";

impl Outbox {
    /// Queues a message in the transaction that causes it, and wakes the worker once that is durable.
    /// `payload` is JSON and is sent byte for byte.
    ///
    /// # Errors
    /// The statements', or no randomness: the transaction must not be kept.
    pub fn enqueue(
        &self,
        tx: &Tx<'_>,
        target: Target<'_>,
        kind: &str,
        payload: &str,
    ) -> Result<MessageId, OutboxError> {
        self.put(tx, None, target, kind, payload)
    }

    fn put(
        &self,
        tx: &Tx<'_>,
        listener: Option<&str>,
        target: Target<'_>,
        kind: &str,
        payload: &str,
    ) -> Result<MessageId, OutboxError> {
        let id = MessageId(format!("msg_{}", random_hex::<16>()?));
        let now = now_ms();
        let soon = now.saturating_add(millis(LONGEST_WHILE_YOUNG));
        let secret = target.secret.map_or("", Secret::expose);
        let (stranger, lane) = (target.owner.is_stranger(), target.owner.lane(target.url));
        let endpoint: i64 = tx
            .prepare_cached(ENDPOINT)?
            .query_row(params![target.family, target.url, secret, now, soon, stranger, lane], |row| {
                row.get(0)
            })?;
        tx.prepare_cached(MESSAGE)?.execute(params![id.0, endpoint, kind, payload, now, listener])?;
        self.ring_after(tx);
        Ok(id)
    }

    /// Queues a message again, whatever became of it, in its old place: before all that were caused later. It is
    /// due now, and goes to where its listener listens now. One that waits waits no longer, and has its whole time again.
    ///
    /// # Errors
    /// [`OutboxError::NoSuchMessage`], [`OutboxError::NobodyListens`], the store's.
    pub async fn replay(&self, store: &Store, id: MessageId) -> Result<(), OutboxError> {
        let outbox = self.clone();
        store
            .write(move |tx| {
                let now = now_ms();
                let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                let found: Option<(i64, bool, Option<i64>)> =
                    tx.prepare_cached(TO_REPLAY)?.query_row([&id.0], read).optional()?;
                let endpoint = match found.ok_or(OutboxError::NoSuchMessage)? {
                    (_, true, None) => return Err(OutboxError::NobodyListens),
                    (old, _, new) => new.unwrap_or(old),
                };
                tx.prepare_cached(REQUEUE)?.execute(params![id.0, endpoint, now])?;
                Ok(outbox.due_now(tx, endpoint, now)?)
            })
            .await
    }

    /// The endpoint is tried at once, whatever it did before.
    fn due_now(&self, tx: &Tx<'_>, endpoint: i64, now: i64) -> Result<(), StoreError> {
        tx.prepare_cached(DUE_NOW)?.execute([endpoint, now])?;
        self.ring_after(tx);
        Ok(())
    }

    fn ring_after(&self, tx: &Tx<'_>) {
        let bell = Arc::clone(&self.bell);
        tx.after_commit(move || bell.notify_one());
    }
}

/// The newest messages first: all, or only the parked ones. `before` is the `row` of the last page's last.
///
/// # Errors
/// The query's.
pub fn list(
    connection: &Connection,
    only_parked: bool,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<MessageInfo>, StoreError> {
    let mut statement = connection.prepare_cached(if only_parked { LIST_PARKED } else { LIST })?;
    let messages = statement.query_map(params![before.unwrap_or(i64::MAX), limit], info_of)?;
    messages.collect::<Result<_, _>>().map_err(StoreError::from)
}

/// Removes some finished messages that nobody will ask for, and endpoints without any; `true` if there may be more.
///
/// # Errors
/// The statements'.
pub fn prune(tx: &Tx<'_>, now_ms: i64) -> Result<bool, StoreError> {
    let mut more = false;
    for (state, kept) in
        [(MessageState::Delivered, DELIVERED_KEPT_MS), (MessageState::Parked, PARKED_KEPT_MS)]
    {
        let mut statement = tx.prepare_cached(PRUNE)?;
        let before = now_ms.saturating_sub(kept);
        let rows =
            statement.query_map(params![before, state.name(), PRUNED_AT_ONCE], |row| row.get::<_, i64>(0))?;
        let mut endpoints = rows.collect::<Result<Vec<_>, _>>()?;
        more |= i64::try_from(endpoints.len()).is_ok_and(|gone| gone >= PRUNED_AT_ONCE);
        endpoints.sort_unstable();
        endpoints.dedup();
        for endpoint in endpoints {
            tx.prepare_cached(PRUNE_ENDPOINT)?.execute([endpoint])?;
        }
    }
    Ok(more)
}

/// Where a message stands in the list; `None` if there is no such message.
///
/// # Errors
/// The query's.
pub fn row_of(connection: &Connection, id: &MessageId) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached(ROW)?;
    statement.query_row([&id.0], |row| row.get(0)).optional().map_err(StoreError::from)
}

fn info_of(row: &Row<'_>) -> rusqlite::Result<MessageInfo> {
    let state: String = row.get(5)?;
    let state =
        [MessageState::Waiting, MessageState::Delivered].into_iter().find(|known| known.name() == state);
    Ok(MessageInfo {
        row: row.get(0)?,
        id: MessageId(row.get(1)?),
        family: row.get(2)?,
        url: row.get(3)?,
        kind: row.get(4)?,
        state: state.unwrap_or(MessageState::Parked),
        created_at: row.get(6)?,
        attempts: row.get(7)?,
        last_try_at: row.get(8)?,
        last_status: row.get(9)?,
        last_error: row.get(10)?,
    })
}

#[cfg(test)]
mod tests;
