//! The operator's event log: what happened, durable, in order, to be followed and resumed.
//!
//! Events are written in the transaction that causes them. `/events` streams them; a reader that was away
//! goes on after the last id it saw, and is told if what it missed has been pruned.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::value::RawValue;

use super::live::{Hub, StreamPermit, Subscription, TooMany, sse_response};
use super::now_ms;
use crate::storage::{Store, StoreError, Tx};

/// The hub's topic of the log.
const TOPIC: &str = "event-log";

/// Events read at once.
const PAGE: i64 = 200;

/// Rows pruned in one transaction, so that no commit becomes long.
const PRUNED_AT_ONCE: i64 = 1000;

/// What is sent instead of events that are no longer there.
const PRUNED: &str = "events.pruned";

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct EventLog {
    store: Store,
    hub: Arc<Hub>,
}

/// One event, as it is stored and sent.
#[derive(Debug, Serialize)]
pub struct LoggedEvent {
    /// Grows, is never used twice.
    pub id: i64,
    /// Unix milliseconds.
    pub at: i64,
    /// What happened: `gift.redeemed`, `channel.closed`.
    pub kind: String,
    /// To which object: its public id.
    pub subject: String,
    /// The rest, by kind.
    pub data: Box<RawValue>,
}

/// How much of the log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Events older than this go.
    pub for_ms: i64,
    /// Only the newest so many stay.
    pub rows: i64,
}

impl Default for Keep {
    fn default() -> Self {
        Self { for_ms: 90 * 24 * 60 * 60 * 1000, rows: 1_000_000 }
    }
}

const INSERT: &str = "INSERT INTO event_log (at, kind, subject, data) VALUES (?1, ?2, seal(?3), seal(?4))";
const AFTER: &str =
    "SELECT id, at, kind, unseal(subject), unseal(data) FROM event_log WHERE id > ?1 ORDER BY id LIMIT ?2";
const OLDEST: &str = "SELECT id FROM event_log ORDER BY id LIMIT 1";
const NEWEST: &str = "SELECT id FROM event_log ORDER BY id DESC LIMIT 1";
const PRUNE: &str =
    "DELETE FROM event_log WHERE id IN (SELECT id FROM event_log WHERE at < ?1 ORDER BY at LIMIT ?2)";
const PRUNE_ROWS: &str = "DELETE FROM event_log WHERE id IN
     (SELECT id FROM event_log WHERE id <= (SELECT max(id) FROM event_log) - ?1 ORDER BY id LIMIT ?2)";

impl EventLog {
    /// The log in this store, followed through this hub.
    pub fn new(store: Store, hub: Arc<Hub>) -> Self {
        Self { store, hub }
    }

    /// Writes an event in the transaction that causes it, and wakes followers once that is durable.
    /// `data` must hold no secret: no key, no code, no webhook address.
    ///
    /// # Errors
    /// The statement's; data that is not JSON counts as one.
    pub fn record(
        &self,
        tx: &Tx<'_>,
        kind: &str,
        subject: &str,
        data: &impl Serialize,
    ) -> Result<(), StoreError> {
        let data = serde_json::to_string(data)
            .map_err(|error| StoreError::from(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))?;
        tx.prepare_cached(INSERT)?.execute(params![now_ms(), kind, subject, data])?;
        let hub = Arc::clone(&self.hub);
        tx.after_commit(move || hub.tell(TOPIC));
        Ok(())
    }

    /// Events after an id, oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// The query's.
    pub async fn after(&self, id: i64, limit: i64) -> Result<Vec<LoggedEvent>, StoreError> {
        self.store.read(move |connection| after(connection, id, limit)).await
    }

