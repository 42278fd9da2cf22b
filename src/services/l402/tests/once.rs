//! Payments shown without a token: good for one answer.

use ::l402::b64;
use std::time::Duration;

use lightning_invoice::Bolt11Invoice;
use serde_json::json;

use super::test_app::{Bought, DEMO, HOUR, NOON, PING, TestApp, hash, payment};
use crate::core::ids::Preimage;
use crate::ledger::charges;

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_taken_once_and_answered_with_a_receipt() {
    let app = TestApp::new().await;
    let bought = app.buy(DEMO).await;
    let answer = app.show(DEMO, &bought.payment()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let receipt = b64::read_url(answer.headers["payment-receipt"].to_str().unwrap()).unwrap();
    let receipt: serde_json::Value = serde_json::from_slice(&receipt).unwrap();
    assert_eq!(
        receipt,
        json!({
            "status": "success", "method": "lightning", "timestamp": "2027-01-15T08:00:00Z",
            "reference": hash(&bought.preimage), "challengeId": bought.challenge.id,
        })
    );
    let again = app.show(DEMO, &bought.payment()).await;
    assert_eq!(again.why(), ("unknown-challenge".into(), "this payment has been used before".into()));
    assert_eq!(again.json()["type"], "https://paymentauth.org/problems/lightning/unknown-challenge");
    assert_ne!(again.offer()["payment_hash"], hash(&bought.preimage), "a fresh one");
    assert_eq!(app.show(DEMO, &bought.header()).await.status, 200, "the token is another matter");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_at_once_one_is_let_in() {
    let app = std::sync::Arc::new(TestApp::new().await);
    let bought = app.buy(DEMO).await;
    let tries = (0..50).map(|_| {
        let (app, shown) = (std::sync::Arc::clone(&app), bought.payment());
        tokio::spawn(async move { app.show(DEMO, &shown).await.status })
    });
    let mut statuses = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1], statuses[49]), (200, 402, 402));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preimage_alone_opens_nothing_and_leaves_the_payment_to_its_buyer() {
    let app = TestApp::new().await;
    let bought = app.buy(PING).await;
    // A node that forwarded the payment has seen the preimage, and nothing else.
    let seen = format!("Payment method=\"lightning\", preimage=\"{}\"", bought.preimage);
    assert_eq!(app.show(PING, &seen).await.why().0, "malformed-credential");
    let answer = app.show(PING, &bought.payment()).await;
    assert!(answer.headers.contains_key("payment-receipt"));
    assert_eq!(answer.status, 200, "the buyer's own credential");
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_that_are_not_ours_or_were_changed_are_refused() {
    let app = TestApp::new().await;
    let bought = app.buy(DEMO).await;
    let changed = |change: fn(&mut ::l402::mpp::Challenge)| {
        let mut challenge = bought.challenge.clone();
        change(&mut challenge);
        payment(&challenge, &bought.preimage)
    };
    for shown in [
        changed(|challenge| challenge.id.push('x')),
        changed(|challenge| challenge.id.clear()),
        changed(|challenge| challenge.realm = "other.example".into()),
        changed(|challenge| challenge.expires = None),
        changed(|challenge| challenge.intent = "session".into()),
        changed(|challenge| challenge.request = b64::url(b"{}")),
    ] {
        assert_eq!(app.show(DEMO, &shown).await.why().0, "unknown-challenge");
    }
    let other = app.buy(PING).await;
    assert_eq!(app.show(DEMO, &other.payment()).await.why().0, "invalid-challenge");
    let mixed = payment(&bought.challenge, &other.preimage);
    assert_eq!(app.show(DEMO, &mixed).await.why().0, "invalid-preimage");
    assert_eq!(app.show(DEMO, &payment(&bought.challenge, "zz")).await.why().0, "malformed-credential");
    // None of that has used it up.
    assert_eq!(app.show(DEMO, &bought.payment()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_good_for_as_long_as_a_token_from_when_it_came() {
    let app = TestApp::new().await;
    let (first, second) = (app.get("", DEMO).await, app.get("", PING).await);
    app.clock.advance(Duration::from_secs(599));
    let preimages = [&first, &second].map(|asked| app.pay(asked.offer()["invoice"].as_str().unwrap()));
    app.clock.advance(HOUR - Duration::from_secs(1));
    assert_eq!(app.show(DEMO, &payment(&first.payment(), &preimages[0])).await.status, 200);
    app.clock.advance(Duration::from_secs(1));
    let late = app.show(PING, &payment(&second.payment(), &preimages[1])).await;
    assert_eq!(late.why().0, "expired-invoice");
}

/// The payer has the preimage before we have written down that they paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_settles_a_moment_later_is_waited_for() {
    let app = std::sync::Arc::new(TestApp::new().await);
    let asked = app.get("", DEMO).await;
    let invoice: Bolt11Invoice = asked.offer()["invoice"].as_str().unwrap().parse().unwrap();
    let preimage = app.preimage(charges::hash_of(&invoice));
    let shown = payment(&asked.payment(), &preimage);
    let waiting = {
        let (app, shown) = (std::sync::Arc::clone(&app), shown.clone());
        tokio::spawn(async move { app.show(DEMO, &shown).await.status })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    app.pay_msat(&invoice, 10_000);
    assert_eq!(waiting.await.unwrap(), 200);
}

/// Nobody has the preimage who hasn't paid: whatever is late, it is not asked for a second time.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_takes_long_to_settle_is_not_asked_for_again() {
    let app = TestApp::new().await;
    let asked = app.get("", DEMO).await;
    let invoice: Bolt11Invoice = asked.offer()["invoice"].as_str().unwrap().parse().unwrap();
    let shown = payment(&asked.payment(), &app.preimage(charges::hash_of(&invoice)));
    let answer = app.show(DEMO, &shown).await;
    answer.is_error(503, "payment_settling", DEMO);
    assert!(!answer.headers.contains_key("www-authenticate"));
    app.pay_msat(&invoice, 10_000);
    app.show(DEMO, &shown).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_paid_late_is_good_as_long_as_any_but_not_longer_than_its_holder_says() {
    let app = TestApp::new().await;
    let asked = app.get("", DEMO).await;
    app.clock.advance(Duration::from_secs(599));
    let preimage = app.pay(asked.offer()["invoice"].as_str().unwrap());
    let macaroon = asked.offer()["macaroon"].as_str().unwrap().to_owned();
    let bought = Bought { macaroon, preimage, challenge: asked.payment() };
    let narrowed = bought.attenuated(&[&format!("valid_until={}", NOON / 1_000 + 3_600)]);
    let verify = json!({ "macaroon": bought.macaroon, "preimage": bought.preimage });
    app.clock.advance(HOUR - Duration::from_secs(1));
    app.show(DEMO, &bought.header()).await.ok();
    assert_eq!(app.show(DEMO, &narrowed).await.why().1, "the token has expired");
    assert_eq!(app.verdict(&verify).await["valid"], false, "it is not the shop's");
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(app.show(DEMO, &bought.header()).await.why().1, "the token has expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_hears_the_same_of_a_token_that_was_paid_late() {
    let app = TestApp::new().await;
    let made = app.challenge("/a", 5).await;
    app.clock.advance(Duration::from_secs(599));
    let preimage = app.pay(made["invoice"].as_str().unwrap());
    let verify = json!({ "macaroon": made["macaroon"], "preimage": preimage, "resource": "/a" });
    app.clock.advance(HOUR - Duration::from_secs(1));
    assert_eq!(app.verdict(&verify).await["valid"], true);
    app.clock.advance(Duration::from_secs(1));
    let over = app.verdict(&verify).await;
    assert_eq!((&over["valid"], &over["error"]), (&json!(false), &json!("the token has expired")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_death_left_without_an_answer_is_good_again() {
    let app = TestApp::new().await;
    let (dead, answered) = (app.buy(DEMO).await, app.buy(PING).await);
    app.show(PING, &answered.payment()).await.ok();
    let hash = dead.preimage.parse::<Preimage>().unwrap().payment_hash();
    let challenge = app.l402.settled(hash).await.unwrap().unwrap();
    std::mem::forget(app.l402.take(&challenge, challenge.admitted()).await.unwrap().unwrap());
    assert_eq!(app.show(DEMO, &dead.payment()).await.why().1, "this payment has been used before");
    app.l402.give_back_unanswered();
    app.show(DEMO, &dead.payment()).await.ok();
    assert_eq!(app.show(DEMO, &dead.payment()).await.why().1, "this payment has been used before");
    assert_eq!(app.show(PING, &answered.payment()).await.why().1, "this payment has been used before");
}
