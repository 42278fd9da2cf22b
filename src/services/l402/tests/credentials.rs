//! What may be shown at a priced route, and what comes of it.

use ::l402::{Macaroon, RootKey, b64};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::test_app::{Bought, DEMO, HOUR, PING, TestApp, hash, payment};
use crate::core::ids::to_hex;
use crate::testing::cases;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_pays_gets_in_again_and_again() {
    let app = TestApp::new().await;
    let asked = app.get("", PING).await;
    let offer = asked.offer();
    assert_eq!(offer["amount_sats"], 1);
    assert_eq!(offer["resource"], PING);
    let bought = app.buy(PING).await;
    assert_eq!(bought.macaroon, offer["macaroon"].as_str().unwrap(), "asked twice within a minute");
    for _ in 0..3 {
        let answer = app.show(PING, &bought.header()).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(!answer.headers.contains_key("payment-receipt"));
        let body = answer.ok();
        assert_eq!(body["message"], "pong");
        assert_eq!(body["paymentHash"], hash(&bought.preimage));
        assert_eq!(body["amountSats"], 1);
    }
}

/// The table of the tokens: what is shown, and which problem it is. Every one is answered with a challenge that can
/// be paid.
#[tokio::test(flavor = "multi_thread")]
async fn every_token_but_a_good_one_is_asked_to_pay() {
    let app = TestApp::new().await;
    let bought = app.buy(DEMO).await;
    let elsewhere = app.buy(PING).await;
    let Bought { macaroon, preimage, .. } = &bought;
    let bytes = b64::read_any(macaroon).unwrap();
    let wrong = to_hex(&[9; 32]);
    let foreign = Macaroon::mint(&RootKey([7; 32]), "satchel", Macaroon::read(&bytes).unwrap().identifier());
    let foreign = ["path=/api/l402/demo", "merchant_id=0", "amount_sats=10", "valid_until=1893456000"]
        .iter()
        .fold(foreign, |macaroon, caveat| macaroon.attenuate(caveat));
    let foreign = b64::standard(&foreign.to_bytes());
    let mut changed = bytes.clone();
    let place = changed.windows(4).position(|part| part == b"sats").unwrap();
    changed[place] ^= 1;

    let good = [
        ("as given", bought.header()),
        ("LSAT", format!("LSAT {macaroon}:{preimage}")),
        ("lower case scheme", format!("l402 {macaroon}:{preimage}")),
        ("upper-case hex", format!("L402 {macaroon}:{}", preimage.to_uppercase())),
        ("url-safe base64", format!("L402 {}:{preimage}", URL_SAFE.encode(&bytes))),
        ("url-safe base64 without padding", format!("L402 {}:{preimage}", URL_SAFE_NO_PAD.encode(&bytes))),
        ("base64 without padding", format!("L402 {}:{preimage}", STANDARD_NO_PAD.encode(&bytes))),
        ("joined with a comma", format!("L402 {macaroon}:{wrong}, LSAT {macaroon}:{preimage}")),
        ("beside an API key", format!("Bearer abc, L402 {macaroon}:{preimage}")),
        ("attenuated in time", bought.attenuated(&["valid_until=1800000060"])),
        ("attenuated to the same", bought.attenuated(&["path=/api/l402/demo", "amount_sats=10"])),
        ("two macaroons, ours first", format!("L402 {macaroon},{foreign}:{preimage}")),
        ("two macaroons, ours last", format!("L402 {foreign}, {macaroon}:{preimage}")),
    ];
    for (what, credential) in good {
        let answer = app.show(DEMO, &credential).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text);
    }

    let bad = [
        ("no preimage", format!("L402 {macaroon}"), "malformed-credential"),
        ("a short preimage", format!("L402 {macaroon}:{}", &preimage[..62]), "malformed-credential"),
        ("garbled", "L402 nonsense:nonsense".into(), "malformed-credential"),
        ("cut", format!("L402 {}:{preimage}", &macaroon[..40]), "malformed-credential"),
        ("nothing behind the scheme", "L402".into(), "malformed-credential"),
        ("another's preimage", format!("L402 {macaroon}:{wrong}"), "invalid-preimage"),
        (
            "a preimage of another payment",
            format!("L402 {macaroon}:{}", elsewhere.preimage),
            "invalid-preimage",
        ),
        ("the hash itself", format!("L402 {macaroon}:{}", hash(preimage)), "invalid-preimage"),
        ("foreign", format!("L402 {foreign}:{preimage}"), "verification-failed"),
        ("two foreign ones", format!("L402 {foreign},{foreign}:{preimage}"), "verification-failed"),
        ("changed", format!("L402 {}:{preimage}", b64::standard(&changed)), "verification-failed"),
        ("of another path", elsewhere.header(), "invalid-challenge"),
        ("widened to another path", elsewhere.attenuated(&["path=/api/l402/demo"]), "verification-failed"),
        ("narrowed to nothing", bought.attenuated(&["path=/elsewhere"]), "verification-failed"),
        ("worth less", bought.attenuated(&["amount_sats=9"]), "invalid-challenge"),
        ("attenuated to the past", bought.attenuated(&["valid_until=1799999999"]), "expired-invoice"),
        ("lengthened", bought.attenuated(&["valid_until=1999999999"]), "verification-failed"),
        ("an unknown caveat", bought.attenuated(&["ip=192.0.2.1"]), "verification-failed"),
        ("an empty caveat", bought.attenuated(&[""]), "verification-failed"),
    ];
    for (what, credential, problem) in bad {
        let answer = app.show(DEMO, &credential).await;
        assert_eq!(answer.why().0, problem, "{what}: {}", answer.text);
    }
    assert_eq!(app.show(DEMO, "Bearer nobody").await.why().0, "payment-required");
    assert_eq!(app.get("", DEMO).await.why().0, "payment-required");

    app.clock.advance(HOUR - std::time::Duration::from_secs(1));
    assert_eq!(app.show(DEMO, &bought.header()).await.status, 200, "to its last second");
    app.clock.advance(std::time::Duration::from_secs(1));
    let late = app.show(DEMO, &bought.header()).await;
    assert_eq!(late.why(), ("expired-invoice".into(), "the token has expired".into()));
    assert_ne!(late.offer()["macaroon"], bought.macaroon.as_str(), "a fresh one");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_challenges_ask_for_the_same_payment() {
    let app = TestApp::new().await;
    let answer = app.get("", DEMO).await;
    let (offer, challenge) = (answer.offer(), answer.payment());
    assert_eq!((challenge.realm.as_str(), challenge.method.as_str()), ("pay.example", "lightning"));
    assert_eq!(
        (challenge.intent.as_str(), challenge.expires.as_deref()),
        ("charge", Some("2027-01-15T08:10:00Z"))
    );
    let request: serde_json::Value =
        serde_json::from_slice(&b64::read_url(&challenge.request).unwrap()).unwrap();
    assert_eq!(request["amount"], "10", "a text");
    assert_eq!(request["currency"], "sat");
    assert_eq!(request["methodDetails"]["invoice"], offer["invoice"]);
    assert_eq!(request["methodDetails"]["paymentHash"], offer["payment_hash"]);
    assert_eq!(request["methodDetails"]["network"], "regtest");
}

