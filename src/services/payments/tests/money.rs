//! What comes in, when and how much, and what the books say of it.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::test_app::{HOUR, TestApp, id, invoice, path};

fn kinds(app: &TestApp) -> Vec<String> {
    app.sent().into_iter().map(|(kind, _)| kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_is_owed_to_the_shop_and_reported_once() {
    let app = TestApp::new().await;
    app.listen("https://shop.example/hook").await;
    let made = app.order(&json!({})).await.created();
    app.pay(&made);
    assert_eq!(app.owed(), 125_000);
    assert!(!app.pay_msat(&invoice(&made), 125_000_000), "a second payment is not even held");
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
    assert_eq!(app.sent(), [("payment.completed".to_owned(), expected)]);
    // The document's members first, in its order.
    let told = app.ledger.store.read(|connection| -> Result<String, crate::storage::StoreError> {
        Ok(connection.query_row("SELECT unseal(payload) FROM webhook_messages", [], |row| row.get(0))?)
    });
    let told = told.await.unwrap();
    assert!(told.ends_with(r#""paidAt":"2027-01-15T08:00:00Z","amountReceivedSats":125000}}"#), "{told}");
    assert_eq!(app.owed(), 125_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_over_to_the_second_and_told_once() {
    let app = TestApp::new().await;
    app.listen("https://shop.example/hook").await;
    let made = app.order(&json!({})).await.created();
    app.clock.advance(HOUR - Duration::from_millis(1));
    assert_eq!(app.payments.expire_due().await.unwrap(), 0);
    assert_eq!(app.status(&id(&made)).await, "unpaid");
    app.clock.advance(Duration::from_millis(1));
    assert_eq!(app.status(&id(&made)).await, "expired");
    for marked in [1, 0] {
        assert_eq!(app.payments.expire_due().await.unwrap(), marked);
        assert_eq!(app.status(&id(&made)).await, "expired");
    }
    let sent = app.sent();
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
async fn late_payment_is_credited_and_reported_after_expiry() {
    let app = TestApp::new().await;
    app.listen("https://shop.example/hook").await;
    let made = app.order(&json!({})).await.created();
    app.clock.advance(HOUR + Duration::from_secs(60));
    app.payments.expire_due().await.unwrap();
    app.pay(&made);
    let shown = app.shown(&id(&made)).await;
    assert_eq!((&shown["status"], &shown["amountReceivedSats"]), (&json!("paid"), &json!(125_000)));
    assert_eq!(shown["paidAt"], "2027-01-15T09:01:00Z");
    assert_eq!(kinds(&app), ["payment.expired", "payment.completed"]);
    assert_eq!(app.owed(), 125_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_credited_whole_and_too_little_goes_back() {
    let app = TestApp::new().await;
    app.listen("https://shop.example/hook").await;
    let made = app.order(&json!({})).await.created();
    app.pay_msat(&invoice(&made), 124_999_999);
    assert_eq!((app.status(&id(&made)).await.as_str(), app.owed()), ("unpaid", 0));
    let other = app.order(&json!({"orderId": "2"})).await.created();
    app.pay_msat(&invoice(&other), 250_000_000);
    let shown = app.shown(&id(&other)).await;
    assert_eq!(
        (&shown["status"], &shown["amountSats"], &shown["amountReceivedSats"]),
        (&json!("paid"), &json!(125_000), &json!(250_000))
    );
    assert_eq!(app.owed(), 250_000);
    let sent = app.sent();
    assert_eq!((sent.len(), &sent[0].1["data"]["amountReceivedSats"]), (1, &json!(250_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_held_and_goes_back_leaves_the_order_as_it_was() {
    let app = TestApp::new().await;
    app.listen("https://shop.example/hook").await;
    let made = app.order(&json!({})).await.created();
    app.sim.set_claims_fail(true);
    app.pay(&made);
    assert_eq!(app.status(&id(&made)).await, "processing");
    // While it is held the order is not over, whatever the clock says; who orders again gets the same, even if
    // something dearer was ordered meanwhile.
    app.clock.advance(HOUR);
    app.payments.rates().refresh().await;
    assert_eq!(app.payments.expire_due().await.unwrap(), 0);
    assert_eq!(app.status(&id(&made)).await, "processing");
    let second = app.order(&json!({"amount": 50})).await.created();
    let again = app.order(&json!({})).await.ok();
    assert_eq!((id(&again), &again["status"]), (id(&made), &json!("processing")));
    assert_eq!(id(&app.order(&json!({"amount": 50})).await.ok()), id(&second));
    app.sim.mine(10);
    app.look_again();
    assert_eq!((app.status(&id(&made)).await.as_str(), app.owed()), ("expired", 0));
    app.payments.expire_due().await.unwrap();
    assert_eq!(kinds(&app), ["payment.expired"]);
    // In time it is unpaid again and can be paid.
    app.sim.set_claims_fail(true);
    app.pay(&second);
    app.sim.mine(10);
    app.look_again();
    assert_eq!(app.status(&id(&second)).await, "unpaid");
    app.sim.set_claims_fail(false);
    app.pay(&second);
    assert_eq!((app.status(&id(&second)).await.as_str(), app.owed()), ("paid", 125_026));
    assert_eq!(kinds(&app), ["payment.expired", "payment.completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_brings_what_an_event_that_was_lost_would_have() {
    let app = TestApp::new().await;
    app.listen("https://shop.example/hook").await;
    let made = app.order(&json!({})).await.created();
    let sync = format!("{}/sync", path(&made));
    let ask = || app.ask(Method::POST, &app.shop, &sync, None);
    let before: Value = ask().await.ok();
    assert_eq!(before, made, "nothing to bring");
    app.sim.set_whispers(true);
    app.pay(&made);
    assert_eq!(app.status(&id(&made)).await, "processing");
    for _ in 0..3 {
        assert_eq!(ask().await.ok()["status"], "paid");
    }
    assert_eq!((kinds(&app), app.owed()), (vec!["payment.completed".to_owned()], 125_000));
    // The event comes after all.
    app.sim.tell_all();
    app.drain();
    assert_eq!((kinds(&app), app.owed()), (vec!["payment.completed".to_owned()], 125_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_while_the_node_is_away_changes_nothing() {
    let app = TestApp::new().await;
    let made = app.order(&json!({})).await.created();
    let paid = app.order(&json!({"orderId": "2"})).await.created();
    app.pay(&paid);
    app.node.running.store(false, std::sync::atomic::Ordering::SeqCst);
    let sync = |made: &Value| format!("{}/sync", path(made));
    let ask = async |path: &str| app.ask(Method::POST, &app.shop, path, None).await;
    ask(&sync(&made)).await.is_error(503, "NODE_UNAVAILABLE", &sync(&made));
    assert_eq!(app.shown(&id(&made)).await, made);
    // What is paid is known without it.
    assert_eq!(ask(&sync(&paid)).await.ok()["status"], "paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_are_over_one_look_marks_them_all() {
    let app = TestApp::new().await;
    app.listen("https://shop.example/hook").await;
    for number in 0..450 {
        app.order(&json!({"orderId": number, "amount": 1, "currency": "sats"})).await.created();
    }
    app.clock.advance(HOUR);
    assert_eq!(app.payments.expire_due().await.unwrap(), 450);
    assert_eq!(app.sent().len(), 450);
    assert_eq!(app.payments.expire_due().await.unwrap(), 0);
}
