//! What names stores, products, variants and orders.

use std::fmt;
use std::str::FromStr;

use bitcoin::hashes::{Hash, sha256};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};

use crate::core::ids::{BadId, NoRandomness, Secret, from_hex, random_bytes, to_hex};

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.0))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

row_id!(
    /// Row id of a store.
    StoreId
);
row_id!(
    /// A product's id, as callers see it.
    ProductId
);
row_id!(
    /// A variant's id, as callers see it.
    VariantId
);
row_id!(
    /// Row id of an order.
    OrderId
);

/// Random bytes of an order's public id.
const KEY_LEN: usize = 12;

/// What every order's public id begins with.
const MARK: &str = "shpfy_";

/// `shpfy_` and 24 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderKey([u8; KEY_LEN]);

impl OrderKey {
    /// A new one from the operating system's randomness.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn random() -> Result<Self, NoRandomness> {
        random_bytes().map(Self)
    }
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)?;
        f.write_str(&to_hex(&self.0))
    }
}

impl FromStr for OrderKey {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.strip_prefix(MARK).and_then(from_hex).map(Self).ok_or(BadId)
    }
}

impl Serialize for OrderKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ToSql for OrderKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.to_string()))
    }
}

impl FromSql for OrderKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|_| FromSqlError::InvalidType)
    }
}

/// Characters of a claim token: the most that the API takes. Five bits each.
const CLAIM_LEN: usize = 20;

/// Without letters that look like digits.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A new claim token: 100 random bits.
///
/// # Errors
/// [`NoRandomness`].
pub fn claim_token() -> Result<Secret, NoRandomness> {
    let bytes: [u8; CLAIM_LEN] = random_bytes()?;
    let letter = |byte: u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
    Ok(Secret::new(bytes.into_iter().filter_map(letter).collect::<String>()))
}

/// By what the database finds a claim token, so that no comparison tells how much of one was right.
pub fn claim_hash(token: &str) -> [u8; 32] {
    sha256::Hash::hash(token.to_ascii_uppercase().as_bytes()).to_byte_array()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_tokens_fit_and_are_found_in_any_case() {
        let token = claim_token().unwrap();
        assert_eq!(token.expose().len(), CLAIM_LEN);
        assert_eq!(claim_hash(token.expose()), claim_hash(&token.expose().to_lowercase()));
        assert_ne!(token, claim_token().unwrap());
    }

    #[test]
    fn order_ids_are_read_as_they_are_written() {
        let key = OrderKey::random().unwrap();
        assert_eq!(key.to_string().parse(), Ok(key));
        for bad in ["", "shpfy_", "shpfy_12", "inv_0123456789abcdef01234567"] {
            assert_eq!(bad.parse::<OrderKey>(), Err(BadId), "{bad}");
        }
    }
}