/// A token that was never paid for is worth nothing, whatever its holder makes up.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_alone_opens_nothing() {
    let app = TestApp::new().await;
    let asked = app.get("", DEMO).await;
    let offer = asked.offer();
    let macaroon = offer["macaroon"].as_str().unwrap();
    for guess in [to_hex(&[0; 32]), offer["payment_hash"].as_str().unwrap().to_owned()] {
        let answer = app.show(DEMO, &format!("L402 {macaroon}:{guess}")).await;
        assert_eq!(answer.why().0, "invalid-preimage");
        let answer = app.show(DEMO, &payment(&asked.payment(), &guess)).await;
        assert_eq!(answer.why().0, "invalid-preimage");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dearer_price_is_not_opened_by_what_was_paid_before() {
    let app = TestApp::new().await;
    let bought = app.buy(DEMO).await;
    let door = |sats| crate::services::l402::Price::new(DEMO, sats);
    let mut headers = axum::http::HeaderMap::new();
    headers.insert("authorization", bought.header().parse().unwrap());
    let client = app.l402.proxies().client(&axum::http::Extensions::new(), &headers);
    let mut admitted = Vec::new();
    for price in [9, 10, 11] {
        let admission = app.l402.admit(client, &headers, &door(price)).await;
        admitted.push(matches!(admission, crate::services::l402::Admission::Paid(_)));
    }
    assert_eq!(admitted, [true, true, false]);
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn no_credential_that_was_not_bought_opens(scheme in "(L402|LSAT|Payment)", rest in "[ -~]{0,200}") {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let app = TestApp::new().await;
            let answer = app.show(PING, &format!("{scheme} {rest}")).await;
            answer.offer();
        });
    }
}
