//! What must not pass, over a real connection.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use super::test_app::{TestApp, base};

#[tokio::test(flavor = "multi_thread")]
async fn credentials_and_hop_by_hop_headers_never_reach_the_upstream() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({ "authHeader": "X-Upstream-Key", "authValue": "hunter2" })).await;
    let path = format!("{}/x", base(&id));
    let shown = app.pay(Method::GET, &path).await;
    let mut request = Request::get(&path).header("authorization", &shown);
    let secret = "do-not-tell";
    for name in [
        "proxy-authorization",
        "x-api-key",
        "cookie",
        "te",
        "trailer",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "x-hop",
        "x-forwarded-for",
        "x-forwarded-host",
        "forwarded",
        "x-real-ip",
        "x-http-method-override",
        "x-original-url",
        "x-rewrite-url",
        "macaroon",
        "grpc-metadata-macaroon",
        "x_api_key",
        "x-upstream-key",
    ] {
        request = request.header(name, secret);
    }
    let request = request
        .header("connection", "close, X-Hop")
        .header("host", "pay.example")
        .header("accept", "text/plain")
        .header("x-kept", "yes")
        .body(Body::empty())
        .unwrap();
    assert_eq!(app.send(request).await.status, 200);
    let sent = app.upstream.last().headers;
    let told = format!("{sent:?}");
    assert!(!told.contains(secret), "{told}");
    assert!(!told.contains(shown.split(' ').nth(1).unwrap()), "{told}");
    assert_eq!(sent["host"], format!("127.0.0.1:{}", app.upstream.port));
    assert_eq!(sent["x-upstream-key"], "hunter2");
    assert_eq!(sent["accept"], "text/plain");
    assert_eq!(sent["x-kept"], "yes");
    assert_eq!(sent["via"], "1.1 satchel");
    let names: Vec<_> = sent.keys().map(|name| name.as_str()).collect();
    for name in names {
        let known = ["host", "x-upstream-key", "accept", "x-kept", "via", "accept-encoding"];
        assert!(known.contains(&name), "{name} went upstream");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_s_answer_never_speaks_for_this_server() {
    let app = TestApp::new().await;
    let base = base(&app.sell(&json!({})).await);
    let answer = app.buy(Method::GET, &format!("{base}/greedy")).await;
    assert_eq!((answer.status, answer.text.as_str()), (401, "no"));
    for name in [
        "set-cookie",
        "www-authenticate",
        "access-control-allow-credentials",
        "strict-transport-security",
        "x-hop",
        "connection",
    ] {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.headers["x-kept"], "yes");
    assert!(answer.headers["content-security-policy"].to_str().unwrap().starts_with("sandbox"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_allowed_no_longer_is_not_asked() {
    use tower::ServiceExt;
    let app = TestApp::new().await;
    let path = format!("{}/x", base(&app.sell(&json!({})).await));
    let shown = app.pay(Method::GET, &path).await;
    let request = Request::get(&path).header("authorization", &shown).body(Body::empty()).unwrap();
    let answer = super::test_app::read(app.stricter().oneshot(request).await.unwrap()).await;
    assert_eq!((answer.status, answer.error().as_str()), (502, "upstream_error"));
    assert!(!answer.text.contains("127.0.0.1"), "{}", answer.text);
    assert_eq!(app.upstream.hits(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_or_too_large_headers_are_refused_for_free() {
    let app = TestApp::new().await;
    let path = format!("{}/x", base(&app.sell(&json!({})).await));
    let mut many = Request::get(&path);
    for number in 0..101 {
        many = many.header(format!("x-{number}"), "y");
    }
    let large = Request::get(&path).header("x-large", "y".repeat(70_000));
    for request in [many, large] {
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.error().as_str()), (431, "headers_too_large"));
    }
    let long = app.show(Method::GET, &format!("{path}?{}", "q".repeat(9_000)), "").await;
    assert_eq!((long.status, long.error().as_str()), (400, "invalid_query"));
}
