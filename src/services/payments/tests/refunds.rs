//! What goes back: how much, to whom, how often, and what the books say of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::answer::keys;
use super::checkout::is_like_the_document;
use super::paying_app::{PayingApp, REFUNDS};
use super::test_app::{PAYMENTS, id};
use crate::core::ids::PaymentHash;
use crate::core::money::Msat;
use crate::ledger::charges::hash_of;
use crate::ledger::payouts;

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

fn hash(body: &Value) -> PaymentHash {
    hash_of(&body["lightningInvoice"].as_str().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_goes_back_whole_and_everybody_is_told() {
    let paying = PayingApp::new().await;
    paying.listen("https://shop.example/hook").await;
    let made = paying.paid(&json!({})).await;
    let answer = paying.refund_of(&made, 125_000, &json!({ "reason": "Returned" })).await;
    let shape = [
        "refundId",
        "invoiceId",
        "status",
        "amount",
        "currency",
        "amountSats",
        "type",
        "reason",
        "createdAt",
    ];
    assert_eq!(keys(&answer.text), shape);
    let begun = answer.created();
    let expected = json!({
        "refundId": begun["refundId"],
        "invoiceId": made["invoiceId"],
        "status": "pending",
        "amount": 49.99,
        "currency": "USD",
        "amountSats": 125_000,
        "type": "lightning",
        "reason": "Returned",
        "createdAt": "2027-01-15T08:00:00Z",
    });
    assert_eq!(begun, expected);
    let refund = begun["refundId"].as_str().unwrap();
    assert!(refund.starts_with("ref_"));
    let shown = paying.shown(&id(&made)).await;
    assert_eq!((&shown["status"], &shown["amountRefundedSats"]), (&json!("paid"), &json!(125_000)));
    paying.finish(true, sat(3));
    let mut expected = expected;
    expected["status"] = json!("completed");
    expected["completedAt"] = json!("2027-01-15T08:00:00Z");
    assert_eq!(paying.get(&paying.shop, &format!("{REFUNDS}/{refund}")).await.ok(), expected);
    assert_eq!(paying.status(&id(&made)).await, "refunded");
    let page = paying.get("", &format!("/checkout/{}/status", id(&made))).await.ok();
    is_like_the_document(&page, "refunded", &made["lightningInvoice"]);
    let (kind, news) = paying.sent().pop().unwrap();
    assert_eq!(kind, "refund.completed");
    let data = json!({
        "refundId": refund,
        "invoiceId": made["invoiceId"],
        "status": "completed",
        "amount": 49.99,
        "currency": "USD",
        "completedAt": "2027-01-15T08:00:00Z",
    });
    assert_eq!(news["data"], data);
    assert_eq!((paying.balance("merchants"), paying.balance("routing_paid")), (0, 3_000));
    assert_eq!(paying.balance("lightning"), -3_000);
    let again = paying.refund_of(&made, 125_000, &json!({})).await;
    again.is_error(400, "REFUND_EXCEEDS_PAYMENT", REFUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_go_back_is_refused_with_its_reason() {
    let paying = PayingApp::new().await;
    let made = paying.paid(&json!({})).await;
    let unpaid = paying.order(&json!({ "orderId": "2" })).await.created();
    let cases = [
        (json!({ "invoiceId": null }), 400, "MISSING_INVOICE_ID"),
        (json!({ "invoiceId": "inv_000000000000000000000000" }), 404, "PAYMENT_NOT_FOUND"),
        (json!({ "invoiceId": 7 }), 404, "PAYMENT_NOT_FOUND"),
        (json!({ "invoiceId": unpaid["invoiceId"] }), 409, "PAYMENT_NOT_PAID"),
        (json!({ "amount": 0 }), 400, "INVALID_AMOUNT"),
        (json!({ "amount": -1 }), 400, "INVALID_AMOUNT"),
        (json!({ "amount": "much" }), 400, "INVALID_AMOUNT"),
        (json!({ "amount": 0.001 }), 400, "INVALID_AMOUNT"),
        (json!({ "amount": 50 }), 400, "REFUND_EXCEEDS_PAYMENT"),
        (json!({ "amount": 1e20 }), 400, "REFUND_EXCEEDS_PAYMENT"),
        (json!({ "currency": "EUR" }), 400, "INVALID_CURRENCY"),
        (json!({ "currency": "sats" }), 400, "INVALID_CURRENCY"),
        (json!({ "currency": null }), 400, "INVALID_CURRENCY"),
        (json!({ "lightningInvoice": null }), 400, "INVALID_DESTINATION"),
        (json!({ "bitcoinAddress": "bcrt1q" }), 400, "INVALID_DESTINATION"),
        (json!({ "bitcoinAddress": "bcrt1q", "lightningInvoice": null }), 400, "INVALID_ADDRESS"),
        (json!({ "lightningInvoice": "lnbc1" }), 400, "INVALID_INVOICE"),
        (json!({ "lightningInvoice": paying.invoice(124_999) }), 400, "INVALID_INVOICE"),
        (json!({ "lightningInvoice": paying.invoice(125_001) }), 400, "INVALID_INVOICE"),
        // The order's own invoice is paid, and another's may only be paid for all that it asks for.
        (json!({ "lightningInvoice": made["lightningInvoice"] }), 400, "INVALID_INVOICE"),
        (json!({ "reason": "x".repeat(501) }), 400, "INVALID_FIELD"),
    ];
    for (more, status, code) in cases {
        paying.refund_of(&made, 125_000, &more).await.is_error(status, code, REFUNDS);
    }
    let told = paying.refund_of(&made, 1, &json!({})).await.json();
    assert_eq!(told["message"], "lightningInvoice must be for exactly 125000 sat");
    let theirs = paying.post(&paying.rival, REFUNDS, &paying.body(&id(&made), 125_000, &json!({}))).await;
    theirs.is_error(404, "PAYMENT_NOT_FOUND", REFUNDS);
    paying.node.running.store(false, Ordering::SeqCst);
    paying.refund_of(&made, 125_000, &json!({})).await.is_error(503, "NODE_UNAVAILABLE", REFUNDS);
    assert_eq!(paying.owed(), 125_000);
    let list = paying.get(&paying.shop, REFUNDS).await.ok();
    assert_eq!(list, json!({ "refunds": [], "nextCursor": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_rounded_down_and_the_last_gets_what_is_left() {
    let paying = PayingApp::new().await;
    let made = paying.paid(&json!({ "amount": 10 })).await;
    assert_eq!(made["amountSats"], 25_006);
    for (amount, sats) in [(json!(3.33), 8_326), (json!("3.33"), 8_326), (json!(3.34), 8_354)] {
        let refund = paying.refund_of(&made, sats, &json!({ "amount": amount })).await.created();
        assert_eq!(refund["amountSats"], sats);
    }
    paying.finish(true, Msat::ZERO);
    assert_eq!((paying.status(&id(&made)).await.as_str(), paying.owed()), ("refunded", 0));
    // The rate of today has nothing to say.
    let bits = paying.paid(&json!({ "orderId": "b", "amount": "0.00012345", "currency": "btc" })).await;
    let part = json!({ "amount": 0.00000045, "currency": "BTC" });
    paying.refund_of(&bits, 45, &part).await.created();
    let most = json!({ "amount": 0.00012301, "currency": "BTC" });
    paying.refund_of(&bits, 12_301, &most).await.is_error(400, "REFUND_EXCEEDS_PAYMENT", REFUNDS);
    let rest = json!({ "amount": 0.000123, "currency": "BTC" });
    paying.refund_of(&bits, 12_300, &rest).await.created();
    paying.finish(true, Msat::ZERO);
    assert_eq!((paying.status(&id(&bits)).await.as_str(), paying.owed()), ("refunded", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_on_top_goes_back_too() {
    let paying = PayingApp::new().await;
    // A wallet rounds up, and a customer pays twice as much.
    for (order, msat, amount, sats) in
        [("a", 25_007_500, json!(10), 25_007), ("b", 50_012_000, json!(20), 50_012)]
    {
        let made = paying.order(&json!({ "orderId": order, "amount": 10 })).await.created();
        assert!(paying.pay_msat(&super::test_app::invoice(&made), msat));
        paying.refund_of(&made, sats, &json!({ "amount": amount })).await.created();
        paying.finish(true, Msat::ZERO);
        assert_eq!(paying.status(&id(&made)).await, "refunded");
    }
    assert_eq!(paying.balance("merchants"), -500);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_may_go_back_by_another_invoice() {
    let paying = PayingApp::new().await;
    paying.listen("https://shop.example/hook").await;
    let made = paying.paid(&json!({})).await;
    let body = paying.body(&id(&made), 125_000, &json!({}));
    let begun = paying.post(&paying.shop, REFUNDS, &body).await.created();
    paying.refund_of(&made, 125_000, &json!({})).await.is_error(400, "REFUND_EXCEEDS_PAYMENT", REFUNDS);
    paying.finish(false, Msat::ZERO);
    let path = format!("{REFUNDS}/{}", begun["refundId"].as_str().unwrap());
    let failed = paying.get(&paying.shop, &path).await.ok();
    assert_eq!((&failed["status"], failed.get("completedAt")), (&json!("failed"), None));
    let (kind, news) = paying.sent().pop().unwrap();
    assert_eq!((kind.as_str(), &news["data"]["failedAt"]), ("refund.failed", &json!("2027-01-15T08:00:00Z")));
    assert_eq!(failed["failedAt"], news["data"]["failedAt"]);
    assert_eq!((paying.status(&id(&made)).await.as_str(), paying.owed()), ("paid", 125_000));
    paying.post(&paying.shop, REFUNDS, &body).await.is_error(409, "INVOICE_USED", REFUNDS);
    paying.refund_of(&made, 125_000, &json!({})).await.created();
    paying.finish(true, Msat::ZERO);
    assert_eq!((paying.status(&id(&made)).await.as_str(), paying.owed()), ("refunded", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_refund_again_is_the_same_refund() {
    let paying = PayingApp::new().await;
    let made = paying.paid(&json!({})).await;
    let body = paying.body(&id(&made), 25_005, &json!({ "amount": 10 }));
    let text = body.to_string();
    let headers = [("x-idempotency-key", "k")];
    let ask = async || {
        paying.ask_with(axum::http::Method::POST, &paying.shop, REFUNDS, Some(&text), &headers).await
    };
    let first = ask().await;
    assert!(!first.headers.contains_key("x-idempotency-replayed"));
    let second = ask().await;
    assert_eq!((second.status, &second.text), (201, &first.text));
    assert_eq!(second.headers["x-idempotency-replayed"], "true");
    // Without a key it is known by its invoice.
    assert_eq!(paying.post(&paying.shop, REFUNDS, &body).await.ok(), first.json());
    let mut other = body.clone();
    other["amount"] = json!(11);
    paying.post(&paying.shop, REFUNDS, &other).await.is_error(409, "INVOICE_USED", REFUNDS);
    let text = other.to_string();
    let other = paying.ask_with(axum::http::Method::POST, &paying.shop, REFUNDS, Some(&text), &headers).await;
    other.is_error(409, "IDEMPOTENCY_KEY_REUSE", REFUNDS);
    paying.finish(true, Msat::ZERO);
    assert_eq!(paying.post(&paying.shop, REFUNDS, &body).await.ok()["status"], "completed");
    assert_eq!(paying.owed(), 125_000 - 25_005);
    assert_eq!(paying.sim.delivered()[&hash(&body)], sat(25_005));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_and_one_s_own() {
    let paying = PayingApp::new().await;
    let first = paying.paid(&json!({})).await;
    let second = paying.paid(&json!({ "orderId": "2", "amount": 500, "currency": "sats" })).await;
    let mut ids = Vec::new();
    for (made, amount, currency, sats) in
        [(&first, 10, "USD", 25_005), (&second, 100, "sats", 100), (&first, 1, "USD", 2_500)]
    {
        let more = json!({ "amount": amount, "currency": currency });
        ids.push(paying.refund_of(made, sats, &more).await.created()["refundId"].clone());
    }
    let of = |list: &Value| -> Vec<Value> {
        list["refunds"].as_array().unwrap().iter().map(|refund| refund["refundId"].clone()).collect()
    };
    let page = paying.get(&paying.shop, &format!("{REFUNDS}?limit=2")).await.ok();
    assert_eq!((of(&page), &page["nextCursor"]), (vec![ids[2].clone(), ids[1].clone()], &ids[1]));
    let next = format!("{REFUNDS}?limit=2&cursor={}", ids[1].as_str().unwrap());
    let page = paying.get(&paying.shop, &next).await.ok();
    assert_eq!((of(&page), &page["nextCursor"]), (vec![ids[0].clone()], &Value::Null));
    let path = format!("{REFUNDS}/invoice/{}", id(&first));
    assert_eq!(of(&paying.get(&paying.shop, &path).await.ok()), [ids[2].clone(), ids[0].clone()]);
    paying.get(&paying.rival, &path).await.is_error(404, "PAYMENT_NOT_FOUND", &path);
    paying.get(&paying.rival, &next).await.is_error(400, "INVALID_CURSOR", &next);
    assert_eq!(of(&paying.get(&paying.rival, REFUNDS).await.ok()), Vec::<Value>::new());
    for name in [ids[0].as_str().unwrap(), "ref_0", "%ff"] {
        let path = format!("{REFUNDS}/{name}");
        paying.get(&paying.rival, &path).await.is_error(404, "REFUND_NOT_FOUND", &path);
    }
    for (query, code) in [("limit=0", "INVALID_LIMIT"), ("cursor=x", "INVALID_CURSOR")] {
        let path = format!("{REFUNDS}?{query}");
        paying.get(&paying.shop, &path).await.is_error(400, code, &path);
    }
    for path in [REFUNDS, "/api/refunds/invoice/inv_0", "/api/refunds/ref_0", "/api/payments.csv"] {
        paying.get("", path).await.is_error(401, "MISSING_API_KEY", path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_refunds_at_once_no_more_goes_out_than_came_in() {
    let paying = Arc::new(PayingApp::new().await);
    let whole = paying.paid(&json!({})).await;
    let parts = paying.paid(&json!({ "orderId": "2", "amount": 150_500, "currency": "sats" })).await;
    let asked = (0..200).flat_map(|_| {
        let bodies = [
            paying.body(&id(&whole), 125_000, &json!({})),
            paying.body(&id(&parts), 1_000, &json!({ "amount": 1_000, "currency": "sats" })),
        ];
        bodies.map(|body| {
            let paying = Arc::clone(&paying);
            tokio::spawn(async move { (body.clone(), paying.post(&paying.shop, REFUNDS, &body).await) })
        })
    });
    let (mut wholes, mut some) = (0, 0);
    for answered in asked.collect::<Vec<_>>() {
        let (body, answer) = answered.await.unwrap();
        match (answer.status, body["currency"] == "USD") {
            (201, true) => wholes += 1,
            (201, false) => some += 1,
            _ => answer.is_error(400, "REFUND_EXCEEDS_PAYMENT", REFUNDS),
        }
    }
    assert_eq!((wholes, some), (1, 150));
    for _ in 0..20 {
        paying.finish(true, Msat::ZERO);
    }
    assert_eq!(paying.sim.delivered().values().map(|amount| amount.sat_floor()).sum::<u64>(), 275_000);
    assert_eq!(paying.owed(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_may_pay_an_invoice_of_this_very_node() {
    let paying = PayingApp::new().await;
    let made = paying.paid(&json!({})).await;
    let next = paying.order(&json!({ "orderId": "2" })).await.created();
    let more = json!({ "lightningInvoice": next["lightningInvoice"] });
    let refund = paying.refund_of(&made, 1, &more).await.created();
    assert_eq!(refund["status"], "completed");
    assert_eq!(paying.status(&id(&made)).await, "refunded");
    assert_eq!((paying.status(&id(&next)).await.as_str(), paying.owed()), ("paid", 125_000));
}

/// The node says of a refund that is under way that it failed.
fn deny(paying: &PayingApp, refund: PaymentHash) {
    let (listeners, now) = (paying.ledger.listeners.clone(), paying.clock.now());
    let denied = tokio::task::block_in_place(|| {
        paying
            .ledger
            .store
            .write_blocking(move |tx| payouts::mark_failed(tx, &listeners, refund, "it lies", now))
    });
    denied.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_arrives_although_it_had_failed_takes_what_is_left() {
    let paying = PayingApp::new().await;
    let made = paying.paid(&json!({ "amount": 100, "currency": "sats" })).await;
    let refund = async |amount: u64| {
        let body = paying.body(&id(&made), amount, &json!({ "amount": amount, "currency": "sats" }));
        paying.post(&paying.shop, REFUNDS, &body).await.created();
        paying.dispatch();
        hash(&body)
    };
    let left = async || {
        let more = json!({ "amount": 101, "currency": "sats" });
        paying.refund_of(&made, 101, &more).await.json()["message"].as_str().unwrap().to_owned()
    };
    let late = refund(60).await;
    deny(&paying, late);
    let second = refund(60).await;
    paying.sim.resolve(late, true, Msat::ZERO);
    paying.drain();
    // 40 were left for it, 20 are the operator's loss.
    assert_eq!((paying.balance("merchants"), paying.balance("loss")), (0, 20_000));
    assert_eq!(left().await, "Amount is more than can be refunded: 0 sats");
    // Until what had taken them fails.
    paying.sim.resolve(second, false, Msat::ZERO);
    paying.drain();
    assert_eq!((paying.balance("merchants"), paying.balance("loss")), (-40_000, 0));
    assert_eq!(left().await, "Amount is more than can be refunded: 40 sats");
    assert_eq!(paying.status(&id(&made)).await, "paid");
    let third = refund(40).await;
    paying.sim.resolve(third, true, Msat::ZERO);
    paying.drain();
    let shown = paying.get(&paying.shop, &format!("{PAYMENTS}/{}", id(&made))).await.ok();
    assert_eq!((&shown["status"], &shown["amountRefundedSats"]), (&json!("refunded"), &json!(100)));
    assert_eq!((paying.balance("merchants"), paying.balance("loss")), (0, 0));
}
