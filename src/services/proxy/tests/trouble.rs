//! Services that are down, slow, break off or lie: 502 or 504, and nothing is lost to whoever paid.

use std::future::IntoFuture;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures_util::StreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::test_app::{TestApp, base, rules};
use crate::services::proxy::Rules;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_service_does_wrong_is_502_or_504_and_can_be_tried_again() {
    let app = TestApp::new().await;
    let base = app.sell_lies(&json!({ "timeout": 1 })).await;
    for (path, status, code) in [
        ("/reset", 502, "upstream_error"),
        ("/garbage", 502, "upstream_error"),
        ("/short", 502, "upstream_error"),
        ("/cut-chunks", 502, "upstream_error"),
        ("/bad-chunks", 502, "upstream_error"),
        ("/two-lengths", 502, "upstream_error"),
        ("/switch", 502, "upstream_error"),
        ("/many-headers", 502, "upstream_error"),
        ("/huge", 502, "upstream_error"),
        ("/hang", 504, "upstream_timeout"),
        ("/hang-in-head", 504, "upstream_timeout"),
        ("/hang-in-body", 504, "upstream_timeout"),
    ] {
        let request = Request::get(format!("{base}{path}")).body(Body::empty()).unwrap();
        let asked = app.send(request).await;
        for shown in [app.settle(&asked), app.settle_once(&asked)] {
            for _ in 0..2 {
                let began = Instant::now();
                let answer = app.show(Method::GET, &format!("{base}{path}"), &shown).await;
                assert_eq!((answer.status, answer.error().as_str()), (status, code), "{path} {shown}");
                assert!(began.elapsed() < Duration::from_secs(4), "{path}");
                assert!(!answer.text.contains("127.0.0.1"), "{}", answer.text);
                assert_eq!(answer.json()["instance"], format!("{base}{path}"));
            }
        }
    }
    let honest = app.buy(Method::GET, &format!("{base}/fine")).await;
    assert_eq!((honest.status, honest.text.as_str()), (200, "ok"));
    let long = app.buy(Method::GET, &format!("{base}/long")).await;
    assert_eq!((long.status, long.text.as_str()), (200, "hello"), "and not a byte more than was said");
}

