//! So many requests of one proxy at once, and no more: none is lost to whoever paid, and each ends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use futures_util::StreamExt;
use serde_json::json;

use super::test_app::{Answer, TestApp, base, rules};
use crate::services::proxy::Rules;

async fn app(max_in_flight: usize) -> Arc<TestApp> {
    Arc::new(TestApp::with(Rules { max_in_flight, ..rules() }).await)
}

impl TestApp {
    async fn asked(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }
}

/// 503 in the service's shape.
#[track_caller]
fn is_full(answer: &Answer, path: &str) {
    assert_eq!((answer.status, answer.error().as_str()), (503, "proxy_busy"));
    assert_eq!(answer.headers["retry-after"], "5");
    assert_eq!(answer.json()["instance"], path);
    assert!(!answer.headers.contains_key("payment-receipt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_a_request_is_told_so_and_its_credential_is_good_afterwards() {
    let app = app(2).await;
    let path = format!("{}/hold", base(&app.sell(&json!({})).await));
    let asked = app.asked(&path).await;
    let (token, once) = (app.settle(&asked), app.settle_once(&asked));
    let under_way: Vec<_> = (0..2)
        .map(|_| {
            let (app, path, token) = (Arc::clone(&app), path.clone(), token.clone());
            tokio::spawn(async move { app.show(Method::GET, &path, &token).await.status })
        })
        .collect();
    app.upstream.hears_of(2).await;
    for shown in [&token, &once, &once] {
        is_full(&app.show(Method::GET, &path, shown).await, &path);
    }
    assert_eq!(app.upstream.hits(), 2);
    assert_eq!(app.asked(&path).await.status, 402, "whoever asks for the price takes no place");
    let other = format!("{}/x", base(&app.sell(&json!({})).await));
    assert_eq!(app.buy(Method::GET, &other).await.status, 200, "nor does another proxy's");
    app.upstream.release(9);
    for one in under_way {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(app.show(Method::GET, &path, &once).await.status, 200);
    assert_eq!(app.show(Method::GET, &path, &once).await.status, 402, "it is used now");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_takes_its_place_until_its_last_byte_has_passed() {
    let app = app(1).await;
    let base = base(&app.sell(&json!({})).await);
    let (large, fine) = (format!("{base}/large"), format!("{base}/fine"));
    let (shown, other) = (app.pay(Method::GET, &large).await, app.pay(Method::GET, &fine).await);
    let begin = async || {
        let request = Request::get(&large).header("authorization", &shown).body(Body::empty()).unwrap();
        app.raw(request).await.into_body().into_data_stream()
    };
    let mut body = begin().await;
    body.next().await.unwrap().unwrap();
    is_full(&app.show(Method::GET, &fine, &other).await, &fine);
    drop(body);
    assert_eq!(app.show(Method::GET, &fine, &other).await.status, 200, "whoever hangs up has ended");
    let mut body = begin().await;
    while let Some(piece) = body.next().await {
        piece.unwrap();
    }
    assert_eq!(app.show(Method::GET, &fine, &other).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_request_ends_its_place_is_free_again() {
    let app = app(1).await;
    let id = app.sell(&json!({ "timeout": 1 })).await;
    let body = json!({ "endpointId": "f", "path": "/free", "basePriceSats": 0 });
    assert_eq!(app.post(&format!("/api/proxy/{id}/manifest/endpoints"), &body).await.status, 201);
    let honest = base(&id);
    let lies = app.sell_lies(&json!({ "timeout": 1 })).await;
    for (base, path, status) in [
        (&honest, "/fine", 200),
        (&honest, "/free", 200),
        (&honest, "/none", 204),
        (&honest, "/gone", 410),
        (&honest, "/broken", 500),
        (&honest, "/moved", 307),
        (&honest, "/slow", 504),
        (&lies, "/reset", 502),
        (&lies, "/garbage", 502),
        (&lies, "/short", 502),
        (&lies, "/short-large", 200),
        (&lies, "/many-headers", 502),
        (&lies, "/huge", 502),
        (&lies, "/switch", 502),
        (&lies, "/hang-in-head", 504),
    ] {
        let path = format!("{base}{path}");
        let asked = app.asked(&path).await;
        let shown = if asked.status == 402 { app.settle(&asked) } else { String::new() };
        // One after the other: a place that were left taken would refuse the second.
        for _ in 0..2 {
            assert_eq!(app.show(Method::GET, &path, &shown).await.status, status, "{path}");
        }
        if asked.status == 402 {
            assert_ne!(app.show(Method::HEAD, &path, &shown).await.status, 503, "{path}");
        }
    }
    // Whoever hangs up before the answer, and whoever stops sending.
    let slow = format!("{honest}/hold");
    let shown = app.pay(Method::GET, &slow).await;
    for _ in 0..2 {
        let hits = app.upstream.hits();
        let asking = tokio::time::timeout(Duration::from_millis(200), app.show(Method::GET, &slow, &shown));
        assert!(asking.await.is_err());
        assert_eq!(app.upstream.hits(), hits + 1);
    }
    let path = format!("{honest}/fine");
    let shown = app.pay(Method::POST, &path).await;
    for _ in 0..2 {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request = Request::post(&path).header("authorization", &shown).body(never).unwrap();
        assert!(matches!(app.send(request).await.status, 408 | 504));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_nothing_good_is_counted_before_patterns_are_tried_and_who_paid_is_not() {
    let app = TestApp::with(Rules { unpaid_per_minute: 5, ..rules() }).await;
    let path = format!("{}/small", base(&app.sell(&json!({})).await));
    let asked = app.asked(&path).await;
    assert_eq!(asked.status, 402);
    let token = app.settle(&asked);
    for number in 0..4 {
        let garbage =
            Request::get(&path).header("authorization", format!("L402 AGIAJEem{number}:{}", "00".repeat(32)));
        assert_eq!(app.send(garbage.body(Body::empty()).unwrap()).await.status, 402);
    }
    let refused = app.asked(&path).await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    for _ in 0..20 {
        let paid = Request::get(&path).header("authorization", &token).body(Body::empty()).unwrap();
        assert_ne!(app.send(paid).await.status, 429);
    }
}
