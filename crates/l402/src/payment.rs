//! The two 32-byte values of a Lightning payment, written as hex.

use std::fmt;
use std::str::FromStr;

use bitcoin_hashes::hex::{DisplayHex, FromHex};
use bitcoin_hashes::{Hash, sha256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Names a Lightning payment: the SHA-256 of its preimage. Public.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentHash(pub [u8; 32]);

/// Proves a Lightning payment: the payer's node learns it when the payment arrives. The nodes that forwarded the
/// payment learn it too, so it must never be accepted alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Preimage(pub [u8; 32]);

impl Preimage {
    /// The payment hash that belongs to it.
    pub fn payment_hash(&self) -> PaymentHash {
        PaymentHash(sha256::Hash::hash(&self.0).to_byte_array())
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 32 bytes in hexadecimal")]
pub struct InvalidHex;

macro_rules! hex32 {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0.as_hex(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidHex;

            /// Reads upper and lower case.
            fn from_str(text: &str) -> Result<Self, InvalidHex> {
                <[u8; 32]>::from_hex(text).map(Self).map_err(|_| InvalidHex)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

hex32!(PaymentHash);
hex32!(Preimage);
