//! Gifts that are taken to lightning addresses, and what is said of everything else that is pasted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::test_app::{Answer, NOON, TestApp};

const ADDRESS: &str = "me@wallet.example";

async fn redeem(app: &TestApp, id: &str, to: &str) -> Answer {
    app.post(&format!("/redeem/{id}"), &json!({"invoice": to})).await
}

/// The error's own words.
fn reason(answer: &Answer) -> String {
    answer.json()["reason"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn gift_is_paid_to_a_lightning_address() {
    let app = TestApp::new();
    for text in [ADDRESS, " lightning:Me@Wallet.example ", "lnurlp://wallet.example/pay/1"] {
        let id = app.funded(json!({"amount": 1000})).await;
        let begun = redeem(&app, &id, text).await.ok();
        assert_eq!(begun["withdrawalId"], begun["withdrawal_id"]);
        assert_eq!(app.addresses.asked_for(), [1000], "{text}");
        app.finish(true);
        let shown = app.get(&format!("/gift/{id}")).await.ok();
        assert_eq!((&shown["spent"], &shown["state"]), (&json!(true), &json!("redeemed")), "{text}");
        let paid = shown["withdrawalInfo"]["withdrawalInvoice"].as_str().unwrap();
        assert!(app.reached(paid), "{text}");
        redeem(&app, &id, text).await.is_error(400, "GIFT_SPENT");
        assert!(app.addresses.asked_for().is_empty(), "nobody is asked in vain");
    }
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn sender_takes_a_gift_back_to_a_lightning_address() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 1000, "expiresAt": NOON / 1_000 + 60})).await;
    app.fund(&created);
    app.clock.advance(Duration::from_secs(61));
    let id = created["orderId"].as_str().unwrap();
    redeem(&app, id, ADDRESS).await.is_error(400, "GIFT_EXPIRED");
    let body = json!({"key": created["manageKey"], "invoice": ADDRESS});
    app.post(&format!("/gift/{id}/refund"), &body).await.ok();
    assert_eq!(app.addresses.asked_for(), [1000]);
    app.finish(true);
    assert_eq!(app.get(&format!("/gift/{id}")).await.ok()["state"], "returned");
    let stranger = json!({"key": "0".repeat(64), "invoice": ADDRESS});
    app.post(&format!("/gift/{id}/refund"), &stranger).await.is_error(404, "GIFT_NOT_FOUND");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn address_is_asked_only_for_who_may_take_the_gift() {
    let app = TestApp::new();
    redeem(&app, &"0".repeat(48), ADDRESS).await.is_error(404, "GIFT_NOT_FOUND");
    let created = app.create(json!({"amount": 1000, "verifyCode": 1234})).await;
    let id = created["orderId"].as_str().unwrap();
    redeem(&app, id, ADDRESS).await.is_error(400, "GIFT_INVOICE_UNPAID");
    app.fund(&created);
    redeem(&app, id, ADDRESS).await.is_error(400, "BAD_VERIFY_CODE");
    let with_code = |code: Value| json!({"invoice": ADDRESS, "verifyCode": code});
    let path = format!("/redeem/{id}");
    for wrong in 0..3 {
        app.post(&path, &with_code(json!(5000 + wrong))).await.is_error(400, "BAD_VERIFY_CODE");
    }
    app.node.running.store(false, Ordering::SeqCst);
    app.post(&path, &with_code(json!(1234))).await.is_error(503, "NODE_UNAVAILABLE");
    app.node.running.store(true, Ordering::SeqCst);
    assert!(app.addresses.asked_for().is_empty());
    app.post(&path, &with_code(json!(1234))).await.ok();
    assert_eq!(app.addresses.asked_for(), [1000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn address_that_refuses_leaves_the_gift_open() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    app.addresses.refuse.store(true, Ordering::SeqCst);
    let refused = redeem(&app, &id, ADDRESS).await;
    refused.is_error(422, "ADDRESS_REFUSES");
    assert_eq!(reason(&refused), "out of range");
    assert_eq!(app.get(&format!("/gift/{id}")).await.ok()["state"], "open");
    app.addresses.refuse.store(false, Ordering::SeqCst);
    redeem(&app, &id, ADDRESS).await.ok();
    // A payout that fails opens it again, for the same address too.
    app.finish(false);
    redeem(&app, &id, ADDRESS).await.ok();
    app.finish(true);
    assert_eq!(app.get(&format!("/gift/{id}")).await.ok()["spent"], true);
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_addresses_at_once_one_is_paid() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let path = format!("/redeem/{id}");
    let bodies: Vec<_> = (0..20).map(|n| json!({"invoice": format!("me{n}@wallet.example")})).collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| app.post(&path, body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.is_error(400, "GIFT_REDEEM_PENDING");
    }
    app.finish(true);
    assert_eq!(app.sim.delivered().len(), 1);
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn address_asked_for_with_the_same_key_is_paid_once() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let send = async || {
        let request = Request::post(format!("/redeem/{id}")).header("content-type", "application/json");
        let request = request.header("idempotency-key", "0123456789abcdef0123456789abcdef");
        let body = Body::from(json!({"invoice": ADDRESS}).to_string());
        app.send(request.body(body).unwrap()).await.ok()
    };
    let first = send().await;
    assert_eq!(send().await, first);
    app.finish(true);
    assert_eq!(send().await, first, "its answer is the same when it has arrived");
    assert_eq!(app.addresses.asked_for(), [1000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_fits_what_was_pasted() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 1000})).await;
    app.fund(&created);
    let id = created["orderId"].as_str().unwrap();
    let offer = "lno1zcss9mk8y3wkklfvevcrszlmu23kfrxh49px20665dqwmn4p72pksese";
    let used = app.invoice(1000);
    redeem(&app, id, &used).await.ok();
    app.finish(false);
    for (text, code, why) in [
        ("me@", "ADDRESS_INVALID", "not a lightning address"),
        ("me@wallet .example", "ADDRESS_INVALID", "not a lightning address"),
        ("me@router.local", "ADDRESS_INVALID", "local network"),
        ("me@10.0.0.1", "ADDRESS_INVALID", "not a public one"),
        (&offer[..offer.len() - 1], "BAD_INVOICE", "BOLT12 offer"),
        (offer, "BAD_INVOICE", "another network"),
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "BAD_INVOICE", "bitcoin address"),
        ("₿me@wallet.example", "BAD_INVOICE", "DNS"),
        (used.as_str(), "BAD_INVOICE", "used before"),
        ("garbage", "BAD_INVOICE", ""),
        (&used[..used.len() - 1], "BAD_INVOICE", ""),
    ] {
        for path in [format!("/redeem/{id}"), format!("/gift/{id}/refund")] {
            let body = json!({"key": created["manageKey"], "invoice": text});
            let answer = app.post(&path, &body).await;
            answer.is_error(400, code);
            let told = reason(&answer);
            assert!(told.contains(why) && told.is_empty() == why.is_empty(), "{text}: {told}");
        }
    }
    assert!(app.addresses.asked_for().is_empty());
    // A wallet's callback takes an invoice alone.
    let offered = app.get(&format!("/lnurl/{id}")).await.ok();
    let k1 = offered["k1"].as_str().unwrap();
    app.get(&format!("/lnurl/{id}?k1={k1}&pr={ADDRESS}")).await.is_lnurl_error("BAD_INVOICE");
}
