use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::{from_hex, to_hex};
use crate::credential::MalformedCredential;
use crate::mpp::{self, Challenge, Charge, IdKey, Receipt, jcs};
use crate::{Credential, Preimage, b64};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    hmac_secret_hex: String,
    canonicalization: Vec<Canonical>,
    base64url: Vec<Base64>,
    challenge_headers: Vec<Header>,
    challenge_lists: Vec<List>,
    challenge_ids: Vec<Id>,
    credentials: Vec<Shown>,
    receipts: Vec<Given>,
}

#[derive(Deserialize)]
struct Canonical {
    name: String,
    input: String,
    canonical: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Base64 {
    name: String,
    encoded: String,
    #[serde(default)]
    decoded_hex: String,
    canonical: bool,
    #[serde(default)]
    error: bool,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    params: Challenge,
    header: String,
}

#[derive(Deserialize)]
struct List {
    name: String,
    header: String,
    #[serde(default)]
    challenges: Vec<Challenge>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Id {
    name: String,
    params: Challenge,
    hmac_input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    name: String,
    credential_json: String,
    header: String,
    #[serde(default)]
    error: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    name: String,
    receipt_json: String,
    header: String,
}

fn vectors() -> File {
    serde_json::from_str(include_str!("mpp.json")).unwrap()
}

#[test]
fn json_has_one_canonical_form() {
    let vectors = vectors().canonicalization;
    assert_eq!(vectors.len(), 22);
    for vector in vectors {
        assert_eq!(jcs::rewrite(&vector.input).ok(), vector.canonical, "{}", vector.name);
    }
}

/// RFC 8785, section 3.2.2 and appendix B.
#[test]
fn rfc_8785_examples_hold() {
    let text = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    assert_eq!(
        jcs::rewrite(text).unwrap(),
        "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
         \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
    );
    for (bits, text) in [
        (0x0000_0000_0000_0000_u64, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
    ] {
        let exact = format!("{:e}", f64::from_bits(bits));
        assert_eq!(jcs::rewrite(&exact).unwrap(), text);
    }
    for bad in ["", "nul", "1e400", "{\"a\":1,}", "\"\\ud800\"", "[1] 2"] {
        assert!(jcs::rewrite(bad).is_err(), "{bad}");
    }
}

#[test]
fn base64_has_one_spelling() {
    let vectors = vectors().base64url;
    assert_eq!(vectors.len(), 17);
    for vector in vectors {
        let read = b64::read_url(&vector.encoded).map(|bytes| to_hex(&bytes));
        assert_eq!(read, (!vector.error).then(|| vector.decoded_hex.clone()), "{}", vector.name);
        if vector.canonical {
            assert_eq!(b64::url(&b64::read_url(&vector.encoded).unwrap()), vector.encoded);
        }
    }
}

#[test]
fn challenges_match_the_vectors() {
    let vectors = vectors();
    assert_eq!((vectors.challenge_headers.len(), vectors.challenge_lists.len()), (6, 11));
    for vector in vectors.challenge_headers {
        assert_eq!(vector.params.header_value().as_ref(), Some(&vector.header), "{}", vector.name);
        assert_eq!(Challenge::read_all(&vector.header), [vector.params], "{}", vector.name);
    }
    for vector in vectors.challenge_lists {
        assert_eq!(Challenge::read_all(&vector.header), vector.challenges, "{}", vector.name);
    }
    let broken = Challenge { realm: "a\r\nSet-Cookie: b".into(), ..Challenge::default() };
    assert_eq!(broken.header_value(), None);
}

#[test]
fn challenge_id_binds_all_but_the_description() {
    let vectors = vectors();
    let key = IdKey::new(&hex(&vectors.hmac_secret_hex));
    assert_eq!(vectors.challenge_ids.len(), 4);
    for vector in vectors.challenge_ids {
        assert_eq!(vector.params.bound(), vector.hmac_input, "{}", vector.name);
        assert_eq!(key.id(&vector.params), vector.params.id, "{}", vector.name);
        assert!(key.recognises(&vector.params));
        assert!(!IdKey::new(b"another").recognises(&vector.params));
        let told = Challenge { description: Some("else".into()), ..vector.params.clone() };
        assert!(key.recognises(&told));
        for change in [
            |challenge: &mut Challenge| challenge.realm.push('x'),
            |challenge: &mut Challenge| challenge.request.push('x'),
            |challenge: &mut Challenge| challenge.expires = Some("2999-01-01T00:00:00Z".into()),
            |challenge: &mut Challenge| challenge.opaque = Some("x".into()),
        ] {
            let mut changed = vector.params.clone();
            change(&mut changed);
            assert!(!key.recognises(&changed), "{changed:?}");
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn credentials_match_the_vectors() {
    let vectors = vectors().credentials;
    assert_eq!(vectors.len(), 11);
    for vector in vectors {
        let read = Credential::read(&vector.header);
        if vector.error {
            assert!(matches!(read, None | Some(Err(MalformedCredential))), "{}: {read:?}", vector.name);
            continue;
        }
        let Some(Ok(Credential::Payment(read))) = read else { panic!("{}: {read:?}", vector.name) };
        let expected: Value = serde_json::from_str(&vector.credential_json).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), expected, "{}", vector.name);
        assert_eq!(read.preimage(), None, "theirs are too short to be one");
    }
}

#[test]
fn charge_round_trips_through_challenge_and_credential() {
    let preimage = Preimage([3; 32]);
    let charge = Charge {
        amount: "10".into(),
        currency: "sat".into(),
        description: Some("Q&A – <b>".into()),
        details: mpp::challenge::ChargeDetails {
            invoice: "lnbcrt100n1".into(),
            payment_hash: Some(preimage.payment_hash()),
            network: Some("regtest".into()),
        },
    };
    let request = charge.to_request().unwrap();
    let json = String::from_utf8(b64::read_url(&request).unwrap()).unwrap();
    assert!(json.starts_with(
        r#"{"amount":"10","currency":"sat","description":"Q&A – <b>","methodDetails":{"invoice":"#
    ));
    assert_eq!(Charge::read(&request), Some(charge));
    let key = IdKey::new(b"secret");
    let challenge = key.charge("pay.example", request, "2027-01-15T08:00:00Z".into(), None, None);
    let credential = serde_json::json!({
        "challenge": Challenge::read_all(&challenge.header_value().unwrap())[0],
        "payload": { "preimage": to_hex(&preimage.0) },
    });
    let shown = format!("Payment {}", b64::url(credential.to_string().as_bytes()));
    let Some(Ok(Credential::Payment(read))) = Credential::read(&shown) else { panic!("{shown}") };
    assert!(key.recognises(&read.challenge));
    assert_eq!(read.preimage(), Some(preimage));
}

#[test]
fn receipts_match_the_vectors() {
    let vectors = vectors().receipts;
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let receipt: Receipt = serde_json::from_str(&vector.receipt_json).unwrap();
        assert_eq!(receipt.to_header().unwrap(), vector.header, "{}", vector.name);
    }
    let ours = Receipt::new(Preimage([1; 32]).payment_hash(), Some("id".into()), 1_773_176_400);
    assert_eq!(ours.timestamp, "2026-03-10T21:00:00Z");
    assert_eq!(from_hex(&ours.reference), Some(Preimage([1; 32]).payment_hash().0));
}

proptest! {
    #[test]
    fn canonical_json_is_stable(number in any::<f64>(), text in ".{0,40}", name in ".{0,10}") {
        let number = if number.is_finite() { number } else { 0.5 };
        let value = serde_json::json!({ name: [text, { "n": number }], "b": {} });
        let canonical = jcs::canonical(&value).unwrap();
        prop_assert_eq!(jcs::rewrite(&canonical).unwrap(), canonical.clone());
        let read: Value = serde_json::from_str(&canonical).unwrap();
        prop_assert_eq!(read["b"].clone(), serde_json::json!({}));
    }

    #[test]
    fn random_texts_never_panic(text in ".{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = jcs::rewrite(&text);
        let _ = Challenge::read_all(&text);
        let _ = mpp::Credential::read(&text);
        let _ = mpp::Credential::read(&b64::url(&bytes));
        let _ = Charge::read(&text);
        let _ = b64::read_any(&text);
    }
}
