//! Making gifts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::test_app::{OK, TestApp};
use crate::http::limits::{Budget, LimitSettings};
use crate::lightning::InvoiceDescription;

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_family_s_shape() {
    let app = TestApp::new();
    app.post("/create", &json!({"amount": "5000"})).await.is_error(400, "GIFT_AMOUNT_NOT_WHOLE_NUMBER");
    app.post("/create", &json!({"amount": 99})).await.is_error(400, "GIFT_AMOUNT_UNDER_100");
    app.post("/create", &json!({"amount": 500_001})).await.is_error(400, "GIFT_AMOUNT_OVER_500K");
    let send = async |content_type: &str, body: &'static str| {
        let request =
            Request::post("/create").header("content-type", content_type).body(Body::from(body)).unwrap();
        app.send(request).await
    };
    send("application/json", "{\"amount\": 5000").await.is_error(400, "BODY_NOT_JSON");
    send("application/json", "[5000]").await.is_error(400, "BODY_NOT_JSON");
    send("text/plain", "amount 5000").await.is_error(400, "GIFT_AMOUNT_NOT_WHOLE_NUMBER");
    send("text/plain", "{\"amount\": 5000").await.is_error(400, "BODY_NOT_JSON");
    for content_type in ["text/plain", "text/json", "application/problem+json"] {
        send(content_type, "\u{feff}{\"amount\": 5000}").await.ok();
    }
    send("application/x-www-form-urlencoded", "amount=5000")
        .await
        .is_error(400, "GIFT_AMOUNT_NOT_WHOLE_NUMBER");
    send("application/json", "").await.is_error(400, "GIFT_AMOUNT_NOT_WHOLE_NUMBER");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_must_not_be_called_is_refused_at_once() {
    let app = TestApp::new();
    for url in [
        "http://127.0.0.1/x",
        "http://localhost/x",
        "http://169.254.169.254/",
        "http://10.0.0.1",
        "http://[::1]/",
    ] {
        let answer = app.post("/create", &json!({"amount": 100, "notify": url})).await;
        let told = answer.json();
        assert_eq!((answer.status, &told["message"]), (400, &json!("NOTIFY_BAD_URL")), "{told}");
        // The same for all, so that it tells nothing of the network inside.
        let reason = "the URL's host is not allowed: it must lead to the public internet";
        assert_eq!(told["reason"], reason, "{url}");
    }
    assert!(app.node.asked.lock().unwrap().is_empty(), "no invoice was made for them");
    // The answer is the same for a name of this network and for any other.
    for name in ["inside.example", "outside.example"] {
        let order = json!({"amount": 100, "notify": format!("https://{name}/")});
        assert!(app.post("/create", &order).await.ok()["orderId"].is_string(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invoice_names_the_amount_and_nothing_else() {
    let app = TestApp::new();
    app.create(json!({"amount": 591, "senderName": "Eve", "notify": "https://secret.example/hook"})).await;
    let asked = app.node.asked.lock().unwrap();
    let InvoiceDescription::Text(text) = &asked[0].description else { panic!("hashed") };
    assert_eq!(text, "Lightning Gift for 591 sats");
    assert_eq!(asked[0].amount.unwrap().sat_exact(), Some(591));
    assert_eq!(asked[0].expiry, Duration::from_secs(3_600));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_or_room_there_is_no_gift() {
    let app = TestApp::new();
    app.node.inbound_msat.store(999_000, Ordering::SeqCst);
    app.post("/create", &json!({"amount": 1_000})).await.is_error(503, "NO_INBOUND_CAPACITY");
    app.post("/create", &json!({"amount": 500, "quantity": 2})).await.is_error(503, "NO_INBOUND_CAPACITY");
    assert_eq!(app.post("/create", &json!({"amount": 999})).await.status, OK);
    // A channel that opened is noticed without waiting long.
    app.node.inbound_msat.store(1_000_000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(app.post("/create", &json!({"amount": 1_000})).await.status, OK);

    app.node.running.store(false, Ordering::SeqCst);
    app.post("/create", &json!({"amount": 1_000})).await.is_error(503, "NODE_UNAVAILABLE");
}

/// One channel of which a tenth may be in flight: what it could never pay out in one payment is not sold.
#[tokio::test(flavor = "multi_thread")]
async fn gift_that_no_payment_could_carry_is_refused() {
    let app = TestApp::new();
    app.node.outbound_msat.store(490_000_000, Ordering::SeqCst);
    app.node.in_flight_msat.store(100_000_000, Ordering::SeqCst);
    app.post("/create", &json!({"amount": 110_000})).await.is_limit("NO_OUTBOUND_CAPACITY", 100_000);
    app.post("/create", &json!({"amount": 300_000})).await.is_limit("NO_OUTBOUND_CAPACITY", 100_000);
    assert_eq!(app.post("/create", &json!({"amount": 100_000})).await.status, OK);
    assert_eq!(app.post("/create", &json!({"amount": 10_000, "quantity": 30})).await.status, OK);
}

/// The channels were drained: what they can't pay out is owed, and nothing more is sold until they can.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sold_while_gifts_are_not_covered() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 400_000})).await;
    app.fund(&created);
    app.node.outbound_msat.store(399_999_000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    // The first one after a while may be answered from memory.
    app.post("/create", &json!({"amount": 1_000})).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    app.post("/create", &json!({"amount": 1_000})).await.is_error(503, "NO_OUTBOUND_CAPACITY");
    app.node.outbound_msat.store(400_000_000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(app.post("/create", &json!({"amount": 1_000})).await.status, OK);
}

/// A clock that is days ahead for a while makes an order look old that can still be paid.
#[tokio::test(flavor = "multi_thread")]
async fn clock_that_is_ahead_removes_no_order_that_can_be_paid() {
    let app = TestApp::new();
    let tidy = async || crate::vouchers::upkeep::expire_due(&app.ledger, &app.vouchers).await.unwrap();
    tidy().await;
    let created = app.create(json!({"amount": 1_000})).await;
    let days = Duration::from_secs(4 * 86_400);
    app.clock.jump(days);
    for _ in 0..3 {
        tidy().await;
        app.clock.advance(Duration::from_secs(60));
    }
    app.clock.jump_back(days);
    app.fund(&created);
    let id = created["orderId"].as_str().unwrap();
    assert_eq!(app.get(&format!("/gift/{id}")).await.ok()["state"], "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_invoice_pays_for_many() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 100, "quantity": 3, "verifyCode": "0042"})).await;
    let gifts = created["gifts"].as_array().unwrap();
    assert_eq!(gifts.len(), 3);
    assert_eq!(gifts[0]["orderId"], created["orderId"]);
    assert_eq!(gifts[0]["manageKey"], created["manageKey"]);
    assert_eq!(created["verifyCode"], "0042");
    let ids: std::collections::HashSet<_> =
        gifts.iter().map(|gift| gift["orderId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3);
    app.fund(&created);
    for gift in gifts {
        assert_eq!(gift["order_id"], gift["orderId"]);
        let id = gift["orderId"].as_str().unwrap();
        let shown = app.get(&format!("/gift/{id}?verifyCode=42")).await.ok();
        assert_eq!((&shown["chargeStatus"], &shown["amount"]), (&json!("paid"), &json!(100)));
        assert_eq!(shown["chargeInfo"]["chargeId"], created["chargeId"]);
        let invoice = app.invoice(100);
        app.post(&format!("/redeem/{id}"), &json!({"invoice": invoice, "verifyCode": "0042"})).await.ok();
        app.finish(true);
        assert!(app.reached(&invoice));
    }
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_makes_one_gift() {
    let app = TestApp::new();
    let send = async |key: &str, body: &str| {
        let request = Request::post("/create")
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Body::from(body.to_owned()))
            .unwrap();
        app.send(request).await
    };
    let first = send("one-0123456789abcdef0123", r#"{"amount":100}"#).await;
    let again = send("one-0123456789abcdef0123", r#"{"amount":100}"#).await;
    assert_eq!((first.status, &first.text), (OK, &again.text));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(app.node.asked.lock().unwrap().len(), 1);
    send("one-0123456789abcdef0123", r#"{"amount":101}"#).await.is_error(422, "IDEMPOTENCY_KEY_REUSED");
    for bad in ["", "one"] {
        send(bad, r#"{"amount":100}"#).await.is_error(400, "IDEMPOTENCY_KEY_BAD");
    }
    assert_ne!(send("two-0123456789abcdef0123", r#"{"amount":100}"#).await.text, first.text);
    // What failed may be tried again.
    send("three-0123456789abcdef0123", r#"{"amount":1}"#).await.is_error(400, "GIFT_AMOUNT_UNDER_100");
    assert_eq!(send("three-0123456789abcdef0123", r#"{"amount":100}"#).await.status, OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_invoices_have_a_budget() {
    let unlimited = LimitSettings {
        enabled: false,
        window: Duration::from_secs(900),
        write: 0,
        read: 0,
        key_write: 0,
        key_read: 0,
    };
    let app = TestApp::with(unlimited, Budget::per_minute(2));
    for _ in 0..2 {
        app.create(json!({"amount": 100})).await;
    }
    let answer = app.post("/create", &json!({"amount": 100})).await;
    answer.is_error(429, "TOO_MANY_REQUESTS");
    assert!(answer.headers.contains_key("retry-after"));
    app.get("/lnurl?amount=100000").await.is_lnurl_error("TOO_MANY_REQUESTS");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_invoice_s_time_does() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 100})).await;
    let id = created["orderId"].as_str().unwrap();
    app.clock.advance(Duration::from_secs(3_600));
    // The row is marked a moment later; the answer doesn't wait for it.
    for _ in 0..2 {
        assert_eq!(app.get(&format!("/status/{id}")).await.text, r#"{"status":"expired"}"#);
        let gift = app.get(&format!("/gift/{id}")).await.ok();
        assert_eq!(
            (&gift["chargeStatus"], &gift["state"], &gift["spent"]),
            (&json!("expired"), &json!("lapsed"), &json!(false))
        );
        crate::vouchers::upkeep::expire_due(&app.ledger, &app.vouchers).await.unwrap();
    }
    // Money that comes late is credited all the same.
    app.fund(&created);
    assert_eq!(app.get(&format!("/status/{id}")).await.text, r#"{"status":"paid"}"#);
    assert_eq!(app.get(&format!("/gift/{id}")).await.ok()["state"], "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_paid_is_removed_after_some_days_and_what_was_paid_is_not() {
    let app = TestApp::new();
    let batch = app.create(json!({"amount": 100, "quantity": 3})).await;
    let paid = app.funded(json!({"amount": 100})).await;
    let unpaid = batch["gifts"][2]["orderId"].as_str().unwrap();
    let tidy = async || {
        crate::vouchers::upkeep::expire_due(&app.ledger, &app.vouchers).await.unwrap();
        // What is over is marked in one round and looked at again in a later one.
        crate::vouchers::upkeep::expire_due(&app.ledger, &app.vouchers).await.unwrap();
    };
    app.clock.advance(Duration::from_secs(3 * 86_400));
    tidy().await;
    assert_eq!(app.get(&format!("/gift/{unpaid}")).await.ok()["state"], "lapsed");
    app.clock.advance(Duration::from_secs(3_601));
    tidy().await;
    app.get(&format!("/gift/{unpaid}")).await.is_error(404, "GIFT_NOT_FOUND");
    assert_eq!(app.get(&format!("/gift/{paid}")).await.ok()["state"], "open");
    let left: (i64, i64, i64) = app
        .ledger
        .store
        .read_blocking(|connection| -> Result<_, crate::storage::StoreError> {
            Ok(connection.query_row(
                "SELECT (SELECT count(*) FROM gifts), (SELECT count(*) FROM vouchers), (SELECT count(*) FROM charges)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?)
        })
        .unwrap();
    assert_eq!(left, (1, 1, 1));
    // Money for what is gone is nobody's we know.
    app.fund(&batch);
    app.audit();
}
