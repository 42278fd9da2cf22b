//! Payments with a BOLT12 offer beside their invoice.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::test_app::{HOUR, PAYMENTS, Setup, TestApp, id, path};
use crate::core::ids::{ChargeId, OfferId};
use crate::core::money::Msat;
use crate::ledger::{offers, recovery};
use crate::lightning::Lightning;
use crate::services::payments::checkout::MAX_URI;

const SATS: u64 = 125_000;

async fn app() -> TestApp {
    let mut setup = Setup::default();
    setup.rules.offers = true;
    TestApp::with(setup).await
}

async fn code(app: &TestApp, made: &Value) -> String {
    let told = app.get("", &format!("/checkout/{}/status", id(made))).await.ok();
    told["paymentUri"].as_str().unwrap().to_owned()
}

/// The offer of the only charge.
fn offer(app: &TestApp) -> OfferId {
    let read = app.ledger.store.read_blocking(|connection| offers::of(connection, ChargeId(1)));
    read.unwrap().unwrap().id
}

fn pay(app: &TestApp, sats: u64) {
    app.sim.pay_offer(offer(app), Msat::from_sat(sats).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_carries_the_offer_and_paying_it_is_paying() {
    let app = app().await;
    app.listen("https://shop.example/hook").await;
    let made = app.order(&json!({})).await.created();
    let text = made["lightningInvoice"].as_str().unwrap().to_uppercase();
    let lno = format!("LNO1{}", offer(&app).to_string().to_uppercase());
    assert_eq!(code(&app, &made).await, format!("bitcoin:?lightning={text}&lno={lno}"));
    // The payer reads the same words in both.
    assert_eq!(*app.node.words.lock().unwrap(), ["Premium Subscription"; 2]);
    pay(&app, SATS);
    app.drain();
    let paid = app.shown(&id(&made)).await;
    assert_eq!((&paid["status"], &paid["amountReceivedSats"]), (&json!("paid"), &json!(SATS)));
    let sent = app.sent();
    assert_eq!((sent.len(), sent[0].0.as_str()), (1, "payment.completed"));
    assert_eq!(sent[0].1["data"]["amountReceivedSats"], SATS);
    let told = app.get("", &format!("/checkout/{}/status", id(&made))).await.ok();
    assert_eq!((&told["status"], told.get("paymentUri")), (&json!("paid"), None));
    assert_eq!(app.owed(), i64::try_from(SATS).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn second_payment_is_shown_and_can_be_refunded() {
    let app = app().await;
    app.listen("https://shop.example/hook").await;
    let made = app.order(&json!({"amount": 1_000, "currency": "sats"})).await.created();
    app.pay(&made);
    pay(&app, 1_000);
    app.drain();
    let paid = app.shown(&id(&made)).await;
    assert_eq!((&paid["status"], &paid["amountReceivedSats"]), (&json!("paid"), &json!(2_000)));
    // The order is served once.
    assert_eq!(app.sent().iter().map(|sent| sent.0.as_str()).collect::<Vec<_>>(), ["payment.completed"]);
    let refund = async |sats: u64| {
        let (invoice, _) = app.sim.invoice(Msat::from_sat(sats).unwrap(), HOUR);
        let body = json!({"invoiceId": id(&made), "amount": sats, "currency": "sats",
            "lightningInvoice": invoice.to_string()});
        app.post(&app.shop, "/api/refunds", &body).await
    };
    let much = refund(2_001).await;
    assert_eq!((much.status, &much.json()["code"]), (400, &json!("REFUND_EXCEEDS_PAYMENT")), "{}", much.text);
    assert_eq!(refund(2_000).await.status, 201);
    assert_eq!(app.owed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_by_the_offer_while_one_by_the_invoice_is_held_pays_the_order() {
    let app = app().await;
    let made = app.order(&json!({"amount": 1_000, "currency": "sats"})).await.created();
    app.sim.set_whispers(true);
    app.pay(&made);
    assert_eq!(app.status(&id(&made)).await, "processing");
    app.sim.set_whispers(false);
    pay(&app, 1_000);
    app.drain();
    assert_eq!(app.status(&id(&made)).await, "paid");
    app.sim.tell_all();
    app.drain();
    assert_eq!(app.shown(&id(&made)).await["amountReceivedSats"], 2_000);
    assert_eq!(app.owed(), 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_or_unreported_payment_is_found() {
    let app = app().await;
    let made = app.order(&json!({"amount": 1_000, "currency": "sats"})).await.created();
    app.clock.advance(HOUR + Duration::from_secs(1));
    app.payments.expire_due().await.unwrap();
    assert_eq!(app.status(&id(&made)).await, "expired");
    pay(&app, 1_001);
    app.sim.restart_losing_received(1);
    app.drain();
    assert_eq!(app.status(&id(&made)).await, "expired");
    let synced = app.post(&app.shop, &format!("{}/sync", path(&made)), &json!({})).await.ok();
    assert_eq!((&synced["status"], &synced["amountReceivedSats"]), (&json!("paid"), &json!(1_001)));
    tokio::task::block_in_place(|| recovery::sweep(&app.ledger, 0).unwrap());
    assert_eq!(app.owed(), 1_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_offer_the_invoice_is_there() {
    let app = app().await;
    app.node.hidden.store(true, Ordering::SeqCst);
    let made = app.order(&json!({})).await.created();
    assert!(!code(&app, &made).await.contains("lno="));
    app.pay(&made);
    assert_eq!(app.status(&id(&made)).await, "paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_nobody_could_read_has_no_offer() {
    assert_eq!(MAX_URI, crate::web::QR_MAX_CHARS);
    let app = app().await;
    let made = app.order(&json!({"description": "words ".repeat(40)})).await.created();
    assert!(code(&app, &made).await.contains("&lno="));
    assert_eq!(app.node.words.lock().unwrap().last().unwrap().len(), 100);
    app.node.offer_chars.store(2_000, Ordering::SeqCst);
    let made = app.order(&json!({"orderId": "another"})).await.created();
    let code = code(&app, &made).await;
    assert!(!code.contains("lno=") && code.len() <= MAX_URI, "{code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_again_has_the_same_offer() {
    let app = app().await;
    let made = app.order(&json!({})).await.created();
    let before = code(&app, &made).await;
    let again = app.post(&app.shop, PAYMENTS, &super::test_app::order(&json!({}))).await;
    assert_eq!((again.status, code(&app, &again.json()).await), (200, before));
    assert!(app.node.is_running());
}
