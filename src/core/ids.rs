//! Typed identifiers, random tokens, and secrets that never print.

use std::fmt;
use std::str::FromStr;

use bitcoin::hashes::{Hash, sha256};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// Thirty-two bytes that name a Lightning payment: the SHA-256 of its preimage.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentHash(pub [u8; 32]);

/// Thirty-two bytes that name a BOLT12 offer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfferId(pub [u8; 32]);

/// Thirty-two bytes that prove a Lightning payment. Printed in full: once known it is a receipt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Preimage(pub [u8; 32]);

impl Preimage {
    /// The payment hash this preimage opens.
    pub fn payment_hash(&self) -> PaymentHash {
        PaymentHash(sha256::Hash::hash(&self.0).to_byte_array())
    }
}

/// The text is not the hexadecimal form of this kind of id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct BadId;

macro_rules! bytes32 {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), to_hex(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                from_hex(text).map(Self).ok_or(BadId)
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

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

bytes32!(PaymentHash);
bytes32!(OfferId);
bytes32!(Preimage);

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

impl From<::l402::PaymentHash> for PaymentHash {
    fn from(hash: ::l402::PaymentHash) -> Self {
        Self(hash.0)
    }
}

impl From<PaymentHash> for ::l402::PaymentHash {
    fn from(hash: PaymentHash) -> Self {
        Self(hash.0)
    }
}

row_id!(
    /// Row id of a charge: one invoice of ours, money in.
    ChargeId
);
row_id!(
    /// Row id of a payout: one intent to pay, money out.
    PayoutId
);
row_id!(
    /// Row id of coins sent to an address: money out, on-chain.
    CoinSendId
);
row_id!(
    /// Row id of an intent to pay a BOLT12 offer: money out.
    OfferPayoutId
);
row_id!(
    /// Row id of what was withheld from an account for fees.
    FeeReserveId
);
row_id!(
    /// Row id of a withdrawal: what an account takes out.
    WithdrawalId
);
row_id!(
    /// Row id of a purse: what an API key may spend.
    PurseId
);
row_id!(
    /// Row id of a payment that a purse made.
    PursePaymentId
);
row_id!(
    /// Row id of a voucher: a claim on sats.
    VoucherId
);
row_id!(
    /// Row id of a payment: a shop's order.
    PaymentId
);
row_id!(
    /// Row id of an account: who a key belongs to.
    AccountId
);
row_id!(
    /// Row id of a user: who tips and is tipped.
    UserId
);
row_id!(
    /// Row id of a group of tips.
    TipGroupId
);

/// Text that must never be logged or printed: its `Debug` and `Display` are redacted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares without telling by time how much was right.
    pub fn matches(&self, given: &str) -> bool {
        bool::from(self.0.as_bytes().ct_eq(given.as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The operating system has no randomness to give; nothing can be created safely.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

/// `N` bytes from the operating system.
///
/// # Errors
/// [`NoRandomness`] if the operating system refuses, which it does only when something is badly wrong.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// `N` random bytes as lowercase hex.
///
/// # Errors
/// As [`random_bytes`].
pub fn random_hex<const N: usize>() -> Result<String, NoRandomness> {
    Ok(to_hex(&random_bytes::<N>()?))
}

/// Lowercase hex of some bytes.
pub fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `N` bytes from hex of exactly that length, upper or lower case.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0_u8; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).ok()?;
        // `from_str_radix` would accept a sign.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back() {
        let bytes = random_bytes::<32>().unwrap();
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex::<2>("+1ff"), None);
        assert_eq!(from_hex::<2>("ff"), None);
        assert_eq!(from_hex::<1>("é"), None);
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("words")), "Secret(..)");
    }
}
