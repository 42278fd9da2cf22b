//! The outbox: messages, their endpoints, and when to try next.
//!
//! The schedule is the endpoint's, because its messages go out one after the other: `next_try_at` is when
//! the oldest waiting one is due, and NULL when none waits. So the worker's question costs the same however
//! many messages there ever were.

use std::fmt;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use tokio::sync::Notify;

use crate::http::now_ms;
use crate::ids::{NoRandomness, Secret, random_hex};
use crate::store::{Store, StoreError, Tx};

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
    /// It waits in its queue already.
    #[error("the webhook message is waiting to be delivered already")]
    Waiting,
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

const ENDPOINT: &str =
    "INSERT INTO webhook_endpoints (family, url, secret, next_try_at) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (family, url, secret) DO UPDATE SET next_try_at = coalesce(next_try_at, excluded.next_try_at)
     RETURNING id";
const MESSAGE: &str = "INSERT INTO webhook_messages
     (public_id, endpoint_id, kind, payload, state, created_at, queued_at) VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, ?5)";
const REQUEUE: &str =
    "UPDATE webhook_messages SET state = 'waiting', queued_at = ?2, attempts = 0, finished_at = NULL
     WHERE public_id = ?1 AND state <> 'waiting' RETURNING endpoint_id";
const EXISTS: &str = "SELECT 1 FROM webhook_messages WHERE public_id = ?1";
const ROW: &str = "SELECT id FROM webhook_messages WHERE public_id = ?1";
const DUE_NOW: &str = "UPDATE webhook_endpoints SET next_try_at = ?2 WHERE id = ?1";
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
     AND NOT EXISTS (SELECT 1 FROM webhook_messages WHERE endpoint_id = ?1)";

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
        let id = MessageId(format!("msg_{}", random_hex::<16>()?));
        let now = now_ms();
        let secret = target.secret.map_or("", Secret::expose);
        let endpoint: i64 = tx
            .prepare_cached(ENDPOINT)?
            .query_row(params![target.family, target.url, secret, now], |row| row.get(0))?;
        tx.prepare_cached(MESSAGE)?.execute(params![id.0, endpoint, kind, payload, now])?;
        self.ring_after(tx);
        Ok(id)
    }

    /// Queues a finished message again, in its old place: before all that were caused later.
    ///
    /// # Errors
    /// [`OutboxError::NoSuchMessage`], [`OutboxError::Waiting`], the store's.
    pub async fn replay(&self, store: &Store, id: MessageId) -> Result<(), OutboxError> {
        let outbox = self.clone();
        store
            .write(move |tx| {
                let now = now_ms();
                let requeued =
                    tx.prepare_cached(REQUEUE)?.query_row(params![id.0, now], |row| row.get::<_, i64>(0));
                let Some(endpoint) = requeued.optional()? else {
                    let known = tx.prepare_cached(EXISTS)?.exists([&id.0])?;
                    return Err(if known { OutboxError::Waiting } else { OutboxError::NoSuchMessage });
                };
                tx.prepare_cached(DUE_NOW)?.execute(params![endpoint, now])?;
                outbox.ring_after(tx);
                Ok(())
            })
            .await
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
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("satchel.db")).unwrap();
        (folder, store)
    }

    fn send(store: &Store, url: &'static str) -> MessageId {
        let target = Target { family: "gifts", url, secret: None };
        store.write_blocking(move |tx| Outbox::default().enqueue(tx, target, "gift.redeemed", "{}")).unwrap()
    }

    fn finish(store: &Store, id: &MessageId, state: &'static str, at: i64) {
        let id = id.0.clone();
        store
            .write_blocking::<_, StoreError>(move |tx| {
                let sql = "UPDATE webhook_messages SET state = ?2, finished_at = ?3 WHERE public_id = ?1";
                tx.execute(sql, params![id, state, at])?;
                tx.execute("UPDATE webhook_endpoints SET next_try_at = NULL", [])?;
                Ok(())
            })
            .unwrap();
    }

    fn count(store: &Store, table: &'static str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        store
            .read_blocking(move |c| c.query_row(&sql, [], |row| row.get(0)).map_err(StoreError::from))
            .unwrap()
    }

    #[test]
    fn a_message_lives_and_dies_with_its_cause() {
        let (_folder, store) = open();
        let failed: Result<(), OutboxError> = store.write_blocking(|tx| {
            let target = Target { family: "gifts", url: "https://a.example/", secret: None };
            Outbox::default().enqueue(tx, target, "gift.redeemed", "{}")?;
            Err(OutboxError::NoSuchMessage)
        });
        assert!(failed.is_err());
        assert_eq!((count(&store, "webhook_messages"), count(&store, "webhook_endpoints")), (0, 0));
        assert_ne!(send(&store, "https://a.example/"), send(&store, "https://a.example/"));
        send(&store, "https://b.example/");
        assert_eq!((count(&store, "webhook_messages"), count(&store, "webhook_endpoints")), (3, 2));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_finished_messages_can_be_replayed() {
        let (_folder, store) = open();
        let outbox = Outbox::default();
        let sender = store.clone();
        let id = tokio::task::spawn_blocking(move || send(&sender, "https://a.example/")).await.unwrap();
        assert!(matches!(outbox.replay(&store, id.clone()).await, Err(OutboxError::Waiting)));
        assert!(matches!(
            outbox.replay(&store, MessageId::new("msg_x")).await,
            Err(OutboxError::NoSuchMessage)
        ));
        tokio::task::block_in_place(|| finish(&store, &id, "parked", 1));
        let parked = store.read(|connection| list(connection, true, None, 10)).await.unwrap();
        assert_eq!((parked.len(), parked[0].state), (1, MessageState::Parked));
        outbox.replay(&store, id).await.unwrap();
        assert!(store.read(|connection| list(connection, true, None, 10)).await.unwrap().is_empty());
        assert_eq!(store.read(|connection| list(connection, false, None, 10)).await.unwrap()[0].attempts, 0);
    }

    #[test]
    fn lists_go_page_by_page_from_the_newest() {
        let (_folder, store) = open();
        let ids: Vec<_> = (0..5).map(|_| send(&store, "https://a.example/")).collect();
        let page =
            |before| store.read_blocking(move |connection| list(connection, false, before, 2)).unwrap();
        let (first, second) = (page(None), page(page(None).last().map(|last| last.row)));
        assert_eq!([&first[0].id, &first[1].id, &second[0].id], [&ids[4], &ids[3], &ids[2]]);
        let row = |id: MessageId| store.read_blocking(move |connection| row_of(connection, &id)).unwrap();
        assert_eq!(row(ids[3].clone()), Some(first[1].row));
        assert_eq!(row(MessageId::new("msg_x")), None);
    }

    #[test]
    fn pruning_takes_what_is_finished_and_old_and_what_is_left_without_messages() {
        let (_folder, store) = open();
        let now = 100 * 24 * 60 * 60 * 1000;
        let (old, young) = (send(&store, "https://a.example/"), send(&store, "https://b.example/"));
        let (parked, waiting) = (send(&store, "https://c.example/"), send(&store, "https://d.example/"));
        finish(&store, &old, "delivered", now - DELIVERED_KEPT_MS - 1);
        finish(&store, &young, "delivered", now - DELIVERED_KEPT_MS);
        finish(&store, &parked, "parked", now - DELIVERED_KEPT_MS - 1);
        assert!(!store.write_blocking(move |tx| prune(tx, now)).unwrap());
        let left = store.read_blocking(|connection| list(connection, false, None, 10)).unwrap();
        assert_eq!(left.into_iter().map(|message| message.id).collect::<Vec<_>>(), [waiting, parked, young]);
        assert_eq!(count(&store, "webhook_endpoints"), 3);
    }
}
