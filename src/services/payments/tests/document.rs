//! The document's examples, replayed: members, their order, what is left out, the kinds of values, status codes.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::answer::keys;
use super::test_app::{NOON, PAYMENTS, PUBLIC_URL, TestApp, id, invoice, order, path};
use crate::services::payments::status::PaymentStatus;

const CREATED: &str = r#"{
"invoiceId": "inv_abc123def456",
"orderId": "ORDER-12345",
"status": "unpaid",
"amount": 49.99,
"currency": "USD",
"amountSats": 125000,
"lightningInvoice": "lnbc1250000n1pnxyz...",
"expiresAt": "2024-12-29T13:00:00Z",
"createdAt": "2024-12-29T12:00:00Z"
}"#;

const PAID: &str = r#"{
"invoiceId": "inv_abc123def456",
"orderId": "ORDER-12345",
"status": "paid",
"amount": 49.99,
"currency": "USD",
"amountSats": 125000,
"paidAt": "2024-12-29T12:05:00Z",
"createdAt": "2024-12-29T12:00:00Z"
}"#;

/// What differs from payment to payment; all else must be the document's own.
const OWN: [&str; 5] = ["invoiceId", "lightningInvoice", "expiresAt", "paidAt", "createdAt"];

/// Begins with the document's members in its order, has `later` behind them, and nothing is `null`.
#[track_caller]
fn is_like(text: &str, example: &str, later: &[&str]) {
    let mut expected = keys(example);
    expected.extend(later.iter().map(ToString::to_string));
    assert_eq!(keys(text), expected);
    let (answer, example): (Value, Value) =
        (serde_json::from_str(text).unwrap(), serde_json::from_str(example).unwrap());
    assert!(!answer.as_object().unwrap().values().any(Value::is_null), "{text}");
    for (name, value) in example.as_object().unwrap() {
        let (own, known) = (&answer[name], OWN.contains(&name.as_str()));
        assert!(if known { own.is_string() } else { own == value }, "{name}: {own}");
        if name.ends_with("At") {
            let text = own.as_str().unwrap();
            assert_eq!((text.len(), &text[10..11], &text[19..]), (20, "T", "Z"), "{text}");
        }
    }
    // A price stands as it was written, and is not a float's idea of it.
    assert!(text.contains(r#""amount":49.99,"#), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_a_payment_answers_as_the_document_does() {
    let app = TestApp::new().await;
    let answer = app.order(&json!({})).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    is_like(&answer.text, CREATED, &["checkoutUrl", "exchangeRate"]);
    let made = answer.json();
    assert_eq!(made["checkoutUrl"], format!("{PUBLIC_URL}/checkout/{}", id(&made)));
    assert_eq!((made["createdAt"].as_str(), NOON), (Some("2027-01-15T08:00:00Z"), 1_800_000_000_000));
    assert_eq!(made["expiresAt"], "2027-01-15T09:00:00Z");
    let bolt11 = invoice(&made);
    assert_eq!(bolt11.amount_milli_satoshis(), Some(125_000_000));
    assert_eq!(*app.node.words.lock().unwrap(), ["Premium Subscription"]);
    assert_eq!(bolt11.expiry_time(), Duration::from_secs(3_600));
    assert!(id(&made).starts_with("inv_") && id(&made).len() == 28);
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_a_paid_payment_up_answers_as_the_document_does() {
    let app = TestApp::new().await;
    let made = app.order(&json!({})).await.created();
    app.clock.advance(Duration::from_secs(300));
    app.pay(&made);
    let one = app.get(&app.shop, &path(&made)).await;
    assert_eq!(one.status, 200);
    is_like(&one.text, PAID, &["checkoutUrl", "amountReceivedSats", "exchangeRate"]);
    assert_eq!(one.json()["paidAt"], "2027-01-15T08:05:00Z");
    let by_order = app.get(&app.shop, &format!("{PAYMENTS}/order/ORDER-12345")).await;
    let synced = app.ask(Method::POST, &app.shop, &format!("{}/sync", path(&made)), None).await;
    assert_eq!((by_order.status, synced.status), (200, 200));
    assert_eq!((&by_order.text, &synced.text), (&one.text, &one.text), "the same object everywhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_payment_looks_as_it_did_when_it_was_made() {
    let app = TestApp::new().await;
    let made = app.order(&json!({})).await;
    let one = app.get(&app.shop, &path(&made.json())).await;
    assert_eq!((one.status, one.text), (200, made.text));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_in_other_languages_are_understood() {
    let app = TestApp::new().await;
    // JavaScript and Python: three members; C#: the same from an anonymous type.
    let bare = json!({"orderId": "ORDER-123", "amount": 49.99, "currency": "USD"});
    let made = app.post(&app.shop, PAYMENTS, &bare).await.created();
    assert_eq!((made["amountSats"].as_u64(), made["orderId"].as_str()), (Some(125_000), Some("ORDER-123")));
    assert_eq!(*app.node.words.lock().unwrap(), ["Order ORDER-123"]);
    // A decimal as a text, as .NET can be told to write it, and a bearer instead of the other header.
    let text = r#"{"orderId":"ORDER-9","amount":"49.990","currency":"usd"}"#;
    let bearer = format!("Bearer {}", app.shop);
    let headers = [("authorization", bearer.as_str())];
    let made = app.ask_with(Method::POST, "", PAYMENTS, Some(text), &headers).await.created();
    assert_eq!((made["amountSats"].as_u64(), made["currency"].as_str()), (Some(125_000), Some("USD")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_table() {
    let names: Vec<_> = PaymentStatus::ALL.iter().map(|status| status.name()).collect();
    assert_eq!(names, ["unpaid", "processing", "paid", "expired", "refunded"]);
    let app = TestApp::new().await;
    let (one, other) = (app.order(&json!({})).await.created(), order(&json!({"orderId": "2"})));
    let other = app.post(&app.shop, PAYMENTS, &other).await.created();
    // Invoice created, awaiting payment.
    assert_eq!(app.status(&id(&one)).await, "unpaid");
    // Payment detected, confirming.
    app.sim.set_claims_fail(true);
    app.pay(&one);
    assert_eq!(app.status(&id(&one)).await, "processing");
    assert_eq!(app.sent(), []);
    // Payment confirmed.
    app.sim.set_claims_fail(false);
    app.clock.advance(Duration::from_secs(11));
    app.look_again();
    assert_eq!(app.status(&id(&one)).await, "paid");
    // Invoice expired without payment.
    app.clock.advance(Duration::from_secs(3_600));
    assert_eq!(app.status(&id(&other)).await, "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_currency_table() {
    let app = TestApp::new().await;
    for (number, (amount, currency, code, sats)) in [
        (r"49.99", "USD", "USD", 125_000),
        (r"0.01", "usd", "USD", 26),
        (r"35.99", "EUR", "EUR", 99_993),
        (r"0.001", "BTC", "BTC", 100_000),
        (r"0.00000001", "btc", "BTC", 1),
        (r"1e-3", "BTC", "BTC", 100_000),
        (r"21", "sats", "sats", 21),
        (r"21.0", "SATS", "sats", 21),
    ]
    .into_iter()
    .enumerate()
    {
        let body = format!(r#"{{"orderId":"{number}","amount":{amount},"currency":"{currency}"}}"#);
        let made = app.ask_with(Method::POST, &app.shop, PAYMENTS, Some(&body), &[]).await.created();
        let seen = (made["amountSats"].as_u64(), made["currency"].as_str());
        assert_eq!(seen, (Some(sats), Some(code)), "{amount} {currency}");
        assert_eq!(made.get("exchangeRate").is_some(), matches!(code, "USD" | "EUR"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_s_errors_to_the_letter() {
    let app = TestApp::new().await;
    let says = |text: &str, example: &str| {
        let (answer, example): (Value, Value) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(example).unwrap());
        for name in ["error", "message", "code"] {
            assert_eq!(answer[name], example[name], "{text}");
        }
    };
    let amount =
        r#"{"error": "Bad Request", "message": "Amount must be greater than 0", "code": "INVALID_AMOUNT"}"#;
    for wrong in [json!(0), json!(-1), json!(0.0), json!(-0.01), Value::Null, json!("0.00")] {
        let answer = app.order(&json!({ "amount": wrong })).await;
        answer.is_error(400, "INVALID_AMOUNT", PAYMENTS);
        says(&answer.text, amount);
    }
    let order_id =
        r#"{"error": "Bad Request", "message": "Order ID is required", "code": "MISSING_ORDER_ID"}"#;
    for wrong in [Value::Null, json!(""), json!("  ")] {
        let answer = app.order(&json!({ "orderId": wrong })).await;
        answer.is_error(400, "MISSING_ORDER_ID", PAYMENTS);
        says(&answer.text, order_id);
    }
    let unknown = r#"{"error": "Not Found", "message": "Payment not found", "code": "PAYMENT_NOT_FOUND"}"#;
    let nobodys = format!("{PAYMENTS}/inv_{}", "0".repeat(24));
    let example = format!("{PAYMENTS}/inv_abc123def456");
    for path in [nobodys, example, format!("{PAYMENTS}/order/NONE"), format!("{PAYMENTS}/%FF")] {
        let answer = app.get(&app.shop, &path).await;
        answer.is_error(404, "PAYMENT_NOT_FOUND", &path);
        says(&answer.text, unknown);
    }
}
