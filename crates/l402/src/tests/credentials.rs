use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use proptest::prelude::*;

use super::to_hex;
use crate::credential::MalformedCredential;
use crate::issued::l402_value;
use crate::{Credential, Macaroon, Preimage, Presented, RootKey, params};

fn macaroon() -> Macaroon {
    // Its Base64 has characters that the two alphabets write differently, and needs padding.
    Macaroon::mint(&RootKey([1; 32]), "satchel", &[0xfb; 66]).attenuate("path=/?>")
}

fn token(text: &str) -> Option<Vec<Macaroon>> {
    match Credential::read(text) {
        Some(Ok(Credential::Token { macaroons, preimage })) => {
            assert_eq!(preimage, Preimage([0xab; 32]));
            Some(macaroons)
        }
        Some(Ok(other)) => panic!("{other:?}"),
        Some(Err(MalformedCredential)) => None,
        None => panic!("another scheme: {text}"),
    }
}

#[test]
fn token_is_read_in_every_base64_hex_and_scheme() {
    let bytes = macaroon().to_bytes();
    let hex = to_hex(&[0xab; 32]);
    let texts = [
        STANDARD.encode(&bytes),
        STANDARD_NO_PAD.encode(&bytes),
        URL_SAFE.encode(&bytes),
        URL_SAFE_NO_PAD.encode(&bytes),
    ];
    assert_eq!(texts.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    for text in &texts {
        for scheme in ["L402", "l402", "LSAT", "lsat", "Lsat"] {
            for hex in [&hex, &hex.to_uppercase()] {
                assert_eq!(token(&format!("{scheme} {text}:{hex}")), Some(vec![macaroon()]), "{text}");
            }
        }
    }
    let text = &texts[0];
    let other = STANDARD.encode(macaroon().attenuate("a=b").to_bytes());
    assert_eq!(token(&format!("  L402   {text} : {hex} ")), Some(vec![macaroon()]));
    assert_eq!(token(&format!("L402 {text},{other}:{hex}")).unwrap().len(), 2);
    assert_eq!(token(&format!("L402 {text}, {other}:{hex}")).unwrap().len(), 2);
    // What another service signed in another form doesn't stand in the way.
    assert_eq!(token(&format!("L402 AAAA,{text}:{hex}")), Some(vec![macaroon()]));
    let many = vec![text.as_str(); 100].join(",");
    assert_eq!(token(&format!("L402 {many}:{hex}")).unwrap().len(), 4);
}

#[test]
fn malformed_credential_is_refused_and_other_schemes_are_ignored() {
    let (text, hex) = (STANDARD.encode(macaroon().to_bytes()), to_hex(&[0xab; 32]));
    let cut = &hex[..62];
    for bad in [
        "L402".to_owned(),
        "L402 ".to_owned(),
        "L402 :".to_owned(),
        format!("L402 {text}"),
        format!("L402 :{hex}"),
        format!("L402 {text}:"),
        format!("L402 {text}:{cut}"),
        format!("L402 {text}:{cut}zz"),
        format!("L402 {text}:{hex}00"),
        format!("L402 {}:{hex}", &text[1..]),
        format!("L402 !{text}:{hex}"),
        format!("L402 {}:{hex}", "A".repeat(100_000)),
        "Payment".to_owned(),
        "Payment method=\"lightning\"".to_owned(),
        format!("Payment method=\"cash\", preimage=\"{hex}\""),
        format!("Payment method=\"lightning\", preimage=\"{cut}\""),
    ] {
        assert_eq!(Credential::read(&bad), Some(Err(MalformedCredential)), "{bad}");
    }
    for other in ["", "Bearer satchel_00", "Basic YTpi", "L4025 a:b", "Paymentx y"] {
        assert_eq!(Credential::read(other), None, "{other}");
    }
}

#[test]
fn older_payment_form_is_a_preimage() {
    let hex = to_hex(&[0xab; 32]);
    for text in [
        format!("Payment method=\"lightning\", preimage=\"{hex}\""),
        format!("payment preimage=\"{hex}\",method=\"Lightning\""),
        format!("Payment method=lightning, preimage={}", hex.to_uppercase()),
    ] {
        assert_eq!(Credential::read(&text), Some(Ok(Credential::Preimage(Preimage([0xab; 32])))), "{text}");
    }
}

#[test]
fn api_key_and_credential_are_read_together() {
    let hex = to_hex(&[0xab; 32]);
    let mut headers = HeaderMap::new();
    assert_eq!(Presented::read(&headers), [Presented::Missing]);
    headers.append(AUTHORIZATION, "Bearer satchel_00".parse().unwrap());
    assert_eq!(Presented::read(&headers), [Presented::Missing]);
    headers.append(AUTHORIZATION, "L402 nonsense".parse().unwrap());
    assert_eq!(Presented::read(&headers), [Presented::Malformed]);
    headers
        .append(AUTHORIZATION, format!("Payment method=\"lightning\", preimage=\"{hex}\"").parse().unwrap());
    assert_eq!(
        Presented::read(&headers),
        [Presented::Credential(Credential::Preimage(Preimage([0xab; 32])))]
    );
}

#[test]
fn l402_challenge_has_the_order_that_clients_read() {
    let line = l402_value("AgEB+/==", "lnbcrt10n1");
    assert_eq!(line, r#"L402 macaroon="AgEB+/==", invoice="lnbcrt10n1", version="0", token="AgEB+/==""#);
    let joined = format!(r#"{line}, Payment id="i", realm="r", method="m", intent="c", request="q""#);
    let schemes = params::challenges(&joined);
    let names: Vec<_> = schemes.iter().map(|scheme| scheme.name.as_str()).collect();
    assert_eq!(names, ["L402", "Payment"]);
    assert_eq!(schemes[0].get("token"), Some("AgEB+/=="));
    assert_eq!(schemes[1].get("request"), Some("q"));
}

proptest! {
    #[test]
    fn random_credentials_never_panic(scheme in "(L402|LSAT|Payment|payment|x)", rest in ".{0,300}") {
        let _ = Credential::read(&format!("{scheme} {rest}"));
        let _ = params::challenges(&rest);
    }

    #[test]
    fn quoted_values_round_trip(values in proptest::collection::vec("[^\\p{Cc}]{0,40}", 1..5)) {
        let params: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(number, value)| format!("p{number}={}", params::quoted(value).unwrap()))
            .collect();
        let read = params::challenges(&format!("Payment {}", params.join(", ")));
        prop_assert_eq!(read.len(), 1);
        for (number, value) in values.iter().enumerate() {
            prop_assert_eq!(read[0].get(&format!("p{number}")), Some(value.as_str()));
        }
    }
}

#[test]
fn credentials_are_found_in_two_lines_and_behind_a_comma() {
    let text = STANDARD.encode(macaroon().to_bytes());
    let (one, other) = (to_hex(&[0xab; 32]), to_hex(&[0xcd; 32]));
    let preimages = |lines: &[String]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, line.parse().unwrap());
        }
        let shown = Presented::read(&headers).into_iter().filter_map(|presented| match presented {
            Presented::Credential(Credential::Token { preimage, macaroons }) => {
                Some((to_hex(&preimage.0), macaroons.len()))
            }
            _ => None,
        });
        shown.collect::<Vec<_>>()
    };
    for lines in [
        vec![format!("L402 {text}:{one}"), format!("LSAT {text}:{other}")],
        vec![format!("L402 {text}:{one}, LSAT {text}:{other}")],
        vec![format!("L402 {text}:{one},lsat {text}:{other}"), format!("L402 {text}:{one}")],
        vec![format!("Bearer x, L402 {text}:{one}"), format!("Basic y, LSAT {text}:{other}")],
    ] {
        assert_eq!(preimages(&lines), [(one.clone(), 1), (other.clone(), 1)], "{lines:?}");
    }
    assert_eq!(preimages(&[format!("L402 {text}, {text}:{one}")]), [(one.clone(), 2)]);
    assert_eq!(preimages(&[format!("L402 {text}:{one}, LSAT {text}:{one}")]), [(one.clone(), 1)]);
}

/// Read once for each comma, these would take hours.
#[test]
fn line_of_commas_is_read_once() {
    for unit in [",", ", ", ",L", ",L402"] {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("L402 {}", unit.repeat(1 << 21)).parse().unwrap());
        assert_eq!(Presented::read(&headers), [Presented::Malformed], "{unit}");
    }
}
