//! The family's public ids.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};

use crate::core::ids::{BadId, NoRandomness, from_hex, random_bytes, to_hex};

/// Random bytes of an id: who has a payment's may look at its checkout page.
const LEN: usize = 12;

macro_rules! public_id {
    ($(#[$doc:meta])* $name:ident, $mark:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name([u8; LEN]);

        impl $name {
            /// A new one from the operating system's randomness.
            ///
            /// # Errors
            /// [`NoRandomness`].
            pub fn random() -> Result<Self, NoRandomness> {
                random_bytes().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($mark)?;
                f.write_str(&to_hex(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                text.strip_prefix($mark).and_then(from_hex).map(Self).ok_or(BadId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.to_string()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(|_| FromSqlError::InvalidType)
            }
        }
    };
}

public_id!(
    /// What names a payment: `inv_` and 24 hex digits.
    InvoiceId,
    "inv_"
);
public_id!(
    /// What names a refund: `ref_` and 24 hex digits.
    RefundId,
    "ref_"
);

impl InvoiceId {
    /// What [`http::live`](crate::http::live) calls this payment.
    pub fn topic(&self) -> String {
        format!("payment:{self}")
    }
}
