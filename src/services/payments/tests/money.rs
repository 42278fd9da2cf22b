//! What comes in, when and how much, and what the books say of it.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::house::{HOUR, House, id, invoice, path};

fn kinds(house: &House) -> Vec<String> {
    house.sent().into_iter().map(|(kind, _)| kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_is_owed_to_the_shop_and_told_once() {
    let house = House::new().await;
    house.listen("https://shop.example/hook").await;
    let made = house.order(&json!({})).await.created();
    house.pay(&made);
    assert_eq!(house.owed(), 125_000);
    assert!(!house.pay_msat(&invoice(&made), 125_000_000), "a second payment is not even held");
    let expected = json!({
        "event": "payment.completed",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": {
            "invoiceId": made["invoiceId"],
            "orderId": "ORDER-12345",
            "status": "paid",
            "amount": 49.99,
            "currency": "USD",
            "amountSats": 125_000,
            "amountReceivedSats": 125_000,
            "paidAt": "2027-01-15T08:00:00Z",
        }
    });
    assert_eq!(house.sent(), [("payment.completed".to_owned(), expected)]);
    // The document's members first, in its order.
    let told = house.ledger.store.read(|connection| -> Result<String, crate::storage::StoreError> {
        Ok(connection.query_row("SELECT unseal(payload) FROM webhook_messages", [], |row| row.get(0))?)
    });
    let told = told.await.unwrap();
    assert!(told.ends_with(r#""paidAt":"2027-01-15T08:00:00Z","amountReceivedSats":125000}}"#), "{told}");
    assert_eq!(house.owed(), 125_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_over_to_the_second_and_told_once() {
    let house = House::new().await;
    house.listen("https://shop.example/hook").await;
    let made = house.order(&json!({})).await.created();
    house.clock.advance(HOUR - Duration::from_millis(1));
    assert_eq!(house.payments.expire_due().await.unwrap(), 0);
    assert_eq!(house.status(&id(&made)).await, "unpaid");
    house.clock.advance(Duration::from_millis(1));
    assert_eq!(house.status(&id(&made)).await, "expired");
    for marked in [1, 0] {
        assert_eq!(house.payments.expire_due().await.unwrap(), marked);
        assert_eq!(house.status(&id(&made)).await, "expired");
    }
    let sent = house.sent();
    assert_eq!(sent.len(), 1);
    let (kind, payload) = &sent[0];
    assert_eq!((kind.as_str(), &payload["event"]), ("payment.expired", &json!("payment.expired")));
    let expected = json!({
        "invoiceId": made["invoiceId"],
        "orderId": "ORDER-12345",
        "status": "expired",
        "amount": 49.99,
        "currency": "USD",
        "amountSats": 125_000,
        "expiredAt": "2027-01-15T09:00:00Z",
    });
    assert_eq!(payload["data"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_is_credited_and_told_after_its_end() {
    let house = House::new().await;
    house.listen("https://shop.example/hook").await;
    let made = house.order(&json!({})).await.created();
    house.clock.advance(HOUR + Duration::from_secs(60));
    house.payments.expire_due().await.unwrap();
    house.pay(&made);
    let shown = house.shown(&id(&made)).await;
    assert_eq!((&shown["status"], &shown["amountReceivedSats"]), (&json!("paid"), &json!(125_000)));
    assert_eq!(shown["paidAt"], "2027-01-15T09:01:00Z");
    assert_eq!(kinds(&house), ["payment.expired", "payment.completed"]);
    assert_eq!(house.owed(), 125_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_credited_whole_and_too_little_goes_back() {
    let house = House::new().await;
    house.listen("https://shop.example/hook").await;
    let made = house.order(&json!({})).await.created();
    house.pay_msat(&invoice(&made), 124_999_999);
    assert_eq!((house.status(&id(&made)).await.as_str(), house.owed()), ("unpaid", 0));
    let other = house.order(&json!({"orderId": "2"})).await.created();
    house.pay_msat(&invoice(&other), 250_000_000);
    let shown = house.shown(&id(&other)).await;
    assert_eq!(
        (&shown["status"], &shown["amountSats"], &shown["amountReceivedSats"]),
        (&json!("paid"), &json!(125_000), &json!(250_000))
    );
    assert_eq!(house.owed(), 250_000);
    let sent = house.sent();
    assert_eq!((sent.len(), &sent[0].1["data"]["amountReceivedSats"]), (1, &json!(250_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_held_and_goes_back_leaves_the_order_as_it_was() {
    let house = House::new().await;
    house.listen("https://shop.example/hook").await;
    let made = house.order(&json!({})).await.created();
    house.sim.set_claims_fail(true);
    house.pay(&made);
    assert_eq!(house.status(&id(&made)).await, "processing");
    // While it is held the order is not over, whatever the clock says; who orders again gets the same, even if
    // something dearer was ordered meanwhile.
    house.clock.advance(HOUR);
    house.payments.rates().refresh().await;
    assert_eq!(house.payments.expire_due().await.unwrap(), 0);
    assert_eq!(house.status(&id(&made)).await, "processing");
    let second = house.order(&json!({"amount": 50})).await.created();
    let again = house.order(&json!({})).await.ok();
    assert_eq!((id(&again), &again["status"]), (id(&made), &json!("processing")));
    assert_eq!(id(&house.order(&json!({"amount": 50})).await.ok()), id(&second));
    house.sim.mine(10);
    house.look_again();
    assert_eq!((house.status(&id(&made)).await.as_str(), house.owed()), ("expired", 0));
    house.payments.expire_due().await.unwrap();
    assert_eq!(kinds(&house), ["payment.expired"]);
    // In time it is unpaid again and can be paid.
    house.sim.set_claims_fail(true);
    house.pay(&second);
    house.sim.mine(10);
    house.look_again();
    assert_eq!(house.status(&id(&second)).await, "unpaid");
    house.sim.set_claims_fail(false);
    house.pay(&second);
    assert_eq!((house.status(&id(&second)).await.as_str(), house.owed()), ("paid", 125_026));
    assert_eq!(kinds(&house), ["payment.expired", "payment.completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_brings_what_an_event_that_was_lost_would_have() {
    let house = House::new().await;
    house.listen("https://shop.example/hook").await;
    let made = house.order(&json!({})).await.created();
    let sync = format!("{}/sync", path(&made));
    let ask = || house.ask(Method::POST, &house.shop, &sync, None);
    let before: Value = ask().await.ok();
    assert_eq!(before, made, "nothing to bring");
    house.sim.set_whispers(true);
    house.pay(&made);
    assert_eq!(house.status(&id(&made)).await, "processing");
    for _ in 0..3 {
        assert_eq!(ask().await.ok()["status"], "paid");
    }
    assert_eq!((kinds(&house), house.owed()), (vec!["payment.completed".to_owned()], 125_000));
    // The event comes after all.
    house.sim.tell_all();
    house.drain();
    assert_eq!((kinds(&house), house.owed()), (vec!["payment.completed".to_owned()], 125_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_while_the_node_is_away_changes_nothing() {
    let house = House::new().await;
    let made = house.order(&json!({})).await.created();
    let paid = house.order(&json!({"orderId": "2"})).await.created();
    house.pay(&paid);
    house.node.running.store(false, std::sync::atomic::Ordering::SeqCst);
    let sync = |made: &Value| format!("{}/sync", path(made));
    let ask = async |path: &str| house.ask(Method::POST, &house.shop, path, None).await;
    ask(&sync(&made)).await.is_error(503, "NODE_UNAVAILABLE", &sync(&made));
    assert_eq!(house.shown(&id(&made)).await, made);
    // What is paid is known without it.
    assert_eq!(ask(&sync(&paid)).await.ok()["status"], "paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_are_over_one_look_marks_them_all() {
    let house = House::new().await;
    house.listen("https://shop.example/hook").await;
    for number in 0..450 {
        house.order(&json!({"orderId": number, "amount": 1, "currency": "sats"})).await.created();
    }
    house.clock.advance(HOUR);
    assert_eq!(house.payments.expire_due().await.unwrap(), 450);
    assert_eq!(house.sent().len(), 450);
    assert_eq!(house.payments.expire_due().await.unwrap(), 0);
}
