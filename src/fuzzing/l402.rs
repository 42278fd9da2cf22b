//! Macaroons, credentials and challenges.

use ::l402::issued::l402_value;
use ::l402::macaroon::{MAX_BYTES, MAX_CAVEATS};
use ::l402::mpp::{Challenge, Charge, jcs};
use ::l402::{Credential, Identifier, Macaroon, Presented, RootKey, Terms, b64, params};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue};

use super::{text, two};
use crate::core::ids::Preimage;
use crate::core::money::Msat;
use crate::services::purse::challenge as purse;
use crate::services::purse::credential::Proof;

/// What nobody signed with.
const KEY: RootKey = RootKey([7; 32]);

pub(super) fn macaroons(data: &[u8]) {
    let Ok(read) = Macaroon::read(data) else { return };
    assert_eq!(read.to_bytes(), data, "one form for each macaroon");
    assert!(data.len() <= MAX_BYTES && read.caveats().count() <= MAX_CAVEATS);
    assert!(!read.is_signed_by(&KEY), "a signature from nowhere");
    if let Some(identifier) = Identifier::read(read.identifier()) {
        assert_eq!(identifier.to_bytes(), read.identifier());
    }
    for bytes in [b64::standard(data), b64::url(data)] {
        assert_eq!(b64::read_any(&bytes).as_deref(), Some(data));
    }
    let terms = Terms::read(read.caveats());
    if let Ok(terms) = terms {
        let again = terms.caveats();
        assert_eq!(Terms::read(again.iter().map(String::as_bytes)), Ok(terms));
        // Said once more they allow the same, and what is wider is refused.
        let twice: Vec<&[u8]> = read.caveats().chain(again.iter().map(String::as_bytes)).collect();
        assert_eq!(Terms::read(twice.into_iter()), Ok(terms));
        if let Some(more) = terms.amount_sat.checked_add(1) {
            let wider = format!("amount_sats={more}");
            assert!(Terms::read(read.caveats().chain([wider.as_bytes()])).is_err(), "{wider}");
        }
    }
    let narrowed = read.clone().attenuate("valid_until=1");
    let bytes = narrowed.to_bytes();
    let fits = bytes.len() <= MAX_BYTES && narrowed.caveats().count() <= MAX_CAVEATS;
    assert_eq!(Macaroon::read(&bytes).ok(), fits.then_some(narrowed));
}

/// Lines of `Authorization`.
pub(super) fn credentials(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(20) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(AUTHORIZATION, value);
        }
    }
    let found = Presented::read(&headers);
    assert!((1..=4).contains(&found.len()), "{found:?}");
    for presented in found {
        let Presented::Credential(credential) = presented else { continue };
        let again = match &credential {
            Credential::Token { macaroons, preimage } => {
                assert!((1..=4).contains(&macaroons.len()));
                let texts: Vec<_> = macaroons.iter().map(|one| b64::standard(&one.to_bytes())).collect();
                format!("l402  {}:{preimage}", texts.join(","))
            }
            Credential::Payment(payment) => {
                format!("PAYMENT {}", b64::url(&serde_json::to_vec(payment).unwrap()))
            }
            Credential::Preimage(preimage) => format!(r#"Payment method="lightning",preimage="{preimage}""#),
        };
        match (Credential::read(&again), &credential) {
            (Some(Ok(Credential::Payment(read))), Credential::Payment(payment)) => {
                // Numbers that nobody reads may differ in their last digit.
                assert_eq!((&read.challenge, &read.source), (&payment.challenge, &payment.source));
                assert_eq!(read.preimage(), payment.preimage());
            }
            // What was read is at the limit of what is read, and longer when it is written again.
            (Some(Err(_)), Credential::Payment(_)) => assert!(again.len() > 8_192),
            (read, _) => assert_eq!(read, Some(Ok(credential)), "{again}"),
        }
    }
}

/// A line of `WWW-Authenticate`, and behind a line's end the body of a 402.
pub(super) fn challenges(data: &[u8]) {
    let (line, body) = two(data);
    let line = text(line);
    let schemes = params::challenges(line);
    let all: usize = schemes.iter().map(|scheme| scheme.name.len() + scheme.params.len()).sum();
    assert!(all <= line.len(), "no parameter from nowhere");
    for scheme in &schemes {
        let written: Option<Vec<_>> = scheme
            .params
            .iter()
            .map(|(name, value)| Some(format!("{name}={}", params::quoted(value)?)))
            .collect();
        if let Some(written) = written {
            assert_eq!(params::of_one(&written.join(", ")).params, scheme.params, "{written:?}");
        }
    }
    for challenge in Challenge::read_all(line) {
        if let Some(again) = challenge.header_value() {
            assert_eq!(Challenge::read_all(&again), std::slice::from_ref(&challenge), "{again}");
            // Joined to another line it is still the same.
            let joined = format!("{}, {again}", l402_value("AA==", "lnbc1"));
            assert_eq!(Challenge::read_all(&joined), std::slice::from_ref(&challenge), "{joined}");
        }
        if let Some(charge) = Charge::read(&challenge.request) {
            let request = charge.to_request().unwrap();
            assert_eq!(Charge::read(&request), Some(charge), "{request}");
        }
    }
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(line) {
        headers.append(WWW_AUTHENTICATE, value);
    }
    let Some(demand) = purse::read(&headers, body) else { return };
    assert!(demand.told.iter().all(|told| *told <= Msat::MAX));
    let value = demand.proof.authorization(&Preimage([1; 32])).expect("what is paid for can be shown");
    if let Proof::Payment(_) | Proof::Preimage = demand.proof {
        let read = Credential::read(value.to_str().unwrap()).unwrap();
        assert!(read.is_ok(), "{value:?}");
    }
}

pub(super) fn canonical_json(data: &[u8]) {
    let text = text(data);
    let Ok(once) = jcs::rewrite(text) else { return };
    assert_eq!(jcs::rewrite(&once).unwrap(), once, "canonical twice");
    // A number may lose digits, and a character outside of the basic plane its escapes: no more than six bytes for one.
    assert!(once.len() <= text.len().saturating_mul(6).saturating_add(330), "{once}");
    let value: serde_json::Value = serde_json::from_str(&once).expect("it is JSON still");
    drop(value);
}
