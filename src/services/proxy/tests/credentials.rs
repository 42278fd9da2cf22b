//! What may be shown to a proxy, and what comes of it: the same as at our own routes, and the upstream hears of none
//! that isn't good.

use ::l402::{Macaroon, RootKey, b64};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;

use super::test_app::{Answer, TestApp, base, rules};

/// Which problem a refusal is, after a look at its challenge.
#[track_caller]
fn why(answer: &Answer, what: &str) -> String {
    assert_eq!(answer.status, 402, "{what}: {}", answer.text);
    assert_eq!(answer.headers.get_all("www-authenticate").iter().count(), 2, "{what}");
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.json()["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// `L402 macaroon:preimage` in its two parts.
fn parts(shown: &str) -> (String, String) {
    let (macaroon, preimage) = shown.strip_prefix("L402 ").unwrap().split_once(':').unwrap();
    (macaroon.to_owned(), preimage.to_owned())
}

fn read(macaroon: &str) -> Macaroon {
    Macaroon::read(&b64::read_any(macaroon).unwrap()).unwrap()
}

/// The token with caveats more.
fn attenuated(shown: &str, caveats: &[&str]) -> String {
    let (macaroon, preimage) = parts(shown);
    let narrowed = caveats.iter().fold(read(&macaroon), |macaroon, caveat| macaroon.attenuate(caveat));
    format!("L402 {}:{preimage}", b64::standard(&narrowed.to_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_credentials() {
    let app = TestApp::with(rules()).await;
    let id = app.sell(&json!({ "defaultPriceSats": 10 })).await;
    let (path, other) = (format!("{}/x", base(&id)), format!("{}/y", base(&id)));
    let asked = app.send(Request::get(&path).body(Body::empty()).unwrap()).await;
    let bought = app.settle(&asked);
    let elsewhere = app.pay(Method::GET, &other).await;
    let body = json!({ "name": "Rival", "targetBaseUrl": app.target() });
    let rivals = app.manage(Method::POST, &app.rival, "/api/proxy", Some(&body)).await.ok();
    let rivals = format!("{}/x", base(rivals["proxyId"].as_str().unwrap()));
    let rivals = app.pay(Method::GET, &rivals).await;
    let (macaroon, preimage) = parts(&bought);
    let bytes = b64::read_any(&macaroon).unwrap();
    let caveats = [&*format!("path={path}"), "merchant_id=1", "amount_sats=10", "valid_until=1893456000"];
    let forged = Macaroon::mint(&RootKey([7; 32]), "satchel", read(&macaroon).identifier());
    let forged = caveats.iter().fold(forged, |macaroon, caveat| macaroon.attenuate(caveat));
    let forged = b64::standard(&forged.to_bytes());
    for (what, shown) in [
        ("as given", bought.clone()),
        ("LSAT", format!("LSAT {macaroon}:{preimage}")),
        ("upper-case hex", format!("L402 {macaroon}:{}", preimage.to_uppercase())),
        ("url-safe base64", format!("L402 {}:{preimage}", URL_SAFE.encode(&bytes))),
        ("url-safe base64 without padding", format!("L402 {}:{preimage}", URL_SAFE_NO_PAD.encode(&bytes))),
        ("base64 without padding", format!("L402 {}:{preimage}", STANDARD_NO_PAD.encode(&bytes))),
        ("attenuated", attenuated(&bought, &["valid_until=1800000060", &format!("path={path}")])),
        ("two macaroons, ours first", format!("L402 {macaroon},{forged}:{preimage}")),
        ("two macaroons, ours last", format!("L402 {forged},{macaroon}:{preimage}")),
    ] {
        let answer = app.show(Method::GET, &path, &shown).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "GET /x"), "{what}");
    }
    let hits = app.upstream.hits();
    for (what, shown, problem) in [
        ("missing", String::new(), "payment-required"),
        ("of another scheme", "Bearer nobody".into(), "payment-required"),
        ("garbled", "L402 nonsense:nonsense".into(), "malformed-credential"),
        ("a scheme alone", "L402".into(), "malformed-credential"),
        ("no preimage", format!("L402 {macaroon}"), "malformed-credential"),
        ("foreign", format!("L402 {forged}:{preimage}"), "verification-failed"),
        ("two foreign ones", format!("L402 {forged},{forged}:{preimage}"), "verification-failed"),
        ("wrong preimage", format!("L402 {macaroon}:{}", "09".repeat(32)), "invalid-preimage"),
        ("of another payment", format!("L402 {macaroon}:{}", parts(&elsewhere).1), "invalid-preimage"),
        ("of another path", elsewhere.clone(), "invalid-challenge"),
        ("of another seller", rivals, "invalid-challenge"),
        ("widened", attenuated(&elsewhere, &[&format!("path={path}")]), "verification-failed"),
        ("attenuated to the past", attenuated(&bought, &["valid_until=1799999999"]), "expired-invoice"),
        ("lengthened", attenuated(&bought, &["valid_until=1999999999"]), "verification-failed"),
        ("an unknown caveat", attenuated(&bought, &["ip=192.0.2.1"]), "verification-failed"),
        (
            "a preimage alone",
            format!("Payment method=\"lightning\", preimage=\"{}\"", "09".repeat(32)),
            "malformed-credential",
        ),
        ("a garbled payment", "Payment e30".into(), "malformed-credential"),
    ] {
        assert_eq!(why(&app.show(Method::GET, &path, &shown).await, what), problem, "{what}");
    }
    assert_eq!(app.upstream.hits(), hits);
    app.put(&format!("/api/proxy/{id}"), &json!({ "defaultPriceSats": 11 })).await.ok();
    assert_eq!(why(&app.show(Method::GET, &path, &bought).await, "dearer now"), "invalid-challenge");
    app.put(&format!("/api/proxy/{id}"), &json!({ "defaultPriceSats": 10 })).await.ok();
    app.seller.ledger.clock.advance(std::time::Duration::from_secs(3_599));
    assert_eq!(app.show(Method::GET, &path, &bought).await.status, 200, "to its last second");
    app.seller.ledger.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(why(&app.show(Method::GET, &path, &bought).await, "expired"), "expired-invoice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_shown_again_is_refused_and_of_fifty_at_once_one_wins() {
    let app = Arc::new(TestApp::new().await);
    let path = format!("{}/x", base(&app.sell(&json!({})).await));
    let asked = app.send(Request::get(&path).body(Body::empty()).unwrap()).await;
    let shown = app.settle_once(&asked);
    let elsewhere = app.show(Method::GET, &path.replace("/x", "/y"), &shown).await;
    assert_eq!(why(&elsewhere, "another path"), "invalid-challenge");
    let tries = (0..50).map(|_| {
        let (app, path, shown) = (Arc::clone(&app), path.clone(), shown.clone());
        tokio::spawn(async move { app.show(Method::GET, &path, &shown).await.status })
    });
    let mut statuses = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1], statuses[49]), (200, 402, 402));
    assert_eq!(app.upstream.hits(), 1);
    let again = app.show(Method::GET, &path, &shown).await;
    assert_eq!(why(&again, "reused"), "unknown-challenge");
    assert_eq!(again.json()["detail"], "this payment has been used before");
    let (_, preimage) = parts(&app.seller.token(&asked.headers));
    let older = format!("Payment method=\"lightning\", preimage=\"{preimage}\"");
    assert_eq!(
        why(&app.show(Method::GET, &path, &older).await, "the preimage alone"),
        "malformed-credential"
    );
}
