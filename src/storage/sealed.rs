//! What opens money or words is sealed in the database, with a key that is derived from the node's seed: a copy of the
//! file alone opens nothing.
//!
//! Statements seal and unseal by two SQL functions that every connection of the store has: `seal(value)` and
//! `unseal(value)`. The same value is always sealed to the same, so a sealed column can be looked up
//! (`WHERE order_id = seal(?1)`) and be unique. What has few possible values is sealed for its row,
//! `seal(value, row)`, so that equal values in two rows don't look equal. Text stays text, a blob a blob, NULL is NULL.
//!
//! Sealed is: a nonce of 12 bytes, which is a keyed hash of value and row, then ChaCha20-Poly1305.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::hmac;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, OptionalExtension};

use super::StoreError;
use crate::core::ids::Secret;

/// What the key is for; another one here makes another key.
const USE: &[u8] = b"satchel database 1";

/// A text that every database keeps sealed, so that a wrong key is noticed at the start.
pub(super) const MARK: &str = "satchel";

/// Seals what the database keeps. Cheap to clone.
#[derive(Clone)]
pub struct DatabaseKey(Arc<Keys>);

struct Keys {
    nonces: hmac::Key,
    cipher: LessSafeKey,
    /// Of the node that the seed makes, if it is known.
    node_id: Option<[u8; 33]>,
}

impl DatabaseKey {
    /// The key that belongs to seed words in their one form, and by which node a database is told that is not sealed yet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] without a cipher, which this build always has.
    pub fn of_seed(words: &Secret, node_id: Option<[u8; 33]>) -> Result<Self, StoreError> {
        let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, USE), words.expose().as_bytes());
        let seed = hmac::Key::new(hmac::HMAC_SHA256, seed.as_ref());
        let of_use = |what: &[u8]| hmac::sign(&seed, what);
        let cipher = UnboundKey::new(&CHACHA20_POLY1305, of_use(b"cipher").as_ref())
            .map_err(|Unspecified| StoreError::Unavailable("no cipher for sealing".into()))?;
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, of_use(b"nonces").as_ref());
        Ok(Self(Arc::new(Keys { nonces, cipher: LessSafeKey::new(cipher), node_id })))
    }

    /// A key for tests.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        Self::of_seed(&Secret::new("a seed for tests"), None).unwrap()
    }

    /// Makes a database look as if it were sealed with this key.
    #[cfg(test)]
    pub(crate) fn forge_mark(&self, path: &std::path::Path) {
        let connection = Connection::open(path).unwrap();
        self.register(&connection).unwrap();
        connection.execute("UPDATE sealing SET mark = seal(?1)", [MARK]).unwrap();
    }

    /// Seals a value for a row; `of` is empty if it is the same for all.
    fn seal(&self, value: &[u8], of: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut hash = hmac::Context::with_key(&self.0.nonces);
        let length = u64::try_from(of.len()).map_err(|_| Unspecified)?;
        [&length.to_be_bytes(), of, value].into_iter().for_each(|part| hash.update(part));
        let hash = hash.sign();
        let nonce = hash.as_ref().first_chunk::<NONCE_LEN>().ok_or(Unspecified)?;
        let mut sealed = value.to_vec();
        self.0.cipher.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(of),
            &mut sealed,
        )?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// The value in what was sealed for this row with this key.
    fn open(&self, sealed: &[u8], of: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let (nonce, hidden) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unspecified)?;
        let mut hidden = hidden.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.cipher.open_in_place(nonce, Aad::from(of), &mut hidden)?.len();
        hidden.truncate(length);
        Ok(hidden)
    }

    fn seal_value(&self, context: &Context<'_>) -> rusqlite::Result<Value> {
        let of = row_of(context)?;
        let sealed = |value: &[u8]| {
            self.seal(value, &of).map_err(|Unspecified| Error::UserFunctionError("it can't be sealed".into()))
        };
        match context.get_raw(0) {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Text(text) => Ok(Value::Text(BASE64_URL_SAFE_NO_PAD.encode(sealed(text)?))),
            ValueRef::Blob(blob) => sealed(blob).map(Value::Blob),
            other => Err(Error::InvalidFunctionParameterType(0, other.data_type())),
        }
    }

    fn unseal_value(&self, context: &Context<'_>) -> rusqlite::Result<Value> {
        let of = row_of(context)?;
        let refused = || Error::UserFunctionError("it was sealed with another seed, or is damaged".into());
        match context.get_raw(0) {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Text(text) => {
                let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
                let value = self.open(&sealed, &of).map_err(|Unspecified| refused())?;
                String::from_utf8(value).map(Value::Text).map_err(|_| refused())
            }
            ValueRef::Blob(sealed) => {
                self.open(sealed, &of).map(Value::Blob).map_err(|Unspecified| refused())
            }
            other => Err(Error::InvalidFunctionParameterType(0, other.data_type())),
        }
    }

    /// Gives a connection the functions `seal` and `unseal`.
    pub(super) fn register(&self, connection: &Connection) -> rusqlite::Result<()> {
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_DIRECTONLY;
        for arguments in [1, 2] {
            let (seal, unseal) = (self.clone(), self.clone());
            connection
                .create_scalar_function("seal", arguments, flags, move |context| seal.seal_value(context))?;
            connection.create_scalar_function("unseal", arguments, flags, move |context| {
                unseal.unseal_value(context)
            })?;
        }
        Ok(())
    }
}