    /// Follows the log: what came after `last_seen`, or, without one, what comes from now on.
    ///
    /// # Errors
    /// [`TooMany`] streams.
    pub fn follow(&self, last_seen: Option<i64>) -> Result<Response, TooMany> {
        let permit = self.hub.operator_permit()?;
        let reader = Reader {
            subscription: self.hub.subscribe(TOPIC),
            store: self.store.clone(),
            last_seen,
            started: false,
            waiting: VecDeque::new(),
            _permit: permit,
        };
        Ok(sse_response(stream::unfold(reader, Reader::next)))
    }
}

/// Where a reader was: the header of an `EventSource` that comes back.
pub fn last_event_id(headers: &HeaderMap) -> Option<i64> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

/// Removes some of the oldest events; `true` if there may be more to remove.
///
/// # Errors
/// The statement's.
pub fn prune(tx: &Tx<'_>, now_ms: i64, keep: Keep) -> Result<bool, StoreError> {
    let old =
        tx.prepare_cached(PRUNE)?.execute(params![now_ms.saturating_sub(keep.for_ms), PRUNED_AT_ONCE])?;
    let over = tx.prepare_cached(PRUNE_ROWS)?.execute(params![keep.rows, PRUNED_AT_ONCE])?;
    Ok(i64::try_from(old.max(over)).is_ok_and(|gone| gone >= PRUNED_AT_ONCE))
}

struct Reader {
    subscription: Subscription,
    store: Store,
    last_seen: Option<i64>,
    started: bool,
    waiting: VecDeque<LoggedEvent>,
    _permit: StreamPermit,
}

impl Reader {
    /// The next event; `None` ends the stream, and the client comes back with its last id.
    async fn next(mut self) -> Option<(Event, Self)> {
        if !self.started {
            self.started = true;
            if let Some(event) = self.start().await? {
                return Some((event, self));
            }
        }
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.last_seen = Some(event.id);
                return Some((wire(&event)?, self));
            }
            let last_seen = self.last_seen.unwrap_or(0);
            let page = self.store.read(move |connection| after(connection, last_seen, PAGE)).await;
            self.waiting = page
                .inspect_err(|error| tracing::warn!(%error, "the event log is not readable"))
                .ok()?
                .into();
            if self.waiting.is_empty() && !self.subscription.changed().await {
                return None;
            }
        }
    }

    /// Finds the place to start from. `Some(Some(event))`: tells of a gap first.
    async fn start(&mut self) -> Option<Option<Event>> {
        let ends = |connection: &Connection| {
            let end =
                |sql| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0)).optional();
            Ok::<_, StoreError>((end(OLDEST)?, end(NEWEST)?))
        };
        let (oldest, newest) = self.store.read(ends).await.ok()?;
        let Some(last_seen) = self.last_seen else {
            self.last_seen = newest;
            return Some(None);
        };
        // A log that was emptied, or one whose file was replaced, has ended before the reader's place.
        let behind = oldest.is_some_and(|oldest| last_seen < oldest.saturating_sub(1));
        let ahead = newest.is_none_or(|newest| last_seen > newest) && last_seen > 0;
        if !behind && !ahead {
            return Some(None);
        }
        let resumes_after = oldest.map_or(0, |oldest| oldest.saturating_sub(1));
        self.last_seen = Some(resumes_after);
        let data = serde_json::json!({ "asked_after": last_seen, "resumes_after": resumes_after });
        let gap = LoggedEvent {
            id: resumes_after,
            at: now_ms(),
            kind: PRUNED.to_owned(),
            subject: String::new(),
            data: serde_json::value::to_raw_value(&data).ok()?,
        };
        Some(Some(wire(&gap)?))
    }
}

fn wire(event: &LoggedEvent) -> Option<Event> {
    let json = serde_json::to_string(event).ok()?;
    Some(Event::default().id(event.id.to_string()).data(json))
}

