//! The public vectors, and what strangers may send.

mod credentials;
mod layer;
mod macaroons;
mod payment_scheme;

use bitcoin_hashes::hex::{DisplayHex, FromHex};

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    Vec::from_hex(text).ok()?.try_into().ok()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.to_lower_hex_string()
}
