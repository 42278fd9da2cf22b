//! API keys: made once, shown once, kept as a hash.
//!
//! A key is 256 random bits, so its plain SHA-256 tells nothing about it, and looking that hash up tells
//! by its timing nothing either. Keys have scopes and belong to an account. Handlers learn who calls from
//! [`Caller`], which the middleware [`require_scope`] puts on the request.

mod cache;
mod middleware;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use bitcoin::hashes::{Hash, sha256};
use ipnet::IpNet;
use rusqlite::Connection;

use self::cache::Cache;
use self::cache::Known;
pub use self::middleware::{AnyGate, Gate, recognise, require_any_scope, require_scope};
use self::rows::NewRow;
pub use self::rows::account_or_new;
use super::{client, now_ms};
use crate::core::ids::{AccountId, NoRandomness, Secret, random_hex, to_hex};
pub use crate::core::scope::{BadScope, Scope};
use crate::core::time::UnixMillis;
use crate::storage::{Store, StoreError, Tx};

/// Every key begins so: a leaked one is recognised, by people and by scanners.
pub(crate) const MARK: &str = "satchel_";

/// Hex digits after the mark.
const DIGITS: usize = 64;

/// How much of a key is shown in lists: the mark and eight digits.
const SHOWN: usize = MARK.len() + 8;

/// The account of keys that were made without naming one.
pub const DEFAULT_ACCOUNT: &str = "default";

/// The last use is written down at most this often.
const LAST_USED_STEP_MS: i64 = 60 * 60 * 1000;

/// How often a stream looks whether its key is still good, besides each change of a key.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Between two looks while the store does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Row id of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub i64);

/// Who calls: the outcome of authentication, and an extension of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key that was shown.
    pub key: KeyId,
    /// Whom it belongs to.
    pub account: AccountId,
    /// What it opens.
    pub scopes: Arc<[Scope]>,
}

impl Caller {
    /// Whether the key opens this; `admin` opens everything.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| *held == scope || *held == Scope::Admin)
    }
}

/// A key as lists show it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct KeyInfo {
    /// For `revoke`.
    pub id: KeyId,
    /// The account it belongs to.
    pub account: String,
    /// What the operator called it.
    pub name: String,
    /// The first characters of its text.
    pub prefix: String,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds, if it was revoked.
    pub revoked_at: Option<i64>,
    /// Unix milliseconds, true to the hour.
    pub last_used_at: Option<i64>,
    /// Unix milliseconds, if it ends by itself.
    pub expires_at: Option<i64>,
    /// From where it can be used, as CIDR; empty: from anywhere.
    pub networks: Vec<String>,
    /// Until when the text before the last rotation works, in unix milliseconds.
    pub old_expires_at: Option<i64>,
}

/// Where and until when a key is good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyBounds {
    /// It ends by itself then.
    pub expires_at: Option<UnixMillis>,
    /// From where it can be used; empty: from anywhere.
    pub networks: Vec<IpNet>,
}

/// Why a key operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyError {
    /// The key is unknown or revoked: 401.
    #[error("the API key is not valid")]
    Invalid,
    /// The key is good for other things: 403.
    #[error("the API key lacks the scope {0}")]
    Lacks(Scope),
    /// No key was given where one is needed: 401.
    #[error("an API key is required")]
    Missing,
    /// There is no such key to revoke.
    #[error("there is no such key")]
    NoSuchKey,
    /// A key must have a name and at least one scope.
    #[error("a key needs a name of 1 to 64 characters and at least one scope")]
    BadKey,
    /// The text in the key file is not a key.
    #[error("not a satchel key: it must be satchel_ and 64 hexadecimal digits")]
    BadText,
    /// The database's: 503.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness, no key.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

impl From<rusqlite::Error> for KeyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The keys in the store, and the few in use in memory.
#[derive(Clone)]
pub struct Keys {
    store: Store,
    cache: Arc<Cache>,
}

impl Keys {
    /// Keys of this store.
    pub fn new(store: Store) -> Self {
        Self { store, cache: Arc::default() }
    }

    /// Makes a key. The text is returned this once and is nowhere kept. `account` is made if it is new; without one
    /// the key gets an account of its own, so that it sees nobody else's things and nobody sees its.
    ///
    /// # Errors
    /// [`KeyError::BadKey`], [`KeyError::Store`], [`KeyError::Randomness`].
    pub async fn create(
        &self,
        name: &str,
        scopes: &[Scope],
        account: Option<&str>,
    ) -> Result<(KeyInfo, Secret), KeyError> {
        self.create_noting(name, scopes, account, &KeyBounds::default(), |_, _| Ok(())).await
    }

