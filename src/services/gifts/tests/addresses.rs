//! Gifts that are taken to lightning addresses, and what is said of everything else that is pasted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::house::{Answer, House, NOON};

const ADDRESS: &str = "me@wallet.example";

async fn redeem(house: &House, id: &str, to: &str) -> Answer {
    house.post(&format!("/redeem/{id}"), &json!({"invoice": to})).await
}

/// The error's own words.
fn reason(answer: &Answer) -> String {
    answer.json()["reason"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn gift_is_paid_to_a_lightning_address() {
    let house = House::new();
    for text in [ADDRESS, " lightning:Me@Wallet.example ", "lnurlp://wallet.example/pay/1"] {
        let id = house.funded(json!({"amount": 1000})).await;
        let begun = redeem(&house, &id, text).await.ok();
        assert_eq!(begun["withdrawalId"], begun["withdrawal_id"]);
        assert_eq!(house.addresses.asked_for(), [1000], "{text}");
        house.finish(true);
        let shown = house.get(&format!("/gift/{id}")).await.ok();
        assert_eq!((&shown["spent"], &shown["state"]), (&json!(true), &json!("redeemed")), "{text}");
        let paid = shown["withdrawalInfo"]["withdrawalInvoice"].as_str().unwrap();
        assert!(house.reached(paid), "{text}");
        redeem(&house, &id, text).await.is_error(400, "GIFT_SPENT");
        assert!(house.addresses.asked_for().is_empty(), "nobody is asked in vain");
    }
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn sender_takes_a_gift_back_to_a_lightning_address() {
    let house = House::new();
    let created = house.create(json!({"amount": 1000, "expiresAt": NOON / 1_000 + 60})).await;
    house.fund(&created);
    house.clock.advance(Duration::from_secs(61));
    let id = created["orderId"].as_str().unwrap();
    redeem(&house, id, ADDRESS).await.is_error(400, "GIFT_EXPIRED");
    let body = json!({"key": created["manageKey"], "invoice": ADDRESS});
    house.post(&format!("/gift/{id}/refund"), &body).await.ok();
    assert_eq!(house.addresses.asked_for(), [1000]);
    house.finish(true);
    assert_eq!(house.get(&format!("/gift/{id}")).await.ok()["state"], "returned");
    let stranger = json!({"key": "0".repeat(64), "invoice": ADDRESS});
    house.post(&format!("/gift/{id}/refund"), &stranger).await.is_error(404, "GIFT_NOT_FOUND");
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn address_is_asked_only_for_who_may_take_the_gift() {
    let house = House::new();
    redeem(&house, &"0".repeat(48), ADDRESS).await.is_error(404, "GIFT_NOT_FOUND");
    let created = house.create(json!({"amount": 1000, "verifyCode": 1234})).await;
    let id = created["orderId"].as_str().unwrap();
    redeem(&house, id, ADDRESS).await.is_error(400, "GIFT_INVOICE_UNPAID");
    house.fund(&created);
    redeem(&house, id, ADDRESS).await.is_error(400, "BAD_VERIFY_CODE");
    let with_code = |code: Value| json!({"invoice": ADDRESS, "verifyCode": code});
    let path = format!("/redeem/{id}");
    for wrong in 0..3 {
        house.post(&path, &with_code(json!(5000 + wrong))).await.is_error(400, "BAD_VERIFY_CODE");
    }
    house.node.running.store(false, Ordering::SeqCst);
    house.post(&path, &with_code(json!(1234))).await.is_error(503, "NODE_UNAVAILABLE");
    house.node.running.store(true, Ordering::SeqCst);
    assert!(house.addresses.asked_for().is_empty());
    house.post(&path, &with_code(json!(1234))).await.ok();
    assert_eq!(house.addresses.asked_for(), [1000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn address_that_refuses_leaves_the_gift_open() {
    let house = House::new();
    let id = house.funded(json!({"amount": 1000})).await;
    house.addresses.refuse.store(true, Ordering::SeqCst);
    let refused = redeem(&house, &id, ADDRESS).await;
    refused.is_error(422, "ADDRESS_REFUSES");
    assert_eq!(reason(&refused), "out of range");
    assert_eq!(house.get(&format!("/gift/{id}")).await.ok()["state"], "open");
    house.addresses.refuse.store(false, Ordering::SeqCst);
    redeem(&house, &id, ADDRESS).await.ok();
    // A payout that fails opens it again, for the same address too.
    house.finish(false);
    redeem(&house, &id, ADDRESS).await.ok();
    house.finish(true);
    assert_eq!(house.get(&format!("/gift/{id}")).await.ok()["spent"], true);
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_addresses_at_once_one_is_paid() {
    let house = House::new();
    let id = house.funded(json!({"amount": 1000})).await;
    let path = format!("/redeem/{id}");
    let bodies: Vec<_> = (0..20).map(|n| json!({"invoice": format!("me{n}@wallet.example")})).collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| house.post(&path, body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.is_error(400, "GIFT_REDEEM_PENDING");
    }
    house.finish(true);
    assert_eq!(house.sim.delivered().len(), 1);
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn address_asked_for_with_the_same_key_is_paid_once() {
    let house = House::new();
    let id = house.funded(json!({"amount": 1000})).await;
    let send = async || {
        let request = Request::post(format!("/redeem/{id}")).header("content-type", "application/json");
        let request = request.header("idempotency-key", "0123456789abcdef0123456789abcdef");
        let body = Body::from(json!({"invoice": ADDRESS}).to_string());
        house.send(request.body(body).unwrap()).await.ok()
    };
    let first = send().await;
    assert_eq!(send().await, first);
    house.finish(true);
    assert_eq!(send().await, first, "its answer is the same when it has arrived");
    assert_eq!(house.addresses.asked_for(), [1000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_fits_what_was_pasted() {
    let house = House::new();
    let created = house.create(json!({"amount": 1000})).await;
    house.fund(&created);
    let id = created["orderId"].as_str().unwrap();
    let offer = "lno1zcss9mk8y3wkklfvevcrszlmu23kfrxh49px20665dqwmn4p72pksese";
    let used = house.invoice(1000);
    redeem(&house, id, &used).await.ok();
    house.finish(false);
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
            let answer = house.post(&path, &body).await;
            answer.is_error(400, code);
            let told = reason(&answer);
            assert!(told.contains(why) && told.is_empty() == why.is_empty(), "{text}: {told}");
        }
    }
    assert!(house.addresses.asked_for().is_empty());
    // A wallet's callback takes an invoice alone.
    let offered = house.get(&format!("/lnurl/{id}")).await.ok();
    let k1 = offered["k1"].as_str().unwrap();
    house.get(&format!("/lnurl/{id}?k1={k1}&pr={ADDRESS}")).await.is_lnurl_error("BAD_INVOICE");
}
