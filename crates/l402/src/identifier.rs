//! The identifier of an L402 macaroon: 66 bytes, namely version 0, the payment hash, and a random token id.

use crate::PaymentHash;

/// Bytes of an identifier.
pub const LEN: usize = 66;

/// The identifier of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// The payment whose preimage the token is shown with.
    pub payment_hash: PaymentHash,
    /// Random: tells tokens of one payment apart, and keeps their keys apart.
    pub token: [u8; 32],
}

impl Identifier {
    /// As it stands in the macaroon.
    pub fn to_bytes(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let (_version, rest) = bytes.split_at_mut(2);
        let (hash, token) = rest.split_at_mut(32);
        hash.copy_from_slice(&self.payment_hash.0);
        token.copy_from_slice(&self.token);
        bytes
    }

    /// Reads one; `None` for another length or version.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<2>()?;
        let (hash, token) = rest.split_first_chunk::<32>()?;
        let token = <[u8; 32]>::try_from(token).ok()?;
        (*version == [0, 0]).then_some(Self { payment_hash: PaymentHash(*hash), token })
    }
}