fn after(connection: &Connection, id: i64, limit: i64) -> Result<Vec<LoggedEvent>, StoreError> {
    let mut statement = connection.prepare_cached(AFTER)?;
    let events = statement.query_map(params![id, limit], |row| {
        let data = RawValue::from_string(row.get(4)?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(4, rusqlite::types::Type::Text, error.into())
        })?;
        Ok(LoggedEvent { id: row.get(0)?, at: row.get(1)?, kind: row.get(2)?, subject: row.get(3)?, data })
    })?;
    events.collect::<Result<_, _>>().map_err(StoreError::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::live::HubSettings;
    use futures_util::StreamExt;
    use std::time::Duration;

    fn open() -> (tempfile::TempDir, Store, EventLog) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
        (folder, store.clone(), EventLog::new(store, Hub::new(HubSettings::default())))
    }

    fn write(store: &Store, log: &EventLog, subject: &'static str) {
        let log = log.clone();
        store
            .write_blocking(move |tx| log.record(tx, "gift.paid", subject, &serde_json::json!({"sat": 1})))
            .unwrap();
    }

    struct Following(axum::body::BodyDataStream);

    impl Following {
        fn start(log: &EventLog, last_seen: Option<i64>) -> Self {
            Self(log.follow(last_seen).unwrap().into_body().into_data_stream())
        }

        async fn next(&mut self) -> Option<serde_json::Value> {
            let wait = tokio::time::timeout(Duration::from_millis(300), self.0.next());
            let text = String::from_utf8(wait.await.ok()??.unwrap().to_vec()).unwrap();
            let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
            let event: serde_json::Value = serde_json::from_str(data).unwrap();
            assert!(text.contains(&format!("id: {}\n", event["id"])));
            Some(event)
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_that_comes_back_misses_nothing() {
        let (_folder, store, log) = open();
        write(&store, &log, "a");
        let mut live = Following::start(&log, None);
        assert_eq!(live.next().await, None);
        write(&store, &log, "b");
        let event = live.next().await.unwrap();
        assert_eq!(
            (&event["subject"], &event["kind"], &event["data"]["sat"]),
            (&"b".into(), &"gift.paid".into(), &1.into())
        );
        drop(live);
        write(&store, &log, "c");
        write(&store, &log, "d");
        let mut back = Following::start(&log, event["id"].as_i64());
        assert_eq!(back.next().await.unwrap()["subject"], "c");
        assert_eq!(back.next().await.unwrap()["subject"], "d");
        assert_eq!(back.next().await, None);
        let mut whole = Following::start(&log, Some(0));
        assert_eq!(whole.next().await.unwrap()["subject"], "a");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_is_told_of_a_gap_and_ids_are_never_used_again() {
        let (_folder, store, log) = open();
        for _ in 0..5 {
            write(&store, &log, "old");
        }
        let keep = Keep { for_ms: i64::MAX, rows: 2 };
        assert!(!store.write_blocking(move |tx| prune(tx, now_ms(), keep)).unwrap());
        let mut back = Following::start(&log, Some(1));
        let gap = back.next().await.unwrap();
        assert_eq!((&gap["kind"], &gap["data"]["resumes_after"]), (&PRUNED.into(), &3.into()));
        assert_eq!(back.next().await.unwrap()["id"], 4);
        let keep = Keep { for_ms: -1000, rows: 100 };
        store.write_blocking(move |tx| prune(tx, now_ms(), keep)).unwrap();
        assert!(log.after(0, 100).await.unwrap().is_empty());
        write(&store, &log, "new");
        assert_eq!(log.after(0, 100).await.unwrap()[0].id, 6);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_rolled_back_was_never_said() {
        let (_folder, store, log) = open();
        let mut live = Following::start(&log, None);
        let failing = log.clone();
        let failed: Result<(), StoreError> = store
            .write(move |tx| {
                failing.record(tx, "gift.paid", "x", &())?;
                Err(StoreError::Closed)
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(live.next().await, None);
        let mut headers = HeaderMap::new();
        assert_eq!(last_event_id(&headers), None);
        headers.insert("Last-Event-ID", "42".parse().unwrap());
        assert_eq!(last_event_id(&headers), Some(42));
    }
}
