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
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::hmac;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error};

use super::StoreError;
use crate::ids::Secret;

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
}

impl DatabaseKey {
    /// The key that belongs to seed words in their one form.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] without a cipher, which this build always has.
    pub fn of_seed(words: &Secret) -> Result<Self, StoreError> {
        let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, USE), words.expose().as_bytes());
        let seed = hmac::Key::new(hmac::HMAC_SHA256, seed.as_ref());
        let of_use = |what: &[u8]| hmac::sign(&seed, what);
        let cipher = UnboundKey::new(&CHACHA20_POLY1305, of_use(b"cipher").as_ref())
            .map_err(|Unspecified| StoreError::Unavailable("no cipher for sealing".into()))?;
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, of_use(b"nonces").as_ref());
        Ok(Self(Arc::new(Keys { nonces, cipher: LessSafeKey::new(cipher) })))
    }

    /// A key for tests.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        Self::of_seed(&Secret::new("a seed for tests")).unwrap()
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

/// Whether this is the key that the database was sealed with.
pub(super) fn is_key_of(connection: &Connection) -> rusqlite::Result<bool> {
    let sealed: Option<bool> =
        connection.query_row("SELECT (SELECT mark FROM sealing WHERE id = 1) = seal(?1)", [MARK], |row| {
            row.get(0)
        })?;
    Ok(sealed == Some(true))
}

/// Removes what was there before it was sealed from unused parts of the file and from its log. Done once after the
/// migration that seals, and again if it was interrupted.
pub(super) fn clean(connection: &Connection) -> rusqlite::Result<()> {
    let cleaned: bool =
        connection.query_row("SELECT cleaned FROM sealing WHERE id = 1", [], |row| row.get(0))?;
    if cleaned {
        return Ok(());
    }
    tracing::info!("the database is written anew, once, so that no secret is left in the clear");
    connection.execute_batch("VACUUM")?;
    let blocked: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if blocked == 0 {
        connection.execute("UPDATE sealing SET cleaned = 1 WHERE id = 1", [])?;
    }
    Ok(())
}

impl fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseKey(..)")
    }
}

#[cfg(test)]
#[path = "sealed/tests.rs"]
mod tests;
