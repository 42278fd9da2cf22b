//! The family's own signature on its webhooks, as receivers written for the original service check it.
//!
//! `X-LightningEnable-Signature: t=<unix seconds>,v1=<hex>`, where `<hex>` is the HMAC-SHA256 of `<t>.<raw body>`. Its
//! key is the whole text of the secret, `whsec_` and all; the Standard Webhooks beside it read theirs as Base64.
//! Receivers refuse what is older than 300 s; each try is signed anew.

use axum::http::{HeaderName, HeaderValue};
use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};

use crate::outbound::webhooks::worker::Signable;

const HEADER: HeaderName = HeaderName::from_static("x-lightningenable-signature");

/// The header, for who has a secret.
pub fn own_headers(signable: &Signable<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let Some(secret) = signable.secret else { return Vec::new() };
    let mut engine = HmacEngine::<sha256::Hash>::new(secret.expose().as_bytes());
    engine.input(signable.timestamp.to_string().as_bytes());
    engine.input(b".");
    engine.input(signable.body);
    let signed = format!("t={},v1={:x}", signable.timestamp, Hmac::from_engine(engine));
    HeaderValue::from_str(&signed).map(|value| vec![(HEADER, value)]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::Secret;

    #[test]
    fn a_known_signature() {
        let secret = Secret::new("whsec_test");
        let signable =
            Signable { id: "msg_1", timestamp: 1_700_000_000, body: b"{\"a\":1}", secret: Some(&secret) };
        let headers = own_headers(&signable);
        assert_eq!(headers.len(), 1);
        assert_eq!(
            headers[0].1,
            "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789"
        );
        assert!(own_headers(&Signable { secret: None, ..signable }).is_empty());
    }
}
