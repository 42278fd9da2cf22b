//! What a producer hears.

use ::l402::{Macaroon, RootKey, b64};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::test_app::{CHALLENGES, HOUR, TestApp, VERIFY, hash};
use crate::core::ids::to_hex;

/// A paid challenge of the shop: its token and its preimage.
async fn bought(app: &TestApp, resource: &str, price: u64) -> (String, String) {
    let made = app.challenge(resource, price).await;
    let preimage = app.pay(made["invoice"].as_str().unwrap());
    (made["macaroon"].as_str().unwrap().to_owned(), preimage)
}

fn error(verdict: &Value) -> &str {
    assert_eq!(verdict["valid"], false, "{verdict}");
    verdict["error"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_on_every_request_until_it_ends() {
    let app = TestApp::new().await;
    let (macaroon, preimage) = bought(&app, "/weather", 7).await;
    let ask = json!({ "macaroon": macaroon, "preimage": preimage });
    for _ in 0..3 {
        let verdict = app.verdict(&ask).await;
        assert_eq!((&verdict["valid"], &verdict["error"]), (&json!(true), &Value::Null));
        assert_eq!((&verdict["resource"], &verdict["amountSats"]), (&json!("/weather"), &json!(7)));
        assert_eq!(verdict["paymentHash"], hash(&preimage));
        assert!(verdict["merchantId"].as_i64().unwrap() > 0);
    }
    let upper = json!({ "macaroon": macaroon, "preimage": preimage.to_uppercase() });
    assert_eq!(app.verdict(&upper).await["valid"], true);
    app.clock.advance(HOUR);
    let verdict = app.verdict(&ask).await;
    assert_eq!(error(&verdict), "the token has expired");
    assert_eq!(verdict["resource"], "/weather", "what it was for is told all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn resource_and_amount_are_enforced_if_they_are_told() {
    let app = TestApp::new().await;
    let (macaroon, preimage) = bought(&app, "/weather", 7).await;
    let ask = async |more: Value| {
        let mut body = json!({ "macaroon": macaroon, "preimage": preimage });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        app.verdict(&body).await
    };
    assert_eq!(ask(json!({ "resource": "/weather", "amountSats": 7 })).await["valid"], true);
    assert_eq!(ask(json!({ "resource": null, "amountSats": null })).await["valid"], true);
    assert_eq!(ask(json!({ "amountSats": 6 })).await["valid"], true);
    for else_ in ["/else", "/weather\n", " ", "\u{0}"] {
        assert_eq!(error(&ask(json!({ "resource": else_ })).await), "the token is for another resource");
    }
    assert_eq!(error(&ask(json!({ "amountSats": 8 })).await), "less was paid than this costs");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_answered_with_200_and_no() {
    let app = TestApp::new().await;
    let (macaroon, preimage) = bought(&app, "/weather", 7).await;
    let unpaid = app.challenge("/unpaid", 7).await;
    let unpaid_hash = unpaid["paymentHash"].as_str().unwrap().parse().unwrap();
    let early = app.preimage(unpaid_hash);
    let narrowed = Macaroon::read(&b64::read_any(&macaroon).unwrap()).unwrap();
    let narrowed = |caveat: &str| b64::standard(&narrowed.clone().attenuate(caveat).to_bytes());
    let demo = app.buy(super::test_app::DEMO).await;
    for (macaroon, preimage, expected) in [
        (json!("nonsense"), preimage.clone(), "the credential can't be read"),
        (json!(macaroon), "nonsense".into(), "the credential can't be read"),
        (json!(macaroon), " ".into(), "the credential can't be read"),
        (json!(macaroon), "a\n\u{0}b".into(), "the credential can't be read"),
        (json!("a\nb"), preimage.clone(), "the credential can't be read"),
        (json!("\u{7}".repeat(5_000)), preimage.clone(), "the credential can't be read"),
        (json!(macaroon), preimage[..62].into(), "the credential can't be read"),
        (json!(macaroon), to_hex(&[1; 32]), "the preimage doesn't belong to the token"),
        (json!(unpaid["macaroon"]), preimage.clone(), "the preimage doesn't belong to the token"),
        (
            json!(narrowed("path=/else")),
            preimage.clone(),
            "the token has a caveat that widens an earlier one",
        ),
        (json!(narrowed("color=red")), preimage.clone(), "the token has a caveat that is not known here"),
        (json!(demo.macaroon), demo.preimage.clone(), "the token is for somebody else's resources"),
        (Value::Null, to_hex(&[1; 32]), "no invoice of this server has this payment hash"),
        (Value::Null, demo.preimage.clone(), "no invoice of this server has this payment hash"),
        // A preimage that got about before its payment settled: nobody has paid.
        (json!(unpaid["macaroon"]), early.clone(), "the payment has not settled here"),
        (Value::Null, early, "the payment has not settled here"),
    ] {
        let verdict = app.verdict(&json!({ "macaroon": macaroon, "preimage": preimage })).await;
        assert_eq!(error(&verdict), expected, "{macaroon} {preimage}");
        let names: Vec<_> = verdict.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names.len(), 6, "{names:?}");
        assert!(verdict["merchantId"].is_i64() && verdict["amountSats"].is_u64());
    }
    // Another's token, another's payment.
    let body = json!({ "macaroon": macaroon, "preimage": preimage });
    let rival = app.post(&app.rival, VERIFY, &body).await.ok();
    assert_eq!(error(&rival), "the token is for somebody else's resources");
    let rival = app.post(&app.rival, VERIFY, &json!({ "preimage": preimage })).await.ok();
    assert_eq!(error(&rival), "no invoice of this server has this payment hash");
}

/// The table of the tokens, as at the routes.
#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_a_good_token_is_valid_and_a_made_up_one_is_not() {
    let app = TestApp::new().await;
    let (macaroon, preimage) = bought(&app, "/weather", 7).await;
    let bytes = b64::read_any(&macaroon).unwrap();
    let token = Macaroon::read(&bytes).unwrap();
    let merchant =
        app.verdict(&json!({ "macaroon": macaroon, "preimage": preimage })).await["merchantId"].clone();
    let caveats =
        ["path=/weather", &*format!("merchant_id={merchant}"), "amount_sats=7", "valid_until=1893456000"];
    let forged = Macaroon::mint(&RootKey([7; 32]), "satchel", token.identifier());
    let forged = caveats.iter().fold(forged, |macaroon, caveat| macaroon.attenuate(caveat));
    let forged = b64::standard(&forged.to_bytes());
    let attenuated = |caveat: &str| b64::standard(&token.clone().attenuate(caveat).to_bytes());
    let ask = async |macaroon: &str, preimage: &str| {
        app.verdict(&json!({ "macaroon": macaroon, "preimage": preimage, "resource": "/weather" })).await
    };
    for (what, macaroon, preimage) in [
        ("upper-case hex", macaroon.clone(), preimage.to_uppercase()),
        ("url-safe base64", URL_SAFE.encode(&bytes), preimage.clone()),
        ("url-safe base64 without padding", URL_SAFE_NO_PAD.encode(&bytes), preimage.clone()),
        ("base64 without padding", STANDARD_NO_PAD.encode(&bytes), preimage.clone()),
        ("attenuated", attenuated("valid_until=1800000060"), preimage.clone()),
        ("two macaroons, ours first", format!("{macaroon},{forged}"), preimage.clone()),
        ("two macaroons, ours last", format!("{forged}, {macaroon}"), preimage.clone()),
    ] {
        assert_eq!(ask(&macaroon, &preimage).await["valid"], true, "{what}");
    }
    for (macaroon, expected) in [
        (forged.clone(), "the token was not made here"),
        (format!("{forged},{forged}"), "the token was not made here"),
        (",".into(), "the credential can't be read"),
        (attenuated("valid_until=1799999999"), "the token has expired"),
        (attenuated("valid_until=1999999999"), "the token has a caveat that widens an earlier one"),
        (attenuated("amount_sats=8"), "the token has a caveat that widens an earlier one"),
    ] {
        assert_eq!(error(&ask(&macaroon, &preimage).await), expected, "{macaroon}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preimage_alone_is_taken_once() {
    let app = std::sync::Arc::new(TestApp::new().await);
    let (macaroon, preimage) = bought(&app, "/weather", 7).await;
    let other = json!({ "preimage": preimage, "resource": "/else" });
    assert_eq!(error(&app.verdict(&other).await), "the token is for another resource");
    let dear = json!({ "preimage": preimage, "amountSats": 8 });
    assert_eq!(error(&app.verdict(&dear).await), "less was paid than this costs");
    let tries = (0..50).map(|_| {
        let (app, body) = (std::sync::Arc::clone(&app), json!({ "macaroon": null, "preimage": preimage }));
        tokio::spawn(async move { app.verdict(&body).await["valid"].as_bool().unwrap() })
    });
    let mut valid = 0;
    for one in tries.collect::<Vec<_>>() {
        valid += usize::from(one.await.unwrap());
    }
    assert_eq!(valid, 1);
    let again = app.verdict(&json!({ "preimage": preimage })).await;
    assert_eq!(error(&again), "this payment has been used before");
    assert_eq!(again["resource"], "/weather");
    assert_eq!(app.verdict(&json!({ "macaroon": macaroon, "preimage": preimage })).await["valid"], true);
}

/// The producer asks while our own transaction is still under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_just_made_is_waited_for() {
    let app = std::sync::Arc::new(TestApp::new().await);
    let made = app.challenge("/weather", 7).await;
    let invoice: lightning_invoice::Bolt11Invoice = made["invoice"].as_str().unwrap().parse().unwrap();
    let preimage = app.preimage(crate::ledger::charges::hash_of(&invoice));
    let asking = {
        let app = std::sync::Arc::clone(&app);
        let body = json!({ "macaroon": made["macaroon"], "preimage": preimage });
        tokio::spawn(async move { app.verdict(&body).await["valid"].clone() })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    app.pay_msat(&invoice, 7_000);
    assert_eq!(asking.await.unwrap(), true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_question_is_refused() {
    let app = TestApp::new().await;
    for (body, slug) in [
        (json!({}), "invalid_preimage"),
        (json!({ "preimage": "" }), "invalid_preimage"),
        (json!({ "preimage": 5 }), "invalid_preimage"),
        (json!({ "preimage": "aa", "macaroon": 5 }), "invalid_macaroon"),
        (json!({ "preimage": "aa", "resource": [] }), "invalid_resource"),
        (json!({ "preimage": "aa", "amountSats": -1 }), "invalid_amount"),
        (json!({ "preimage": "aa", "amountSats": "7" }), "invalid_amount"),
        (json!([]), "invalid_json"),
    ] {
        app.post(&app.shop, VERIFY, &body).await.is_error(400, slug, VERIFY);
    }
    for (body, slug) in [
        (json!({ "priceSats": 1 }), "invalid_resource"),
        (json!({ "resource": "", "priceSats": 1 }), "invalid_resource"),
        (json!({ "resource": "  ", "priceSats": 1 }), "invalid_resource"),
        (json!({ "resource": "a\nb", "priceSats": 1 }), "invalid_resource"),
        (json!({ "resource": "a".repeat(513), "priceSats": 1 }), "invalid_resource"),
        (json!({ "resource": "/a" }), "invalid_price"),
        (json!({ "resource": "/a", "priceSats": 0 }), "invalid_price"),
        (json!({ "resource": "/a", "priceSats": 1.5 }), "invalid_price"),
        (json!({ "resource": "/a", "priceSats": "5" }), "invalid_price"),
        (json!({ "resource": "/a", "priceSats": 1_000_001 }), "invalid_price"),
        (json!({ "resource": "/a", "priceSats": 1, "description": 5 }), "invalid_description"),
    ] {
        app.post(&app.shop, CHALLENGES, &body).await.is_error(400, slug, CHALLENGES);
    }
}
