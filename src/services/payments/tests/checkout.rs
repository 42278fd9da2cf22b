//! What the customer's page is told.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::answer::keys;
use super::test_app::{HOUR, TestApp, id, invoice};

const URLS: [(&str, &str); 2] =
    [("successUrl", "https://shop.example/thanks?order=7"), ("cancelUrl", "https://shop.example/cart")];

async fn ordered(app: &TestApp) -> Value {
    let more: Value = URLS.iter().map(|(name, url)| (name.to_string(), json!(url))).collect();
    app.order(&more).await.created()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_sees_what_they_need_and_nothing_of_the_shop_s() {
    let app = TestApp::new().await;
    let made = ordered(&app).await;
    let path = format!("/checkout/{}/status", id(&made));
    let open = app.get("", &path).await;
    assert_eq!((open.status, &open.headers["cache-control"]), (200, &"no-store".parse().unwrap()));
    let always =
        ["invoiceId", "status", "description", "amount", "currency", "amountSats", "satsAmount", "isDemo"];
    let names = [&always[..], &["lightningInvoice", "paymentUri", "expiresAt", "cancelUrl"]].concat();
    assert_eq!(keys(&open.text), names);
    let told = open.json();
    let text = made["lightningInvoice"].as_str().unwrap();
    assert_eq!(told["paymentUri"], format!("LIGHTNING:{}", text.to_uppercase()));
    assert_eq!((&told["expiresAt"], &told["cancelUrl"]), (&made["expiresAt"], &json!(URLS[1].1)));
    // Seen by the node, not ours yet: nobody else shall pay it.
    app.sim.set_claims_fail(true);
    app.pay(&made);
    let held = app.get("", &path).await;
    assert_eq!(keys(&held.text), [&always[..], &["lightningInvoice", "expiresAt", "cancelUrl"]].concat());
    assert_eq!(held.json()["status"], "processing");
    app.sim.set_claims_fail(false);
    app.clock.advance(Duration::from_secs(11));
    app.look_again();
    let paid = app.get("", &path).await;
    let more = ["amountReceivedSats", "lightningInvoice", "expiresAt", "paidAt", "successUrl"];
    let names = [&always[..], &more].concat();
    assert_eq!(keys(&paid.text), names);
    assert_eq!(paid.json()["successUrl"], URLS[0].1);
    for answer in [open, held, paid] {
        for secret in ["customer@example.com", "ORDER-12345", "prod_123", "user_456"] {
            assert!(!answer.text.contains(secret), "{}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_can_not_be_paid_from_the_page() {
    let app = TestApp::new().await;
    let made = ordered(&app).await;
    app.clock.advance(HOUR);
    let told = app.get("", &format!("/checkout/{}/status", id(&made))).await.ok();
    assert_eq!((&told["status"], &told["cancelUrl"]), (&json!("expired"), &json!(URLS[1].1)));
    assert!(told["lightningInvoice"].is_string() && told.get("paymentUri").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_hears_of_every_step() {
    let app = TestApp::new().await;
    let made = ordered(&app).await;
    let request = Request::get(format!("/checkout/{}/live", id(&made))).body(Body::empty()).unwrap();
    let response = app.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut next = async || -> String {
        let chunk = tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap();
        let text = String::from_utf8(chunk.unwrap().unwrap().to_vec()).unwrap();
        assert!(text.starts_with("event: state\n"), "{text}");
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        serde_json::from_str::<Value>(data).unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(next().await, "unpaid");
    app.sim.set_claims_fail(true);
    app.pay_msat(&invoice(&made), 125_000_000);
    assert_eq!(next().await, "processing");
    app.sim.set_claims_fail(false);
    app.clock.advance(Duration::from_secs(11));
    app.look_again();
    assert_eq!(next().await, "paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_nothing() {
    let app = TestApp::new().await;
    for id in [format!("inv_{}", "0".repeat(24)), "inv_1".into(), "%FF".into()] {
        for what in ["status", "live"] {
            let path = format!("/checkout/{id}/{what}");
            app.get("", &path).await.is_error(404, "PAYMENT_NOT_FOUND", &path);
        }
    }
    app.get("", "/checkout/a/b/c").await.is_error(404, "NOT_FOUND", "/checkout/a/b/c");
}

/// The document's sample of `GET /checkout/{invoiceId}/status`, member by member.
#[track_caller]
pub(super) fn is_like_the_document(told: &Value, status: &str, invoice: &Value) {
    assert_eq!(told["status"], status);
    for name in ["invoiceId", "currency", "expiresAt"] {
        assert!(told[name].is_string(), "{name}: {told}");
    }
    assert!(told["amount"].is_number() && told["satsAmount"].is_u64(), "{told}");
    assert_eq!((&told["isDemo"], &told["satsAmount"]), (&json!(false), &told["amountSats"]));
    assert!(invoice.is_string() && told["lightningInvoice"] == *invoice, "{told}");
    assert_eq!(told.get("paymentUri").is_some(), status == "unpaid", "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_has_the_document_s_members_in_every_state() {
    let app = TestApp::new().await;
    let made = ordered(&app).await;
    let path = format!("/checkout/{}/status", id(&made));
    let shown = async || app.get("", &path).await.ok();
    is_like_the_document(&shown().await, "unpaid", &made["lightningInvoice"]);
    app.sim.set_claims_fail(true);
    app.pay(&made);
    is_like_the_document(&shown().await, "processing", &made["lightningInvoice"]);
    app.sim.set_claims_fail(false);
    app.clock.advance(Duration::from_secs(11));
    app.look_again();
    is_like_the_document(&shown().await, "paid", &made["lightningInvoice"]);
    let other = app.order(&json!({ "orderId": "2" })).await.created();
    app.clock.advance(HOUR);
    let expired = app.get("", &format!("/checkout/{}/status", id(&other))).await.ok();
    is_like_the_document(&expired, "expired", &other["lightningInvoice"]);
}
