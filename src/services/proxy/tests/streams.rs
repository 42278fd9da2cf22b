//! Bodies of any length, both ways, in little memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures_util::StreamExt;
use serde_json::json;

use super::test_app::{TestApp, base, read, rules};
use super::upstream::LARGE;
use crate::services::proxy::Rules;

/// What may be on its way at any time: the sockets' own buffers, and little of ours.
const ON_THE_WAY: u64 = 16 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_come_down_no_faster_than_they_are_read() {
    let app = TestApp::new().await;
    let path = format!("{}/large", base(&app.sell(&json!({})).await));
    let shown = app.pay(Method::GET, &path).await;
    let request = Request::get(&path).header("authorization", &shown).body(Body::empty()).unwrap();
    let response = app.raw(request).await;
    assert_eq!(response.headers()["content-length"], LARGE.to_string());
    let mut body = response.into_body().into_data_stream();
    let mut got = body.next().await.unwrap().unwrap().len() as u64;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ahead = app.upstream.made.load(Ordering::SeqCst) - got;
    assert!(ahead < ON_THE_WAY, "{ahead} bytes are held");
    while let Some(piece) = body.next().await {
        got += piece.unwrap().len() as u64;
        assert!(app.upstream.made.load(Ordering::SeqCst).saturating_sub(got) < ON_THE_WAY);
    }
    assert_eq!(got, LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_go_up_no_faster_than_they_are_read() {
    let app = TestApp::new().await;
    let path = format!("{}/slow-reader", base(&app.sell(&json!({})).await));
    let shown = app.pay(Method::POST, &path).await;
    let made = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&made);
    let pieces = futures_util::stream::iter(0..1_600).map(move |_| {
        counted.fetch_add(64 * 1024, Ordering::SeqCst);
        Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 64 * 1024]))
    });
    let request =
        Request::post(&path).header("authorization", &shown).body(Body::from_stream(pieces)).unwrap();
    let asked = tokio::spawn({
        let router = app.router.clone();
        async move { read(tower::ServiceExt::oneshot(router, request).await.unwrap()).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(made.load(Ordering::SeqCst) < ON_THE_WAY, "{made:?} bytes are held");
    assert_eq!(asked.await.unwrap().status, 200);
    assert_eq!(app.upstream.last().body, LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_no_larger_than_allowed() {
    let app = TestApp::with(Rules { max_request_bytes: 1_000, max_answer_bytes: 1_000, ..rules() }).await;
    let base = base(&app.sell(&json!({})).await);
    let shown = app.pay(Method::POST, &format!("{base}/x")).await;
    let told = Request::post(format!("{base}/x")).header("authorization", &shown);
    let told = app.send(told.body(Body::from(vec![b'x'; 1_001])).unwrap()).await;
    assert_eq!((told.status, told.error().as_str(), app.upstream.hits()), (413, "body_too_large", 0));
    let pieces = futures_util::stream::iter((0..3).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 500])));
    let untold = Request::post(format!("{base}/x")).header("authorization", &shown);
    let untold = app.send(untold.body(Body::from_stream(pieces)).unwrap()).await;
    assert_eq!((untold.status, untold.error().as_str()), (413, "body_too_large"));
    let large = app.buy(Method::GET, &format!("{base}/large")).await;
    assert_eq!((large.status, large.error().as_str()), (502, "upstream_error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_sending_is_told_so() {
    let app = TestApp::new().await;
    let path = format!("{}/x", base(&app.sell(&json!({})).await));
    let shown = app.pay(Method::POST, &path).await;
    let once = futures_util::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"x")) });
    let endless = once.chain(futures_util::stream::pending());
    let request =
        Request::post(&path).header("authorization", &shown).body(Body::from_stream(endless)).unwrap();
    let answer = app.send(request).await;
    assert_eq!((answer.status, answer.error().as_str()), (408, "request_timeout"));
}
