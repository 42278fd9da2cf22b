//! What names agents and events: 32 bytes, as 64 lower-case hex digits.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};

use crate::core::ids::{BadId, from_hex, to_hex};

macro_rules! hex32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            /// Upper case is read too.
            fn from_str(text: &str) -> Result<Self, BadId> {
                from_hex(text).map(Self).ok_or(BadId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <[u8; 32]>::try_from(value.as_blob()?).map(Self).map_err(|_| FromSqlError::InvalidType)
            }
        }
    };
}

hex32!(
    /// An agent's Nostr key: the x coordinate of a point (BIP-340). Not every 32 bytes are one; those that are not
    /// can be registered and never verified.
    Pubkey
);
hex32!(
    /// The id of a Nostr event: the SHA-256 of what it says (NIP-01).
    EventId
);
hex32!(
    /// What an agent signs to prove that it holds its key.
    Challenge
);
