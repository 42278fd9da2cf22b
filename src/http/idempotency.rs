//! `Idempotency-Key`: the same request sent twice does its work once and is answered alike.
//!
//! The answer is kept in the transaction of the effect, so there is no moment in which one exists without
//! the other. Handlers call [`lookup`] first thing in their transaction and [`save`] last. A request that
//! failed changed nothing and is not remembered: it may be sent again. A handler that must do slow work before
//! its transaction may ask [`lookup`] on a reader first, to spare it; only the transaction decides.
//!
//! An answer may hold secrets. Its row is found by a digest of the key and sealed with the key itself, so that the
//! database alone shows none, and of routes without API keys the key is also what keeps callers apart: it must be one
//! that nobody guesses.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bitcoin::hashes::{Hash, HashEngine, sha256};
use rusqlite::{Connection, OptionalExtension, params};

use super::keys::Caller;
use super::respond;
use crate::core::ids::to_hex;
use crate::core::seal::Sealer;
use crate::storage::{StoreError, Tx};

/// Bytes of a key.
const LONGEST: usize = 256;

/// How long an answer is kept.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// Rows pruned in one transaction, so that no commit becomes long.
const PRUNED_AT_ONCE: i64 = 1000;

/// Bytes of a key where nothing else keeps callers apart: a UUID has 36, 16 random bytes as hex 32, in base64 22.
const SHORTEST_KEYLESS: usize = 22;

/// Different characters that such a key has at least: repetitions are no secret.
const DISTINCT_KEYLESS: usize = 8;

/// Of which so many are digits or capitals, as random keys have: words and dates in a row are no secret either.
const DIGITS_KEYLESS: usize = 4;

/// Names of the header; the second is what clients of older APIs send.
const HEADERS: [&str; 2] = ["idempotency-key", "x-idempotency-key"];

/// A request that asks to be done only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    caller: String,
    route: String,
    /// Of the JSON without insignificant white space.
    body_hash: [u8; 32],
    /// Of the bytes as they came, as rows were written before.
    raw_hash: [u8; 32],
}

/// The header holds no usable key: 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It can't be read.
    #[error("Idempotency-Key must be 1 to 256 printable ASCII characters")]
    Unreadable,
    /// Others may choose the same.
    #[error(
        "Idempotency-Key must be one that nobody guesses, at least 22 random characters: a UUID, for example"
    )]
    Guessable,
}

/// Why a request must not be done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IdempotencyError {
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

impl IdempotencyKey {
    /// Reads the header of a route for anybody. The account of an API key keeps callers apart; without one the
    /// idempotency key alone does. `service` keeps services apart.
    ///
    /// # Errors
    /// [`BadKey`]; no header at all is `None`.
    pub fn read_for_anybody(
        headers: &HeaderMap,
        caller: Option<&Caller>,
        service: &str,
        route: &str,
        body: &[u8],
    ) -> Result<Option<Self>, BadKey> {
        if let Some(caller) = caller {
            return Self::read(headers, &format!("{service} {}", caller.account), route, body);
        }
        let ask = Self::read(headers, service, route, body)?;
        match &ask {
            Some(ask) if is_guessable(&ask.key) => Err(BadKey::Guessable),
            _ => Ok(ask),
        }
    }

    /// Reads the header. `caller` keeps callers apart, since the answer may hold what only this caller may see: the
    /// account, or what else nobody but the caller can show. `body` is the raw request body.
    ///
    /// # Errors
    /// [`BadKey`]; no header at all is `None`.
    pub fn read(headers: &HeaderMap, caller: &str, route: &str, body: &[u8]) -> Result<Option<Self>, BadKey> {
        let Some(value) = HEADERS.iter().find_map(|name| headers.get(*name)) else {
            return Ok(None);
        };
        let key = value.to_str().map_err(|_| BadKey::Unreadable)?.trim();
        if key.is_empty() || key.len() > LONGEST {
            return Err(BadKey::Unreadable);
        }
        Ok(Some(Self {
            key: key.to_owned(),
            caller: caller.to_owned(),
            route: route.to_owned(),
            body_hash: match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
                Ok(_) => digest(&[&without_white_space(body)]),
                Err(_) => digest(&[body]),
            },
            raw_hash: digest(&[body]),
        }))
    }

    /// Digests of who asks, of the key, and of the route, which may name what is asked for.
    fn row(&self) -> [String; 3] {
        let caller = digest(&[b"idempotency caller", self.caller.as_bytes()]);
        let of = |part: &str, text: &str| digest(&[part.as_bytes(), &caller, text.as_bytes()]);
        let (key, route) = (of("idempotency key", &self.key), of("idempotency route", &self.route));
        [caller, key, route].map(|digest| to_hex(&digest))
    }

    /// Seals the answer: who doesn't know the key can't open it.
    fn sealer(&self) -> Sealer {
        Sealer::new(
            &digest(&[b"idempotency seal", self.caller.as_bytes(), b" ", self.key.as_bytes()]),
            "answer",
        )
    }

    /// What can be kept of the key.
    pub fn digest(&self) -> String {
        let [_, key, _] = self.row();
        key
    }

    /// The key as it was sent.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether a digest, of today or from before white space was left out, is of the body that came with it.
    pub fn is_body(&self, hash: &[u8; 32]) -> bool {
        *hash == self.body_hash || *hash == self.raw_hash
    }

    /// The digest of the body that came with it.
    pub fn body_hash(&self) -> [u8; 32] {
        self.body_hash
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut engine = sha256::HashEngine::default();
    parts.iter().for_each(|part| engine.input(part));
    sha256::Hash::from_engine(engine).to_byte_array()
}