/// Nobody can pay now; whoever has paid gets what they paid for.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_nothing_new_is_sold() {
    let app = TestApp::new().await;
    let base = base(&app.sell(&json!({})).await);
    let shown = app.pay(Method::GET, &format!("{base}/x")).await;
    app.seller.node.running.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(150)).await;
    let answer = app.show(Method::GET, &format!("{base}/y"), "").await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "node_unavailable"));
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(app.show(Method::GET, &format!("{base}/x"), &shown).await.text, "GET /x");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_till_closed_nothing_is_sold_and_what_is_free_passes() {
    let app = TestApp::open(rules(), 0, false).await;
    let id = app.sell(&json!({})).await;
    let free = json!({ "endpointId": "f", "path": "/free", "basePriceSats": 0 });
    assert_eq!(app.post(&format!("/api/proxy/{id}/manifest/endpoints"), &free).await.status, 201);
    let answer = app.show(Method::GET, &format!("{}/x", base(&id)), "").await;
    assert_eq!((answer.status, answer.error().as_str()), (403, "l402_not_enabled"));
    assert_eq!(app.show(Method::GET, &format!("{}/free", base(&id)), "").await.text, "GET /free");
    assert_eq!(app.upstream.hits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_for_one_answer_is_good_until_there_was_one() {
    let app = TestApp::new().await;
    let base = base(&app.sell(&json!({})).await);
    let ask = async |path: &str| {
        let request = Request::get(format!("{base}{path}")).body(Body::empty()).unwrap();
        app.send(request).await
    };
    let shown = app.settle_once(&ask("/broken").await);
    for _ in 0..2 {
        let answer = app.show(Method::GET, &format!("{base}/broken"), &shown).await;
        assert_eq!((answer.status, answer.text.as_str()), (500, "it failed"), "the upstream's own failure");
    }
    let (token, once) = (app.settle(&ask("/toll").await), app.settle_once(&ask("/toll").await));
    for shown in [&token, &once, &once] {
        let answer = app.show(Method::GET, &format!("{base}/toll"), shown).await;
        assert_eq!(
            (answer.status, answer.error().as_str()),
            (502, "upstream_error"),
            "and no 402 of another's"
        );
        assert!(!answer.headers.contains_key("www-authenticate"));
    }
    // It is the owner that the service doesn't know.
    let shown = app.settle_once(&ask("/greedy").await);
    for _ in 0..2 {
        assert_eq!(app.show(Method::GET, &format!("{base}/greedy"), &shown).await.status, 401);
    }
    let shown = app.settle_once(&ask("/fine").await);
    let answer = app.show(Method::GET, &format!("{base}/fine"), &shown).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "GET /fine"));
    assert!(answer.headers.contains_key("payment-receipt"));
    assert_eq!(app.show(Method::GET, &format!("{base}/fine"), &shown).await.status, 402, "it is used");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_late_is_seen_to_and_can_be_had_again() {
    let app = TestApp::new().await;
    let path = format!("{}/short-large", app.sell_lies(&json!({})).await);
    let request = Request::get(&path).body(Body::empty()).unwrap();
    let shown = app.settle_once(&app.send(request).await);
    for _ in 0..2 {
        let answer = app.show(Method::GET, &path, &shown).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "BROKEN OFF"));
        // It is given back beside the answer.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_or_slow_is_given_up_in_time() {
    let app = TestApp::with(Rules { max_timeout: Duration::from_secs(1), ..rules() }).await;
    let slow = base(&app.sell(&json!({ "timeoutSeconds": 1 })).await);
    let began = Instant::now();
    let answer = app.buy(Method::GET, &format!("{slow}/slow")).await;
    assert_eq!((answer.status, answer.error().as_str()), (504, "upstream_timeout"));
    assert!(began.elapsed() < Duration::from_secs(3));
    // A port that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let down = base(&app.sell(&json!({ "targetBaseUrl": target, "timeout": 1 })).await);
    let answer = app.buy(Method::GET, &format!("{down}/x")).await;
    assert_eq!((answer.status, answer.error().as_str()), (502, "upstream_error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_before_the_answer_has_lost_nothing() {
    let app = TestApp::new().await;
    let path = format!("{}/slow", base(&app.sell(&json!({})).await));
    let request = Request::get(&path).body(Body::empty()).unwrap();
    let shown = app.settle_once(&app.send(request).await);
    for _ in 0..2 {
        let hits = app.upstream.hits();
        let asking = tokio::time::timeout(Duration::from_millis(300), app.show(Method::GET, &path, &shown));
        assert!(asking.await.is_err(), "it was let in, and hung up");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(app.upstream.hits(), hits + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_till_can_t_sell_now_says_which_path_was_asked() {
    let app = TestApp::new().await;
    let path = format!("{}/fine", base(&app.sell(&json!({})).await));
    app.seller.node.running.store(false, Ordering::SeqCst);
    let answer = app.show(Method::GET, &path, "").await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "node_unavailable"));
    assert_eq!(answer.json()["instance"], path);
}

/// A length beside chunks must not make two answers of one, on a connection that others may share.
#[tokio::test(flavor = "multi_thread")]
async fn one_answer_stays_one_however_it_was_framed() {
    let app = TestApp::new().await;
    let path = format!("{}/both-framings", app.sell_lies(&json!({})).await);
    let shown = app.pay(Method::GET, &path).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app.router.clone()).into_future());
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: {shown}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(body.starts_with("hello") && body.ends_with("evil"), "{body}");
    assert!(head.to_ascii_lowercase().contains(&format!("content-length: {}\r\n", body.len())), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_leads_to_itself_ends_soon() {
    let app = TestApp::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let id = app.sell(&json!({ "targetBaseUrl": format!("http://{address}") })).await;
    let round = json!({ "endpointId": "all", "path": "/**", "httpMethod": "GET", "basePriceSats": 0 });
    app.post(&format!("/api/proxy/{id}/manifest/endpoints"), &round).await.ok();
    app.put(
        &format!("/api/proxy/{id}"),
        &json!({ "targetBaseUrl": format!("http://{address}/l402/proxy/{id}") }),
    )
    .await
    .ok();
    tokio::spawn(axum::serve(listener, app.router.clone()).into_future());
    let answer = app.manage(Method::GET, "", &format!("{}/x", base(&id)), None).await;
    assert_eq!((answer.status, answer.error().as_str()), (508, "loop_detected"));
}

/// Whoever paid for one answer can't break it off near its end and have it again.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_its_reader_ends_is_had() {
    let app = TestApp::new().await;
    let lies = app.sell_lies(&json!({ "timeout": 2 })).await;
    let honest = base(&app.sell(&json!({})).await);
    let ask = async |path: &str| app.send(Request::get(path).body(Body::empty()).unwrap()).await;
    let used = async |path: &str, shown: &str| {
        tokio::time::sleep(Duration::from_millis(200)).await;
        app.show(Method::GET, path, shown).await.status == 402
    };
    // By a body that can't go on, while the service answers already.
    let path = format!("{lies}/hang-early");
    let shown = app.settle_once(&ask(&path).await);
    let pieces = futures_util::stream::unfold(0, |sent| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let piece = if sent == 0 { Ok(Bytes::from_static(b"x")) } else { Err(std::io::Error::other("gone")) };
        Some((piece, sent + 1))
    });
    let body = Body::from_stream(pieces);
    let request = Request::post(&path).header("authorization", &shown).body(body).unwrap();
    assert_eq!(app.send(request).await.text, "BROKEN OFF");
    assert!(used(&path, &shown).await);
    // By hanging up.
    let path = format!("{honest}/large");
    let begin = async |shown: &str| {
        let request = Request::get(&path).header("authorization", shown).body(Body::empty()).unwrap();
        let mut body = app.raw(request).await.into_body().into_data_stream();
        body.next().await.unwrap().unwrap();
        body
    };
    let shown = app.settle_once(&ask(&path).await);
    drop(begin(&shown).await);
    assert!(used(&path, &shown).await);
    // But not by our crash, nor by our shutdown.
    let shown = app.settle_once(&ask(&path).await);
    std::mem::forget(begin(&shown).await);
    app.seller.l402.give_back_unanswered();
    app.proxies.close();
    drop(begin(&shown).await);
    drop(begin(&shown).await);
}
