//! Every code of the family that has nothing to do with refunds.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::test_app::{PAYMENTS, Setup, TestApp, order, path};
use crate::http::keys::Scope;
use crate::http::limits::LimitSettings;

/// What needs a key: method, path, body.
fn guarded(id: &str) -> Vec<(Method, String, Option<Value>)> {
    let post = Method::POST;
    vec![
        (post.clone(), PAYMENTS.into(), Some(order(&json!({})))),
        (Method::GET, PAYMENTS.into(), None),
        (Method::GET, format!("{PAYMENTS}/{id}"), None),
        (Method::GET, format!("{PAYMENTS}/order/ORDER-12345"), None),
        (post, format!("{PAYMENTS}/{id}/sync"), None),
        (Method::PUT, "/api/merchant/webhook-url".into(), Some(json!({}))),
        (Method::GET, "/api/merchant/webhook-url".into(), None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn status_400_names_the_first_rule_that_is_broken() {
    let app = TestApp::new().await;
    for (more, code) in [
        (json!({"orderId": "x".repeat(256)}), "INVALID_ORDER_ID"),
        (json!({"orderId": "a\nb"}), "INVALID_ORDER_ID"),
        (json!({"orderId": ["a"]}), "INVALID_ORDER_ID"),
        (json!({"orderId": 1.5}), "INVALID_ORDER_ID"),
        (json!({"amount": "ten"}), "INVALID_AMOUNT"),
        (json!({"amount": [1]}), "INVALID_AMOUNT"),
        (json!({"amount": true}), "INVALID_AMOUNT"),
        (json!({"amount": 1.005}), "INVALID_AMOUNT"),
        (json!({"amount": 1.5, "currency": "sats"}), "INVALID_AMOUNT"),
        (json!({"amount": "0.000000001", "currency": "BTC"}), "INVALID_AMOUNT"),
        (json!({"amount": "9".repeat(60)}), "INVALID_AMOUNT"),
        (json!({"amount": 10_000_001, "currency": "sats"}), "AMOUNT_TOO_LARGE"),
        (json!({"amount": 21_000_001, "currency": "BTC"}), "AMOUNT_TOO_LARGE"),
        (json!({"amount": 1_000_000_000, "currency": "USD"}), "AMOUNT_TOO_LARGE"),
        (json!({"currency": null}), "INVALID_CURRENCY"),
        (json!({"currency": ""}), "INVALID_CURRENCY"),
        (json!({"currency": "XXX"}), "INVALID_CURRENCY"),
        (json!({"currency": 840}), "INVALID_CURRENCY"),
        (json!({"description": "x".repeat(501)}), "INVALID_FIELD"),
        (json!({"description": 7}), "INVALID_FIELD"),
        (json!({"customerEmail": "x".repeat(255)}), "INVALID_FIELD"),
        (json!({"customerName": {}}), "INVALID_FIELD"),
        (json!({"successUrl": "javascript:alert(1)"}), "INVALID_URL"),
        (json!({"cancelUrl": "/cart"}), "INVALID_URL"),
        (json!({"cancelUrl": "https://a:b@shop.example/"}), "INVALID_URL"),
        (json!({"metadata": "text"}), "INVALID_METADATA"),
        (json!({"metadata": [1]}), "INVALID_METADATA"),
        (json!({"metadata": {"x": "y".repeat(16_384)}}), "INVALID_METADATA"),
        // Of several the first.
        (json!({"orderId": null, "amount": 0, "currency": "XXX"}), "MISSING_ORDER_ID"),
        (json!({"amount": 0, "currency": "XXX"}), "INVALID_AMOUNT"),
    ] {
        let answer = app.order(&more).await;
        assert_eq!(answer.json()["code"], code, "{more}");
        answer.is_error(400, code, PAYMENTS);
    }
    for body in ["{\"amount\": 21,", "[21]", "\"21\"", "null"] {
        let answer = app.ask_with(Method::POST, &app.shop, PAYMENTS, Some(body), &[]).await;
        answer.is_error(400, "INVALID_JSON", PAYMENTS);
    }
    let nothing = app.ask(Method::POST, &app.shop, PAYMENTS, None).await;
    nothing.is_error(400, "MISSING_ORDER_ID", PAYMENTS);
    let long = "k".repeat(257);
    for key in ["", " ", "a\u{e9}", &long] {
        let body = order(&json!({})).to_string();
        let headers = [("x-idempotency-key", key)];
        let answer = app.ask_with(Method::POST, &app.shop, PAYMENTS, Some(&body), &headers).await;
        answer.is_error(400, "INVALID_IDEMPOTENCY_KEY", PAYMENTS);
    }
    assert_eq!(app.get(&app.shop, PAYMENTS).await.text, r#"{"payments":[],"nextCursor":null}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_400_for_parameters_of_lists_rates_and_settings() {
    let app = TestApp::new().await;
    for (query, code) in [
        ("status=open", "INVALID_STATUS_FILTER"),
        ("limit=0", "INVALID_LIMIT"),
        ("limit=101", "INVALID_LIMIT"),
        ("limit=all", "INVALID_LIMIT"),
        ("cursor=7", "INVALID_CURSOR"),
    ] {
        let path = format!("{PAYMENTS}?{query}");
        app.get(&app.shop, &path).await.is_error(400, code, &path);
    }
    app.get("", "/api/rates/XXX").await.is_error(400, "INVALID_CURRENCY", "/api/rates/XXX");
    let path = "/api/merchant/webhook-url";
    for (body, code) in [
        (json!({"webhookSecret": "short"}), "INVALID_SECRET"),
        (json!({"webhookSecret": "x".repeat(257)}), "INVALID_FIELD"),
        (json!({"webhookUrl": 7}), "INVALID_FIELD"),
        (json!({"callbackUrl": "mailto:a@b.example"}), "INVALID_URL"),
    ] {
        app.put(&app.shop, path, &body).await.is_error(400, code, path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_401_without_a_key_or_with_a_wrong_one_and_403_for_other_things() {
    let app = TestApp::new().await;
    let made = app.order(&json!({})).await.created();
    let gifts = app.key(&[Scope::Gifts, Scope::Tips], "shop").await;
    for (method, path, body) in guarded(made["invoiceId"].as_str().unwrap()) {
        let ask = |key: &str| {
            let (method, path, body, key) = (method.clone(), path.clone(), body.clone(), key.to_owned());
            let app = &app;
            async move { app.ask(method, &key, &path, body.as_ref()).await }
        };
        let nobody = ask("").await;
        nobody.is_error(401, "MISSING_API_KEY", &path);
        assert_eq!(nobody.json()["error"], "Unauthorized");
        assert_eq!(nobody.json()["message"], "API key is required. Include X-API-Key header.");
        for wrong in ["le_merchant_abc123", "satchel_no", &format!("{}x", app.shop)] {
            let answer = ask(wrong).await;
            answer.is_error(401, "INVALID_API_KEY", &path);
            assert_eq!(answer.json()["message"], "Invalid API key");
        }
        ask(&gifts).await.is_error(403, "FORBIDDEN", &path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_404_for_what_is_another_account_s() {
    let app = TestApp::new().await;
    let made = app.order(&json!({})).await.created();
    let path = path(&made);
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::POST, format!("{path}/sync")),
        (Method::GET, format!("{PAYMENTS}/order/ORDER-12345")),
    ] {
        app.ask(method, &app.rival, &path, None).await.is_error(404, "PAYMENT_NOT_FOUND", &path);
    }
    for cursor in [made["invoiceId"].as_str().unwrap(), "inv_000000000000000000000000"] {
        let path = format!("{PAYMENTS}?cursor={cursor}");
        app.get(&app.rival, &path).await.is_error(400, "INVALID_CURSOR", &path);
    }
    assert_eq!(app.get(&app.rival, PAYMENTS).await.text, r#"{"payments":[],"nextCursor":null}"#);
    // Each has orders and settings of its own.
    let theirs = app.post(&app.rival, PAYMENTS, &order(&json!({}))).await.created();
    assert_ne!(theirs["invoiceId"], made["invoiceId"]);
    app.listen("https://shop.example/hook").await;
    assert_eq!(app.get(&app.rival, "/api/merchant/webhook-url").await.ok()["webhookUrl"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_404_and_405_where_nothing_is() {
    let app = TestApp::new().await;
    for path in ["/api/payments/a/b/c", "/api/merchant/webhook-url/x", "/api/rates/USD/x"] {
        app.get(&app.shop, path).await.is_error(404, "NOT_FOUND", path);
    }
    for (method, path) in [
        (Method::DELETE, PAYMENTS),
        (Method::PUT, "/api/payments/inv_1"),
        (Method::POST, "/api/merchant/webhook-url"),
        (Method::POST, "/api/rates"),
    ] {
        app.ask(method, &app.shop, path, None).await.is_error(405, "METHOD_NOT_ALLOWED", path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_429_tells_the_limit_and_when_to_come_back() {
    let limits = LimitSettings {
        enabled: true,
        window: Duration::from_secs(60),
        write: 0,
        read: 1,
        key_write: 2,
        key_read: 3,
    };
    let app = TestApp::with(Setup { limits, ..Setup::default() }).await;
    for _ in 0..2 {
        assert!(app.order(&json!({})).await.status < 300);
    }
    let refused = app.order(&json!({})).await;
    refused.is_error(429, "RATE_LIMIT_EXCEEDED", PAYMENTS);
    let body = refused.json();
    assert_eq!(
        (body["error"].as_str(), body["message"].as_str()),
        (Some("Too Many Requests"), Some("Rate limit exceeded"))
    );
    let details = &body["details"];
    assert_eq!((details["limit"].as_u64(), details["window"].as_str()), (Some(2), Some("1 minute")));
    let wait = details["retryAfter"].as_u64().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(refused.headers["retry-after"], wait.to_string());
    assert_eq!(refused.headers["x-ratelimit-limit"], "2");
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    assert!(refused.headers.contains_key("x-ratelimit-reset"));
    // The other shop has its own quota, and reads have another.
    app.post(&app.rival, PAYMENTS, &order(&json!({}))).await.created();
    let read = app.get(&app.shop, PAYMENTS).await;
    assert_eq!((read.status, read.headers["x-ratelimit-remaining"].to_str().unwrap()), (200, "2"));
    app.get("", "/api/rates").await.ok();
    app.get("", "/api/rates").await.is_error(429, "RATE_LIMIT_EXCEEDED", "/api/rates");
    // And all clients together get so many invoices.
    let app = TestApp::with(Setup { budget: 1, ..Setup::default() }).await;
    app.order(&json!({})).await.created();
    app.order(&json!({"orderId": "2"})).await.is_error(429, "RATE_LIMIT_EXCEEDED", PAYMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_keys_is_limited_like_who_has_none() {
    let limits = LimitSettings {
        enabled: true,
        window: Duration::from_secs(60),
        write: 1,
        read: 2,
        key_write: 9,
        key_read: 9,
    };
    let app = TestApp::with(Setup { limits, ..Setup::default() }).await;
    let guess = format!("{}0", &app.shop[..app.shop.len() - 1]);
    let other = format!("{}1", &app.shop[..app.shop.len() - 1]);
    let wrong = if guess == app.shop { other } else { guess };
    let refused = app.get(&wrong, PAYMENTS).await;
    refused.is_error(401, "INVALID_API_KEY", PAYMENTS);
    assert_eq!(refused.headers["x-ratelimit-remaining"], "1");
    app.get("", PAYMENTS).await.is_error(401, "MISSING_API_KEY", PAYMENTS);
    app.get(&wrong, PAYMENTS).await.is_error(429, "RATE_LIMIT_EXCEEDED", PAYMENTS);
    app.post(&wrong, PAYMENTS, &order(&json!({}))).await.is_error(401, "INVALID_API_KEY", PAYMENTS);
    app.post(&wrong, PAYMENTS, &order(&json!({}))).await.is_error(429, "RATE_LIMIT_EXCEEDED", PAYMENTS);
    // Whoever has a key is not held up by those who guess from the same place.
    app.get(&app.shop, PAYMENTS).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_name_of_its_request() {
    let app = TestApp::new().await;
    let ask = async |name: &str| {
        let headers = [("x-correlation-id", name)];
        app.ask_with(Method::GET, &app.shop, PAYMENTS, None, &headers).await.headers["x-correlation-id"]
            .clone()
    };
    assert_eq!(ask("order-7/attempt-2").await, "order-7/attempt-2");
    let long = "x".repeat(129);
    for strange in ["", "a b", &long] {
        assert_eq!(ask(strange).await.len(), 36, "{strange}");
    }
    let refused = app.get(&app.shop, "/api/payments/inv_0").await;
    refused.is_error(404, "PAYMENT_NOT_FOUND", "/api/payments/inv_0");
    assert_eq!(refused.headers["x-correlation-id"].len(), 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_handler_answered_has_the_family_s_shape() {
    for (path, status, code) in [
        ("/api/payments", 500, "INTERNAL_ERROR"),
        ("/api/payments/inv_1", 503, "NODE_UNAVAILABLE"),
        ("/api/rates", 504, "NODE_UNAVAILABLE"),
        ("/api/refunds", 413, "BODY_TOO_LARGE"),
    ] {
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let response = crate::app::routes::failure(path, status);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((body["code"].as_str(), body["instance"].as_str()), (Some(code), Some(path)));
    }
}
