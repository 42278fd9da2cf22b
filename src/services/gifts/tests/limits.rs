//! How often a client may ask.

use std::time::Duration;

use serde_json::json;

use super::test_app::{OK, TestApp};
use crate::http::limits::{Budget, LimitSettings};

fn limited() -> TestApp {
    let settings = LimitSettings {
        enabled: true,
        window: Duration::from_secs(900),
        write: 3,
        read: 4,
        key_write: 0,
        key_read: 0,
    };
    TestApp::with(settings, Budget::per_minute(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_redeeming_and_wallets_share_a_quota() {
    let app = limited();
    let created = app.post("/create", &json!({"amount": 100})).await;
    assert_eq!(created.headers["x-ratelimit-limit"], "3");
    assert_eq!(created.headers["x-ratelimit-remaining"], "2");
    let id = created.json()["orderId"].as_str().unwrap().to_owned();
    // What fails counts as well.
    app.post(&format!("/redeem/{id}"), &json!({})).await.is_error(400, "BAD_INVOICE");
    app.get(&format!("/lnurl/{id}")).await.is_lnurl_error("GIFT_INVOICE_UNPAID");
    let refused = app.post("/create", &json!({"amount": 100})).await;
    refused.is_error(429, "TOO_MANY_REQUESTS");
    for header in ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
        assert!(refused.headers.contains_key(header), "{header}");
    }
    // Wallets read nothing but the body of a 200.
    app.get(&format!("/lnurl/{id}")).await.is_lnurl_error("TOO_MANY_REQUESTS");
    app.get("/lnurl").await.is_lnurl_error("TOO_MANY_REQUESTS");
    // Preflights and reads are another matter.
    assert_eq!(app.options("/create").await.status, OK);
    assert_eq!(app.get(&format!("/gift/{id}")).await.status, OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_have_a_quota_of_their_own() {
    let app = limited();
    let id = app.create(json!({"amount": 100})).await["orderId"].as_str().unwrap().to_owned();
    for path in
        [format!("/gift/{id}"), format!("/status/{id}"), format!("/view/{id}"), format!("/gift/{id}/manage")]
    {
        let answer = app.get(&path).await;
        assert_eq!(answer.headers["x-ratelimit-limit"], "4", "{path}");
    }
    app.get(&format!("/gift/{id}")).await.is_error(429, "TOO_MANY_REQUESTS");
    app.get("/redeemStatus/x").await.is_error(429, "TOO_MANY_REQUESTS");
    assert_eq!(app.post("/create", &json!({"amount": 100})).await.status, OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_gifts_of_a_batch_count_as_one_request() {
    let app = limited();
    let batch = app.post("/create", &json!({"amount": 100, "quantity": 20})).await;
    assert_eq!(batch.status, OK);
    assert_eq!(app.post("/create", &json!({"amount": 100, "quantity": 10})).await.status, OK);
    app.post("/create", &json!({"amount": 100})).await.is_error(429, "TOO_MANY_REQUESTS");
    let app = limited();
    assert_eq!(app.post("/create", &json!({"amount": 100})).await.status, OK);
    let refused = app.post("/create", &json!({"amount": 100, "quantity": 21})).await;
    refused.is_error(429, "TOO_MANY_REQUESTS");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(app.post("/create", &json!({"amount": 100, "quantity": 10})).await.status, OK);
}