fn is_guessable(key: &str) -> bool {
    let distinct: BTreeSet<_> = key.bytes().collect();
    let mixed = distinct.iter().filter(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()).count();
    key.len() < SHORTEST_KEYLESS || distinct.len() < DISTINCT_KEYLESS || mixed < DIGITS_KEYLESS
}

/// JSON without the white space between its tokens: programs that write the same again may lay it out anew.
pub(crate) fn without_white_space(json: &[u8]) -> Vec<u8> {
    let (mut in_text, mut escaped) = (false, false);
    let kept = json.iter().copied().filter(|byte| {
        let keep = in_text || !byte.is_ascii_whitespace();
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ => {}
        }
        keep
    });
    kept.collect()
}

const LOOKUP: &str = "SELECT route, body_hash, status, unseal(response) FROM idempotency
     WHERE caller = ?1 AND key = ?2 AND sealed = ?3";
const REMEMBER: &str =
    "INSERT INTO idempotency (caller, key, route, body_hash, status, response, created_at, sealed)
     VALUES (?1, ?2, ?3, ?4, ?5, seal(?6), ?7, 1)";
const PRUNE: &str = "DELETE FROM idempotency WHERE (caller, key) IN
     (SELECT caller, key FROM idempotency WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";

/// What this request was answered, if it was done before: then nothing must be done but to answer so again.
///
/// # Errors
/// [`IdempotencyError`].
pub fn lookup(
    connection: &Connection,
    ask: Option<&IdempotencyKey>,
) -> Result<Option<Recorded>, IdempotencyError> {
    let Some(ask) = ask else { return Ok(None) };
    let [caller, key, route] = ask.row();
    if let Some((same, recorded)) = look_up(connection, ask, [&caller, &key, &route], true)? {
        let body = ask.sealer().open(&recorded.body).filter(|_| same).ok_or(IdempotencyError::KeyReused)?;
        return Ok(Some(Recorded { body, ..recorded }));
    }
    // Rows of the day before the answers were sealed, where caller and route have the same names.
    match look_up(connection, ask, [&ask.caller, &ask.key, &ask.route], false)? {
        None => Ok(None),
        Some((true, recorded)) => Ok(Some(recorded)),
        Some((false, _)) => Err(IdempotencyError::KeyReused),
    }
}

/// A row, and whether it is of the same request.
fn look_up(
    connection: &Connection,
    ask: &IdempotencyKey,
    [caller, key, route]: [&str; 3],
    sealed: bool,
) -> Result<Option<(bool, Recorded)>, StoreError> {
    let mut statement = connection.prepare_cached(LOOKUP)?;
    let read = statement.query_row(params![caller, key, sealed], |row| {
        let hash: [u8; 32] = row.get(1)?;
        let same = row.get::<_, String>(0)? == route && ask.is_body(&hash);
        Ok((same, Recorded { status: row.get(2)?, body: row.get(3)? }))
    });
    Ok(read.optional()?)
}

/// Keeps the answer to a request that asks to be done only once, in the transaction of the effect.
///
/// # Errors
/// A second answer to the same request is a constraint's error: the transaction must not be kept.
pub fn save(
    tx: &Tx<'_>,
    ask: Option<&IdempotencyKey>,
    status: StatusCode,
    body: &[u8],
    now_ms: i64,
) -> Result<(), StoreError> {
    let Some(ask) = ask else { return Ok(()) };
    let [caller, key, route] = ask.row();
    let sealed = ask
        .sealer()
        .seal(body)
        .map_err(|error| StoreError::from(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))?;
    let row = params![caller, key, route, ask.body_hash, status.as_u16(), sealed, now_ms];
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
mod tests;
