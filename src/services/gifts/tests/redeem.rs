//! Taking gifts: every check and their order.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bitcoin::Network;
use lightning_invoice::Currency;
use serde_json::{Value, json};

use super::test_app::{NOON, OK, TestApp};
use crate::lightning::invoice::tests::invoice;

const NOON_SECS: u64 = NOON.unsigned_abs() / 1_000;

async fn redeem(app: &TestApp, id: &str, body: Value) -> super::test_app::Answer {
    app.post(&format!("/redeem/{id}"), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_in_the_contract_s_order() {
    let app = TestApp::new();
    let stranger = "03a1fb575647d7d79909785c2648e98397ec15e6d6d2562d";
    // Unknown goes before a bad invoice.
    redeem(&app, stranger, json!({"invoice": "garbage"})).await.is_error(404, "GIFT_NOT_FOUND");
    redeem(&app, "nonsense", json!({})).await.is_error(404, "GIFT_NOT_FOUND");

    let created = app.create(json!({"amount": 1000, "verifyCode": 1234})).await;
    let id = created["orderId"].as_str().unwrap();
    let (good, other) = (app.invoice(1000), app.invoice(1001));
    // A bad invoice before everything else, the amount before the state, the code last.
    for bad in [json!({}), json!({"invoice": 5}), json!({"invoice": "garbage"}), json!({"invoice": null})] {
        redeem(&app, id, bad).await.is_error(400, "BAD_INVOICE");
    }
    redeem(&app, id, json!({"invoice": other})).await.is_error(400, "BAD_INVOICE_AMOUNT");
    redeem(&app, id, json!({"invoice": good})).await.is_error(400, "GIFT_INVOICE_UNPAID");
    app.fund(&created);
    redeem(&app, id, json!({"invoice": other, "verifyCode": 1234})).await.is_error(400, "BAD_INVOICE_AMOUNT");
    redeem(&app, id, json!({"invoice": good})).await.is_error(400, "BAD_VERIFY_CODE");
    redeem(&app, id, json!({"invoice": good, "verifyCode": 4321})).await.is_error(400, "BAD_VERIFY_CODE");
    let first = redeem(&app, id, json!({"invoice": good, "verifyCode": "1234"})).await.ok();

    let second = app.invoice(1000);
    redeem(&app, id, json!({"invoice": second, "verifyCode": 4321}))
        .await
        .is_error(400, "GIFT_REDEEM_PENDING");
    redeem(&app, id, json!({"invoice": other})).await.is_error(400, "BAD_INVOICE_AMOUNT");
    assert_eq!(redeem(&app, id, json!({"invoice": good})).await.ok(), first);
    let shown = app.get(&format!("/gift/{id}?verifyCode=1234")).await.ok();
    assert_eq!(shown["spent"], "pending");
    app.finish(true);
    assert!(app.reached(&good));
    redeem(&app, id, json!({"invoice": second, "verifyCode": 4321})).await.is_error(400, "GIFT_SPENT");
    redeem(&app, id, json!({"invoice": other})).await.is_error(400, "BAD_INVOICE_AMOUNT");
    // The same invoice still gets the same answer, also when it has long expired.
    app.clock.advance(Duration::from_secs(100_000));
    assert_eq!(redeem(&app, id, json!({"invoice": good})).await.ok(), first);
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn invoices_that_can_t_be_paid_and_amounts_that_differ_by_less_than_a_sat() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    for (currency, msat, at, expiry, code) in [
        (Currency::Bitcoin, Some(1_000_000), NOON_SECS, 3_600, "BAD_INVOICE"),
        (Currency::BitcoinTestnet, Some(1_000_000), NOON_SECS, 3_600, "BAD_INVOICE"),
        (Currency::Signet, Some(1_000_000), NOON_SECS, 3_600, "BAD_INVOICE"),
        (Currency::Regtest, None, NOON_SECS, 3_600, "BAD_INVOICE"),
        (Currency::Regtest, Some(1_000_000), NOON_SECS - 7_200, 3_600, "BAD_INVOICE"),
        (Currency::Regtest, Some(1_000_000), NOON_SECS, 29, "BAD_INVOICE"),
        (Currency::Regtest, Some(1_000_001), NOON_SECS, 3_600, "BAD_INVOICE_AMOUNT"),
        (Currency::Regtest, Some(1_000_500), NOON_SECS, 3_600, "BAD_INVOICE_AMOUNT"),
        (Currency::Regtest, Some(999_999), NOON_SECS, 3_600, "BAD_INVOICE_AMOUNT"),
        (Currency::Regtest, Some(1), NOON_SECS, 3_600, "BAD_INVOICE_AMOUNT"),
        (Currency::Regtest, Some(2_000_000), NOON_SECS, 3_600, "BAD_INVOICE_AMOUNT"),
    ] {
        let text = invoice(currency, msat, at, expiry, 9).to_string();
        redeem(&app, &id, json!({"invoice": text})).await.is_error(400, code);
    }
    assert_eq!(app.gifts.rules().network, Network::Regtest);
    let upper = format!("LIGHTNING:{}", app.invoice(1000).to_uppercase());
    assert_eq!(redeem(&app, &id, json!({"invoice": upper})).await.status, OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_payout_opens_the_gift_again() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let (first, second) = (app.invoice(1000), app.invoice(1000));
    let started = redeem(&app, &id, json!({"invoice": first})).await.ok();
    app.finish(false);
    let shown = app.get(&format!("/gift/{id}")).await.ok();
    assert_eq!(shown["spent"], false);
    assert_eq!(shown["withdrawalInfo"]["withdrawalId"], started["withdrawalId"]);
    assert!(shown["withdrawalInfo"]["error"].as_str().is_some_and(|error| !error.is_empty()));
    let path = format!("/redeemStatus/{}", started["withdrawalId"].as_str().unwrap());
    let told = app.get(&path).await.ok();
    assert_eq!(told["status"], "failed");
    assert_eq!(told["error"], shown["withdrawalInfo"]["error"]);
    // That invoice is used up: one payment hash is tried once.
    redeem(&app, &id, json!({"invoice": first})).await.is_error(400, "BAD_INVOICE");
    let again = redeem(&app, &id, json!({"invoice": second})).await.ok();
    assert_ne!(again["withdrawalId"], started["withdrawalId"]);
    let shown = app.get(&format!("/gift/{id}")).await.ok();
    assert!(shown["withdrawalInfo"].get("error").is_none(), "an old error is not this payout's");
    app.finish(true);
    assert!(app.reached(&second) && !app.reached(&first));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_wins() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let invoices: Vec<_> = (0..50).map(|_| app.invoice(1000)).collect();
    let path = format!("/redeem/{id}");
    let bodies: Vec<_> = invoices.iter().map(|invoice| json!({"invoice": invoice})).collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| app.post(&path, body))).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == OK).collect();
    assert_eq!(won.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != OK) {
        answer.is_error(400, "GIFT_REDEEM_PENDING");
    }
    app.finish(true);
    assert_eq!(invoices.iter().filter(|invoice| app.reached(invoice)).count(), 1);
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_pays_for_another_gift_of_this_house() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let other = app.create(json!({"amount": 1000})).await;
    let invoice = &other["lightningInvoice"]["payreq"];
    redeem(&app, &id, json!({"invoice": invoice})).await.ok();
    assert_eq!(app.get(&format!("/gift/{id}")).await.ok()["spent"], true);
    let other_id = other["orderId"].as_str().unwrap();
    assert_eq!(app.get(&format!("/gift/{other_id}")).await.ok()["chargeStatus"], "paid");
    // An invoice of ours that is paid can't be paid again.
    let third = app.funded(json!({"amount": 1000})).await;
    redeem(&app, &third, json!({"invoice": invoice})).await.is_error(400, "BAD_INVOICE");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_node_is_away_nothing_is_promised() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    app.node.running.store(false, Ordering::SeqCst);
    redeem(&app, &id, json!({"invoice": app.invoice(1000)})).await.is_error(503, "NODE_UNAVAILABLE");
    assert_eq!(app.get(&format!("/gift/{id}")).await.ok()["spent"], false);
    app.get("/gift/00").await.is_error(404, "GIFT_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_gift_is_not_redeemed() {
    let app = TestApp::new();
    let expires_at = NOON / 1_000 + 60;
    let id = app.funded(json!({"amount": 1000, "expiresAt": expires_at, "verifyCode": 1234})).await;
    app.clock.advance(Duration::from_secs(60));
    // Before and after the row is marked; and before the code is looked at.
    for _ in 0..2 {
        redeem(&app, &id, json!({"invoice": app.invoice(1000)})).await.is_error(400, "GIFT_EXPIRED");
        app.get(&format!("/lnurl/{id}")).await.is_lnurl_error("GIFT_EXPIRED");
        let shown = app.get(&format!("/gift/{id}?verifyCode=1234")).await.ok();
        assert_eq!((&shown["spent"], &shown["state"]), (&json!(false), &json!("expired")));
        assert_eq!(shown["expiresAt"], expires_at);
        crate::vouchers::upkeep::expire_due(&app.ledger, &app.vouchers).await.unwrap();
    }
}