/// For which row, as bytes; empty if the statement doesn't say.
fn row_of(context: &Context<'_>) -> rusqlite::Result<Vec<u8>> {
    if context.len() < 2 {
        return Ok(Vec::new());
    }
    match context.get_raw(1) {
        ValueRef::Integer(row) => Ok(row.to_be_bytes().to_vec()),
        other => Err(Error::InvalidFunctionParameterType(1, other.data_type())),
    }
}

/// Whether this is the key of a database, as it was before any migration of this start. One that is not sealed yet has the
/// node's own number in LDK's state; a new one is anybody's.
pub(super) fn is_key_of(connection: &Connection, key: &DatabaseKey) -> rusqlite::Result<bool> {
    let has_table = |name: &str| {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)";
        connection.query_row(sql, [name], |row| row.get::<_, bool>(0))
    };
    if has_table("sealing")? {
        let sql = "SELECT (SELECT mark FROM sealing WHERE id = 1) = seal(?1)";
        let same: Option<bool> = connection.query_row(sql, [MARK], |row| row.get(0))?;
        return Ok(same == Some(true));
    }
    let Some(node_id) = key.0.node_id.filter(|_| has_table("ldk_kv").unwrap_or(true)) else {
        return Ok(true);
    };
    let sql = "SELECT instr(value, ?1) > 0 FROM ldk_kv WHERE primary_ns = '' AND secondary_ns = '' AND key = 'manager'";
    let same: Option<bool> = connection.query_row(sql, [node_id], |row| row.get(0)).optional()?;
    Ok(same.unwrap_or(true))
}

/// Removes what was there before it was sealed from unused parts of the file and from its log. Done once after the
/// migration that seals, at a later start if it can't be done at this one.
pub(super) fn clean(connection: &Connection, path: &Path) {
    const STILL_THERE: &str = "unused parts of the database still hold secrets in the clear: free twice its size on the disk, \
                               then start again";
    match try_to_clean(connection, path) {
        Ok(true) => {}
        Ok(false) => tracing::warn!("{STILL_THERE}"),
        Err(error) => {
            tracing::warn!(%error, "{STILL_THERE}");
            // What the attempt has written must not fill the disk.
            if let Err(error) = truncate_log(connection) {
                tracing::warn!(%error, "the database's log could not be emptied");
            }
        }
    }
}

fn try_to_clean(connection: &Connection, path: &Path) -> rusqlite::Result<bool> {
    let cleaned = connection.query_row("SELECT cleaned FROM sealing WHERE id = 1", [], |row| row.get(0))?;
    if cleaned || !has_room(connection, path)? {
        return Ok(cleaned);
    }
    tracing::info!("the database is written anew, once, so that no secret is left in the clear");
    connection.execute_batch("VACUUM")?;
    let emptied = truncate_log(connection)?;
    if emptied {
        connection.execute("UPDATE sealing SET cleaned = 1 WHERE id = 1", [])?;
    }
    Ok(emptied)
}

/// Empties the log, unless somebody reads from it.
fn truncate_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

/// Whether the file fits on its disk twice more: as a copy, and in the log.
fn has_room(connection: &Connection, path: &Path) -> rusqlite::Result<bool> {
    let number = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let size = number("page_count")?.saturating_mul(number("page_size")?);
    let needed = u64::try_from(size).unwrap_or(u64::MAX).saturating_mul(2);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A disk that doesn't tell may have room.
    Ok(rustix::fs::statvfs(folder).map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= needed))
}

impl fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseKey(..)")
    }
}

#[cfg(test)]
#[path = "sealed/tests.rs"]
mod tests;
