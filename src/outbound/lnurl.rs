//! LNURL as text: a URL in the bech32 spelling that wallets scan (LUD-01).
//!
//! Called by whoever shows an LNURL. It knows no routes and makes no requests.

pub mod dns;
#[cfg(test)]
pub(crate) mod fake;
pub mod pay;
pub mod payee;

use bech32::{Bech32, Hrp};

/// The human-readable part of every LNURL.
const HRP: &str = "lnurl";

/// Why a URL has no LNURL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Wallets fetch over HTTP: the URL must start with `https://` or `http://`.
    #[error("an LNURL can only hold an http or https URL")]
    NotHttp,
    /// The bech32 text would be longer than its checksum protects (1,023 characters).
    #[error("the URL is too long for an LNURL")]
    TooLong,
}

/// The LNURL of `url`, in lower case. Upper-case all of it for a QR code: bech32 then needs fewer modules.
///
/// # Errors
/// [`EncodeError`] if the URL is not HTTP or too long.
pub fn encode(url: &str) -> Result<String, EncodeError> {
    if !["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(EncodeError::NotHttp);
    }
    bech32::encode_lower::<Bech32>(Hrp::parse_unchecked(HRP), url.as_bytes())
        .map_err(|_| EncodeError::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of LUD-01.
    const URL: &str =
        "https://service.com/api?q=3fc3645b439ce8e7f2553a69e5267081d96dcd340693afabe04be7b0ccd178df";
    const LNURL: &str = "LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS";

    #[test]
    fn the_example_of_the_specification() {
        assert_eq!(encode(URL).unwrap(), LNURL.to_lowercase());
    }

    #[test]
    fn it_decodes_to_the_same_url() {
        let (hrp, data) = bech32::decode(&encode("http://127.0.0.1:8080/lnurl/ab").unwrap()).unwrap();
        assert_eq!((hrp.as_str(), data.as_slice()), ("lnurl", b"http://127.0.0.1:8080/lnurl/ab".as_slice()));
    }

    #[test]
    fn only_http_and_only_so_long() {
        assert_eq!(encode("javascript:alert(1)"), Err(EncodeError::NotHttp));
        assert_eq!(encode(&format!("https://a.example/{}", "x".repeat(700))), Err(EncodeError::TooLong));
    }
}
