//! Logged-in browsers. The cookie holds 32 random bytes; only their SHA-256 is kept.
//!
//! A session lasts 90 days from its last use, true to the day.

use std::fmt;

use bitcoin::hashes::{Hash, sha256};
use rusqlite::{Connection, OptionalExtension, params};

use super::{User, store};
use crate::core::ids::{NoRandomness, UserId, random_bytes};
use crate::core::time::UnixMillis;
use crate::storage::{StoreError, Tx};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// From the last use.
const LASTS_MS: i64 = 90 * DAY_MS;

/// Rows pruned in one transaction, so that no commit becomes long.
const PRUNED_AT_ONCE: i64 = 500;

/// What a browser shows to say who it is.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn random() -> Result<Self, NoRandomness> {
        random_bytes().map(Self)
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> [u8; 32] {
        sha256::Hash::hash(&self.0).to_byte_array()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Writes a session down; its cookie may leave after the commit.
///
/// # Errors
/// The store's.
pub fn insert(tx: &Tx<'_>, hash: [u8; 32], user: UserId, now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO tip_sessions (hash, user_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![hash, user, now, now.saturating_add(LASTS_MS)])?;
    Ok(())
}

/// Whose session this is, if it isn't over, and when it ends.
pub(super) fn find(
    connection: &Connection,
    hash: [u8; 32],
    now: UnixMillis,
) -> Result<Option<(User, UnixMillis)>, StoreError> {
    let found = connection
        .prepare_cached("SELECT user_id, expires_at FROM tip_sessions WHERE hash = ?1 AND expires_at > ?2")?
        .query_row(params![hash, now], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((user, expires_at)) = found else { return Ok(None) };
    Ok(store::by_id(connection, user)?.map(|user| (user, expires_at)))
}

/// Whether the last day of use has been written down.
pub(super) fn is_fresh(expires_at: UnixMillis, now: UnixMillis) -> bool {
    expires_at > now.saturating_add(LASTS_MS - DAY_MS)
}

/// Writes a day of use down.
pub(super) fn slide(tx: &Tx<'_>, hash: [u8; 32], now: UnixMillis) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE tip_sessions SET expires_at = ?2 WHERE hash = ?1 AND expires_at > ?3")?
        .execute(params![hash, now.saturating_add(LASTS_MS), now])?;
    Ok(())
}

/// Ends a session, and with it a guest who never claimed anything.
pub(super) fn end(tx: &Tx<'_>, hash: [u8; 32]) -> Result<(), StoreError> {
    let user = tx
        .prepare_cached("DELETE FROM tip_sessions WHERE hash = ?1 RETURNING user_id")?
        .query_row([hash], |row| row.get(0))
        .optional()?;
    user.map_or(Ok(()), |user| store::forget_guest(tx, user))
}

/// As [`super::prune`].
pub(super) fn prune(tx: &Tx<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM tip_sessions WHERE hash IN
             (SELECT hash FROM tip_sessions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
         RETURNING user_id",
    )?;
    let users = statement.query_map(params![now, PRUNED_AT_ONCE], |row| row.get(0))?;
    let users = users.collect::<Result<Vec<UserId>, _>>()?;
    for user in &users {
        store::forget_idle(tx, *user)?;
    }
    Ok(i64::try_from(users.len()).is_ok_and(|gone| gone >= PRUNED_AT_ONCE))
}
