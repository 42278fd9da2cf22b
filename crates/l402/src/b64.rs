//! Base64 in the two alphabets that the schemes use.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Standard alphabet with padding: for macaroons.
pub fn standard(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// URL-safe alphabet without padding: for everything of the `Payment` scheme.
pub fn url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads either alphabet, with its padding or without. Only one spelling of each is taken: bits that say nothing must
/// be zero.
pub fn read_any(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| matches!(byte, b'-' | b'_')) {
        return read_url(text);
    }
    let read = if text.ends_with('=') { STANDARD.decode(text) } else { STANDARD_NO_PAD.decode(text) };
    read.ok()
}

/// Reads the URL-safe alphabet alone, with its padding or without.
pub fn read_url(text: &str) -> Option<Vec<u8>> {
    let read = if text.ends_with('=') { URL_SAFE.decode(text) } else { URL_SAFE_NO_PAD.decode(text) };
    read.ok()
}
