//! So many requests of one proxy at once, and no more: none is lost to whoever paid, and each ends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use futures_util::StreamExt;
use serde_json::json;

use super::house::{Answer, House, base, rules};
use crate::services::proxy::Rules;

async fn house(max_in_flight: usize) -> Arc<House> {
    Arc::new(House::with(Rules { max_in_flight, ..rules() }).await)
}

impl House {
    async fn asked(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }
}

/// There is no room at all, in the family's shape.
#[track_caller]
fn is_full(answer: &Answer, path: &str) {
    assert_eq!((answer.status, answer.error().as_str()), (503, "proxy_busy"));
    assert_eq!(answer.headers["retry-after"], "5");
    assert_eq!(answer.json()["instance"], path);
    assert!(!answer.headers.contains_key("payment-receipt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_a_request_is_told_so_and_its_credential_is_good_afterwards() {
    let house = house(2).await;
    let path = format!("{}/hold", base(&house.sell(&json!({})).await));
    let asked = house.asked(&path).await;
    let (token, once) = (house.settle(&asked), house.settle_once(&asked));
    let under_way: Vec<_> = (0..2)
        .map(|_| {
            let (house, path, token) = (Arc::clone(&house), path.clone(), token.clone());
            tokio::spawn(async move { house.show(Method::GET, &path, &token).await.status })
        })
        .collect();
    house.upstream.hears_of(2).await;
    for shown in [&token, &once, &once] {
        is_full(&house.show(Method::GET, &path, shown).await, &path);
    }
    assert_eq!(house.upstream.hits(), 2);
    assert_eq!(house.asked(&path).await.status, 402, "whoever asks for the price takes no place");
    let other = format!("{}/x", base(&house.sell(&json!({})).await));
    assert_eq!(house.buy(Method::GET, &other).await.status, 200, "nor does another proxy's");
    house.upstream.release(9);
    for one in under_way {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(house.show(Method::GET, &path, &once).await.status, 200);
    assert_eq!(house.show(Method::GET, &path, &once).await.status, 402, "it is used now");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_takes_its_place_until_its_last_byte_has_passed() {
    let house = house(1).await;
    let base = base(&house.sell(&json!({})).await);
    let (large, fine) = (format!("{base}/large"), format!("{base}/fine"));
    let (shown, other) = (house.pay(Method::GET, &large).await, house.pay(Method::GET, &fine).await);
    let begin = async || {
        let request = Request::get(&large).header("authorization", &shown).body(Body::empty()).unwrap();
        house.raw(request).await.into_body().into_data_stream()
    };
    let mut body = begin().await;
    body.next().await.unwrap().unwrap();
    is_full(&house.show(Method::GET, &fine, &other).await, &fine);
    drop(body);
    assert_eq!(house.show(Method::GET, &fine, &other).await.status, 200, "whoever hangs up has ended");
    let mut body = begin().await;
    while let Some(piece) = body.next().await {
        piece.unwrap();
    }
    assert_eq!(house.show(Method::GET, &fine, &other).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_request_ends_its_place_is_free_again() {
    let house = house(1).await;
    let id = house.sell(&json!({ "timeout": 1 })).await;
    let body = json!({ "endpointId": "f", "path": "/free", "basePriceSats": 0 });
    assert_eq!(house.post(&format!("/api/proxy/{id}/manifest/endpoints"), &body).await.status, 201);
    let honest = base(&id);
    let lies = house.sell_lies(&json!({ "timeout": 1 })).await;
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
        let asked = house.asked(&path).await;
        let shown = if asked.status == 402 { house.settle(&asked) } else { String::new() };
        // One after the other: a place that were left taken would refuse the second.
        for _ in 0..2 {
            assert_eq!(house.show(Method::GET, &path, &shown).await.status, status, "{path}");
        }
        if asked.status == 402 {
            assert_ne!(house.show(Method::HEAD, &path, &shown).await.status, 503, "{path}");
        }
    }
    // Whoever hangs up before the answer, and whoever stops sending.
    let slow = format!("{honest}/hold");
    let shown = house.pay(Method::GET, &slow).await;
    for _ in 0..2 {
        let hits = house.upstream.hits();
        let asking = tokio::time::timeout(Duration::from_millis(200), house.show(Method::GET, &slow, &shown));
        assert!(asking.await.is_err());
        assert_eq!(house.upstream.hits(), hits + 1);
    }
    let path = format!("{honest}/fine");
    let shown = house.pay(Method::POST, &path).await;
    for _ in 0..2 {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request = Request::post(&path).header("authorization", &shown).body(never).unwrap();
        assert!(matches!(house.send(request).await.status, 408 | 504));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_nothing_good_is_counted_before_patterns_are_tried_and_who_paid_is_not() {
    let house = House::with(Rules { unpaid_per_minute: 5, ..rules() }).await;
    let path = format!("{}/small", base(&house.sell(&json!({})).await));
    let asked = house.asked(&path).await;
    assert_eq!(asked.status, 402);
    let token = house.settle(&asked);
    for number in 0..4 {
        let garbage =
            Request::get(&path).header("authorization", format!("L402 AGIAJEem{number}:{}", "00".repeat(32)));
        assert_eq!(house.send(garbage.body(Body::empty()).unwrap()).await.status, 402);
    }
    let refused = house.asked(&path).await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    for _ in 0..20 {
        let paid = Request::get(&path).header("authorization", &token).body(Body::empty()).unwrap();
        assert_ne!(house.send(paid).await.status, 429);
    }
}
