//! What names a withdrawal.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};

use crate::core::ids::{BadId, NoRandomness, from_hex, random_bytes, to_hex};

/// Random bytes of an id.
const LEN: usize = 12;

/// What every id begins with.
const MARK: &str = "wd_";

/// `wd_` and 24 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WithdrawalKey([u8; LEN]);

impl WithdrawalKey {
    /// A new one from the operating system's randomness.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn random() -> Result<Self, NoRandomness> {
        random_bytes().map(Self)
    }
}

impl fmt::Display for WithdrawalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)?;
        f.write_str(&to_hex(&self.0))
    }
}

impl FromStr for WithdrawalKey {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.strip_prefix(MARK).and_then(from_hex).map(Self).ok_or(BadId)
    }
}

impl Serialize for WithdrawalKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ToSql for WithdrawalKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.to_string()))
    }
}

impl FromSql for WithdrawalKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|_| FromSqlError::InvalidType)
    }
}