    /// The same; `note` writes down in the same transaction that it was done.
    ///
    /// # Errors
    /// The same.
    pub async fn create_noting(
        &self,
        name: &str,
        scopes: &[Scope],
        account: Option<&str>,
        bounds: &KeyBounds,
        note: impl FnOnce(&Tx<'_>, &KeyInfo) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(KeyInfo, Secret), KeyError> {
        let text = new_key()?;
        let row = NewRow::of(&text, name, scopes, account)?.bounded(bounds);
        let info = self
            .store
            .write(move |tx| -> Result<_, KeyError> {
                let info = rows::insert(tx, &row)?;
                note(tx, &info)?;
                Ok(info)
            })
            .await?;
        Ok((info, text))
    }

    /// The account of this name, if a key was ever made for it.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub async fn account(&self, name: &str) -> Result<Option<AccountId>, KeyError> {
        let name = name.to_owned();
        self.store.read(move |connection| Ok(rows::account(connection, &name)?)).await
    }

    /// All keys, oldest first, revoked ones too.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub async fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        self.page(KeyId(0), u32::MAX).await
    }

    /// The keys after this one, at most so many.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub async fn page(&self, after: KeyId, limit: u32) -> Result<Vec<KeyInfo>, KeyError> {
        self.store.read(move |connection| rows::page(connection, after, limit)).await
    }

    /// Ends a key: once this returns no request passes with it. Revoking twice is fine.
    ///
    /// # Errors
    /// [`KeyError::NoSuchKey`], [`KeyError::Store`].
    pub async fn revoke(&self, id: KeyId) -> Result<KeyInfo, KeyError> {
        self.revoke_noting(id, |_| Ok(())).await
    }

    /// The same; `note` writes down in the same transaction that it was done.
    ///
    /// # Errors
    /// The same.
    pub async fn revoke_noting(
        &self,
        id: KeyId,
        note: impl FnOnce(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<KeyInfo, KeyError> {
        let cache = Arc::clone(&self.cache);
        let revoked = self
            .store
            .write(move |tx| {
                rows::revoke(tx, id, now_ms())?;
                tx.after_commit(move || cache.forget_all());
                let info = rows::info(tx, id)?.ok_or(KeyError::NoSuchKey)?;
                note(tx)?;
                Ok(info)
            })
            .await;
        self.forget(revoked)
    }

    /// Gives a key another text, returned this once; the old one works until `old_expires_at`. Its id, its account and
    /// whatever belongs to it stay. `note` writes down in the same transaction that it was done.
    ///
    /// # Errors
    /// [`KeyError::NoSuchKey`], also for a revoked key, while the last rotation's overlap lasts (unless this one has
    /// none), and for the key in the operator's key file, which is rotated by replacing the file; [`KeyError::Store`],
    /// [`KeyError::Randomness`].
    pub async fn rotate_noting(
        &self,
        id: KeyId,
        old_expires_at: UnixMillis,
        note: impl FnOnce(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(KeyInfo, Secret), KeyError> {
        let (text, cache) = (new_key()?, Arc::clone(&self.cache));
        let new = text.clone();
        let rotated = self
            .store
            .write(move |tx| {
                if !rows::rotate(tx, id, &new, old_expires_at)? {
                    return Err(KeyError::NoSuchKey);
                }
                tx.after_commit(move || cache.forget_all());
                let info = rows::info(tx, id)?.ok_or(KeyError::NoSuchKey)?;
                note(tx)?;
                Ok(info)
            })
            .await;
        self.forget(rotated).map(|info| (info, text))
    }

    /// Makes sure that the key in the operator's key file opens `scope`, and that no earlier key of that file (one
    /// that `ensure` brought in under the same name) still does: whoever replaces the file means to end the old one.
    ///
    /// # Errors
    /// [`KeyError::BadText`]; [`KeyError::Invalid`] if that very key has been revoked; [`KeyError::Store`].
    pub async fn ensure(&self, name: &str, text: &Secret, scope: Scope) -> Result<KeyInfo, KeyError> {
        let row = NewRow::of(text, name, &[scope], Some(DEFAULT_ACCOUNT))?.of_the_file();
        let cache = Arc::clone(&self.cache);
        let ensured = self
            .store
            .write(move |tx| {
                if rows::revoke_other_files(tx, &row, now_ms())? > 0 {
                    tx.after_commit(move || cache.forget_all());
                }
                let info = match rows::id_of(tx, row.hash)? {
                    Some(id) => rows::info(tx, id)?.ok_or(KeyError::NoSuchKey)?,
                    None => rows::insert(tx, &row)?,
                };
                if info.revoked_at.is_some() { Err(KeyError::Invalid) } else { Ok(info) }
            })
            .await;
        self.forget(ensured)
    }

    /// The store answers before it runs what was to be done after the commit, and a dropped future runs only that:
    /// so both forget.
    fn forget<T>(&self, outcome: T) -> T {
        self.cache.forget_all();
        outcome
    }

    /// Who sent this request: `None` if it shows no key of ours (another scheme of `Authorization` is not ours).
    ///
    /// # Errors
    /// [`KeyError::Invalid`] if it shows one that isn't valid, [`KeyError::Store`].
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Option<Caller>, KeyError> {
        let Some(text) = shown_key(headers) else {
            return Ok(None);
        };
        let now = now_ms();
        let known = self.known(text).await?;
        if !known.admits(now, client::address()) {
            return Err(KeyError::Invalid);
        }
        if known.is_stale(now, LAST_USED_STEP_MS) {
            let id = known.caller.key;
            self.store.write_queued("last use of a key", move |tx| {
                rows::used(tx, id, now).map_err(StoreError::from)
            })?;
        }
        Ok(Some(known.caller.clone()))
    }

    async fn known(&self, text: &str) -> Result<Arc<Known>, KeyError> {
        // What cannot be a key costs no look-up.
        let hash = hash_of(text).ok_or(KeyError::Invalid)?;
        if let Some(known) = self.cache.get(&hash) {
            return Ok(known);
        }
        let generation = self.cache.generation();
        let found = self.store.read(move |connection| rows::find(connection, hash)).await?;
        Ok(self.cache.put(hash, found.ok_or(KeyError::Invalid)?, generation))
    }

    /// Ends when the key of this text is not good any more: revoked, rotated out, or expired.
    async fn ended(self, text: Secret) {
        let mut changes = self.cache.changes();
        loop {
            let known = match self.known(text.expose()).await {
                Ok(known) => known,
                Err(KeyError::Store(_)) => {
                    tokio::time::sleep(STORE_PAUSE).await;
                    continue;
                }
                Err(_) => return,
            };
            let left = known.expires_at().map(|end| end.saturating_sub(now_ms()));
            if left.is_some_and(|left| left <= 0) {
                return;
            }
            // A clock that is set meanwhile is looked at again at least this often.
            let left =
                left.and_then(|left| u64::try_from(left).ok()).map_or(LOOK_AGAIN, Duration::from_millis);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
            }
        }
    }
}

/// A new key's text, for `create` and for the operator's key file.
///
/// # Errors
/// [`NoRandomness`].
pub fn new_key() -> Result<Secret, NoRandomness> {
    Ok(Secret::new(format!("{MARK}{}", random_hex::<{ DIGITS / 2 }>()?)))
}

/// The text of the key that these bytes are: for keys that can be derived again.
pub fn key_of(bytes: &[u8; DIGITS / 2]) -> Secret {
    Secret::new(format!("{MARK}{}", to_hex(bytes)))
}

/// Makes the key of this text in the caller's own transaction. `account` is made if it is new.
///
/// # Errors
/// [`KeyError::BadText`], [`KeyError::BadKey`], [`KeyError::Store`].
pub fn insert(
    tx: &Tx<'_>,
    text: &Secret,
    name: &str,
    scopes: &[Scope],
    account: &str,
) -> Result<(KeyInfo, AccountId), KeyError> {
    let info = rows::insert(tx, &NewRow::of(text, name, scopes, Some(account))?)?;
    let account = rows::account(tx, account)?.ok_or(KeyError::NoSuchKey)?;
    Ok((info, account))
}

/// The key of this text, revoked or not, if there is one.
///
/// # Errors
/// [`KeyError::BadText`], [`KeyError::Store`].
pub fn info(connection: &Connection, text: &Secret) -> Result<Option<KeyInfo>, KeyError> {
    let hash = hash_of(text.expose()).ok_or(KeyError::BadText)?;
    match rows::id_of(connection, hash)? {
        Some(id) => Ok(rows::info(connection, id)?),
        None => Ok(None),
    }
}

/// Whether a text has the form of a key.
pub fn is_key(text: &str) -> bool {
    hash_of(text).is_some()
}

/// What the `Authorization` lines of a request hold, one scheme and one text each: clients send two lines, or join two
/// with a comma.
pub fn authorizations(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(AUTHORIZATION).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .filter_map(|part| part.trim().split_once(' '))
        .map(|(scheme, text)| (scheme, text.trim()))
}

/// The key a request shows: `Authorization: Bearer` first, then `X-API-Key`. Of several the first that has the form of
/// a key, so that another service's token beside it does no harm.
fn shown_key(headers: &HeaderMap) -> Option<&str> {
    let bearers = || {
        authorizations(headers)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, text)| text)
    };
    let named = || headers.get_all("x-api-key").iter().map(|value| value.to_str().unwrap_or("").trim());
    let all = || bearers().chain(named());
    all().find(|text| is_key(text)).or_else(|| all().next())
}

fn hash_of(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix(MARK)?;
    let well_formed = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    well_formed.then(|| sha256::Hash::hash(text.as_bytes()).to_byte_array())
}

#[cfg(test)]
mod tests;
