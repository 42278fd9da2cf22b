//! Payments with a BOLT12 offer beside their invoice.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::house::{HOUR, House, PAYMENTS, Setup, id, path};
use crate::core::ids::{ChargeId, OfferId};
use crate::core::money::Msat;
use crate::ledger::{offers, recovery};
use crate::lightning::Lightning;
use crate::services::payments::checkout::MAX_URI;

const SATS: u64 = 125_000;

async fn house() -> House {
    let mut setup = Setup::default();
    setup.rules.offers = true;
    House::with(setup).await
}

async fn code(house: &House, made: &Value) -> String {
    let told = house.get("", &format!("/checkout/{}/status", id(made))).await.ok();
    told["paymentUri"].as_str().unwrap().to_owned()
}

/// The offer of the only charge.
fn offer(house: &House) -> OfferId {
    let read = house.ledger.store.read_blocking(|connection| offers::of(connection, ChargeId(1)));
    read.unwrap().unwrap().id
}

fn pay(house: &House, sats: u64) {
    house.sim.pay_offer(offer(house), Msat::from_sat(sats).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_carries_the_offer_and_paying_it_is_paying() {
    let house = house().await;
    house.listen("https://shop.example/hook").await;
    let made = house.order(&json!({})).await.created();
    let text = made["lightningInvoice"].as_str().unwrap().to_uppercase();
    let lno = format!("LNO1{}", offer(&house).to_string().to_uppercase());
    assert_eq!(code(&house, &made).await, format!("bitcoin:?lightning={text}&lno={lno}"));
    // The payer reads the same words in both.
    assert_eq!(*house.node.words.lock().unwrap(), ["Premium Subscription"; 2]);
    pay(&house, SATS);
    house.drain();
    let paid = house.shown(&id(&made)).await;
    assert_eq!((&paid["status"], &paid["amountReceivedSats"]), (&json!("paid"), &json!(SATS)));
    let sent = house.sent();
    assert_eq!((sent.len(), sent[0].0.as_str()), (1, "payment.completed"));
    assert_eq!(sent[0].1["data"]["amountReceivedSats"], SATS);
    let told = house.get("", &format!("/checkout/{}/status", id(&made))).await.ok();
    assert_eq!((&told["status"], told.get("paymentUri")), (&json!("paid"), None));
    assert_eq!(house.owed(), i64::try_from(SATS).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_twice_is_shown_and_can_be_refunded() {
    let house = house().await;
    house.listen("https://shop.example/hook").await;
    let made = house.order(&json!({"amount": 1_000, "currency": "sats"})).await.created();
    house.pay(&made);
    pay(&house, 1_000);
    house.drain();
    let paid = house.shown(&id(&made)).await;
    assert_eq!((&paid["status"], &paid["amountReceivedSats"]), (&json!("paid"), &json!(2_000)));
    // The order is served once.
    assert_eq!(house.sent().iter().map(|sent| sent.0.as_str()).collect::<Vec<_>>(), ["payment.completed"]);
    let refund = async |sats: u64| {
        let (invoice, _) = house.sim.invoice(Msat::from_sat(sats).unwrap(), HOUR);
        let body = json!({"invoiceId": id(&made), "amount": sats, "currency": "sats",
            "lightningInvoice": invoice.to_string()});
        house.post(&house.shop, "/api/refunds", &body).await
    };
    let much = refund(2_001).await;
    assert_eq!((much.status, &much.json()["code"]), (400, &json!("REFUND_EXCEEDS_PAYMENT")), "{}", much.text);
    assert_eq!(refund(2_000).await.status, 201);
    assert_eq!(house.owed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_by_the_offer_while_one_by_the_invoice_is_held_pays_the_order() {
    let house = house().await;
    let made = house.order(&json!({"amount": 1_000, "currency": "sats"})).await.created();
    house.sim.set_whispers(true);
    house.pay(&made);
    assert_eq!(house.status(&id(&made)).await, "processing");
    house.sim.set_whispers(false);
    pay(&house, 1_000);
    house.drain();
    assert_eq!(house.status(&id(&made)).await, "paid");
    house.sim.tell_all();
    house.drain();
    assert_eq!(house.shown(&id(&made)).await["amountReceivedSats"], 2_000);
    assert_eq!(house.owed(), 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_or_unheard_is_found() {
    let house = house().await;
    let made = house.order(&json!({"amount": 1_000, "currency": "sats"})).await.created();
    house.clock.advance(HOUR + Duration::from_secs(1));
    house.payments.expire_due().await.unwrap();
    assert_eq!(house.status(&id(&made)).await, "expired");
    pay(&house, 1_001);
    house.sim.restart_losing_received(1);
    house.drain();
    assert_eq!(house.status(&id(&made)).await, "expired");
    let synced = house.post(&house.shop, &format!("{}/sync", path(&made)), &json!({})).await.ok();
    assert_eq!((&synced["status"], &synced["amountReceivedSats"]), (&json!("paid"), &json!(1_001)));
    tokio::task::block_in_place(|| recovery::sweep(&house.ledger, 0).unwrap());
    assert_eq!(house.owed(), 1_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_offer_the_invoice_is_there() {
    let house = house().await;
    house.node.hidden.store(true, Ordering::SeqCst);
    let made = house.order(&json!({})).await.created();
    assert!(!code(&house, &made).await.contains("lno="));
    house.pay(&made);
    assert_eq!(house.status(&id(&made)).await, "paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_nobody_could_read_has_no_offer() {
    assert_eq!(MAX_URI, crate::web::QR_MAX_CHARS);
    let house = house().await;
    let made = house.order(&json!({"description": "words ".repeat(40)})).await.created();
    assert!(code(&house, &made).await.contains("&lno="));
    assert_eq!(house.node.words.lock().unwrap().last().unwrap().len(), 100);
    house.node.offer_chars.store(2_000, Ordering::SeqCst);
    let made = house.order(&json!({"orderId": "another"})).await.created();
    let code = code(&house, &made).await;
    assert!(!code.contains("lno=") && code.len() <= MAX_URI, "{code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_again_has_the_same_offer() {
    let house = house().await;
    let made = house.order(&json!({})).await.created();
    let before = code(&house, &made).await;
    let again = house.post(&house.shop, PAYMENTS, &super::house::order(&json!({}))).await;
    assert_eq!((again.status, code(&house, &again.json()).await), (200, before));
    assert!(house.node.is_running());
}
