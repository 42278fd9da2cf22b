//! `Idempotency-Key`: the same request sent twice does its work once and is answered alike.
//!
//! The answer is kept in the transaction of the effect, so there is no moment in which one exists without
//! the other. Handlers call [`seen`] first thing in their transaction and [`remember`] last. A request that
//! failed changed nothing and is not remembered: it may be sent again. A handler that must do slow work before
//! its transaction may ask [`seen`] on a reader first, to spare it; only the transaction decides.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bitcoin::hashes::{Hash, sha256};
use rusqlite::{Connection, OptionalExtension, params};

use super::respond;
use crate::store::{StoreError, Tx};

/// Bytes of a key.
const LONGEST: usize = 256;

/// How long an answer is kept.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// Rows pruned in one transaction, so that no commit becomes long.
const PRUNED_AT_ONCE: i64 = 1000;

/// Names of the header; the second is what clients of older APIs send.
const HEADERS: [&str; 2] = ["idempotency-key", "x-idempotency-key"];

/// A request that asks to be done only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    key: String,
    caller: String,
    route: String,
    body_hash: [u8; 32],
}

/// The header holds no usable key: 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key must be 1 to 256 printable ASCII characters")]
pub struct BadKey;

/// Why a request must not be done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotOnce {
    /// The key was used for another request.
    #[error("this key was used for another request")]
    KeyReused,
    /// Nobody can tell.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// HTTP status.
    pub status: u16,
    /// The JSON body, byte for byte.
    pub body: Vec<u8>,
}

impl Recorded {
    /// The same answer again, marked `Idempotency-Replayed: true`.
    pub fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = respond::json_bytes(status, self.body);
        let replayed = axum::http::HeaderValue::from_static("true");
        response.headers_mut().insert("idempotency-replayed", replayed);
        response
    }
}

/// What was done, or what a request with the same key was answered before.
#[derive(Debug)]
pub enum Reply {
    /// Done now: status and JSON body.
    New(StatusCode, Vec<u8>),
    /// Done before.
    Replayed(Recorded),
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        respond::no_store(match self {
            Self::New(status, body) => respond::json_bytes(status, body),
            Self::Replayed(recorded) => recorded.into_response(),
        })
    }
}

impl Ask {
    /// Reads the header. `caller` keeps callers apart: the account, or for public routes the client's address, since
    /// the answer may hold what only this caller may see. `body` is the raw request body.
    ///
    /// # Errors
    /// [`BadKey`]; no header at all is `None`.
    pub fn read(headers: &HeaderMap, caller: &str, route: &str, body: &[u8]) -> Result<Option<Self>, BadKey> {
        let Some(value) = HEADERS.iter().find_map(|name| headers.get(*name)) else {
            return Ok(None);
        };
        let key = value.to_str().map_err(|_| BadKey)?.trim();
        if key.is_empty() || key.len() > LONGEST {
            return Err(BadKey);
        }
        Ok(Some(Self {
            key: key.to_owned(),
            caller: caller.to_owned(),
            route: route.to_owned(),
            body_hash: sha256::Hash::hash(body).to_byte_array(),
        }))
    }

    /// The key as it was sent.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The digest of the body that came with it.
    pub fn body_hash(&self) -> [u8; 32] {
        self.body_hash
    }
}

const LOOKUP: &str =
    "SELECT route, body_hash, status, response FROM idempotency WHERE caller = ?1 AND key = ?2";
const REMEMBER: &str = "INSERT INTO idempotency (caller, key, route, body_hash, status, response, created_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const PRUNE: &str = "DELETE FROM idempotency WHERE (caller, key) IN
     (SELECT caller, key FROM idempotency WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";

/// What this request was answered, if it was done before: then nothing must be done but to answer so again.
///
/// # Errors
/// [`NotOnce`].
pub fn seen(connection: &Connection, ask: Option<&Ask>) -> Result<Option<Recorded>, NotOnce> {
    let Some(ask) = ask else { return Ok(None) };
    let found = connection
        .prepare_cached(LOOKUP)
        .and_then(|mut statement| {
            let read = statement.query_row(params![ask.caller, ask.key], |row| {
                let same =
                    row.get::<_, String>(0)? == ask.route && row.get::<_, [u8; 32]>(1)? == ask.body_hash;
                Ok((same, Recorded { status: row.get(2)?, body: row.get(3)? }))
            });
            read.optional()
        })
        .map_err(StoreError::from)?;
    match found {
        None => Ok(None),
        Some((true, recorded)) => Ok(Some(recorded)),
        Some((false, _)) => Err(NotOnce::KeyReused),
    }
}

/// Keeps the answer to a request that asks to be done only once, in the transaction of the effect.
///
/// # Errors
/// A second answer to the same request is a constraint's error: the transaction must not be kept.
pub fn remember(
    tx: &Tx<'_>,
    ask: Option<&Ask>,
    status: StatusCode,
    body: &[u8],
    now_ms: i64,
) -> Result<(), StoreError> {
    let Some(ask) = ask else { return Ok(()) };
    let row = params![ask.caller, ask.key, ask.route, ask.body_hash, status.as_u16(), body, now_ms];
    tx.prepare_cached(REMEMBER)?.execute(row)?;
    Ok(())
}

/// Forgets some answers older than 24 hours; `true` if there may be more.
///
/// # Errors
/// The statement's.
pub fn prune(tx: &Tx<'_>, now_ms: i64) -> Result<bool, StoreError> {
    let gone = tx.prepare_cached(PRUNE)?.execute(params![now_ms.saturating_sub(KEPT_MS), PRUNED_AT_ONCE])?;
    Ok(i64::try_from(gone).is_ok_and(|gone| gone >= PRUNED_AT_ONCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn open() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("satchel.db")).unwrap();
        (folder, store)
    }

    fn ask(key: &str, caller: &str, route: &str, body: &str) -> Ask {
        let mut headers = HeaderMap::new();
        headers.insert("Idempotency-Key", key.parse().unwrap());
        Ask::read(&headers, caller, route, body.as_bytes()).unwrap().unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_at_once_one_is_done_and_all_are_answered_alike() {
        let (_folder, store) = open();
        let tries = (0..50).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write::<_, StoreError>(move |tx| {
                        let ask = ask("k", "shop", "POST /create", "{}");
                        if let Some(recorded) = seen(tx, Some(&ask)).expect("it is the same request") {
                            return Ok(recorded.body);
                        }
                        let body = format!("{{\"n\":{number}}}").into_bytes();
                        remember(tx, Some(&ask), StatusCode::CREATED, &body, 1)?;
                        Ok(body)
                    })
                    .await
                    .unwrap()
            })
        });
        let mut answers = Vec::new();
        for answer in tries.collect::<Vec<_>>() {
            answers.push(answer.await.unwrap());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
    }

    #[test]
    fn another_request_under_the_key_is_a_mismatch_and_another_caller_is_fresh() {
        let (_folder, store) = open();
        let first = ask("k", "shop", "POST /create", "{}");
        store
            .write_blocking::<_, StoreError>(move |tx| {
                remember(tx, Some(&first), StatusCode::CREATED, b"{}", 1)?;
                let seen = |ask: Ask| seen(tx, Some(&ask));
                let before = Recorded { status: 201, body: b"{}".to_vec() };
                assert_eq!(seen(first.clone()).unwrap(), Some(before));
                for other in [("POST /create", "{ }"), ("POST /redeem", "{}")] {
                    let mismatch = seen(ask("k", "shop", other.0, other.1)).unwrap_err();
                    assert!(matches!(mismatch, NotOnce::KeyReused));
                }
                assert_eq!(seen(ask("k", "other", "POST /create", "{}")).unwrap(), None);
                assert!(remember(tx, Some(&first), StatusCode::OK, b"{}", 1).is_err());
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn answers_are_kept_for_two_days() {
        let (_folder, store) = open();
        store
            .write_blocking::<_, StoreError>(|tx| {
                let (old, new) = (ask("old", "", "", ""), ask("new", "", "", ""));
                remember(tx, Some(&old), StatusCode::OK, b"", 0)?;
                remember(tx, Some(&new), StatusCode::OK, b"", 1)?;
                assert!(!prune(tx, KEPT_MS + 1)?);
                assert!(seen(tx, Some(&old)).unwrap().is_none());
                assert!(seen(tx, Some(&new)).unwrap().is_some());
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn keys_have_a_length() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("X-Idempotency-Key", value.parse().unwrap());
            Ask::read(&headers, "", "", b"")
        };
        assert!(read(&"k".repeat(256)).unwrap().is_some());
        assert_eq!(read(&"k".repeat(257)), Err(BadKey));
        assert_eq!(read(" "), Err(BadKey));
        assert_eq!(Ask::read(&HeaderMap::new(), "", "", b""), Ok(None));
    }
}
