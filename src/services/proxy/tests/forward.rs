//! What passes: methods, prices, headers, answers.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use serde_json::json;

use super::test_app::{TestApp, base, rules};
use crate::services::proxy::Rules;
use crate::services::proxy::price::METHODS;

#[tokio::test(flavor = "multi_thread")]
async fn all_seven_methods_are_sold_and_no_other() {
    let app = TestApp::new().await;
    let path = format!("{}/a/b?x=1&y=%2F", base(&app.sell(&json!({})).await));
    for method in METHODS {
        let before = app.upstream.hits();
        let shown = app.pay(method.clone(), &path).await;
        assert_eq!(app.upstream.hits(), before, "the upstream hears of nothing before it is paid for");
        let answer = app.show(method.clone(), &path, &shown).await;
        assert_eq!(answer.status, 200, "{method}");
        let last = app.upstream.last();
        assert_eq!((last.method.as_str(), last.target.as_str()), (method.as_str(), "/a/b?x=1&y=%2F"));
        let told = if method == Method::HEAD { String::new() } else { format!("{method} /a/b?x=1&y=%2F") };
        assert_eq!(answer.text, told);
    }
    let brew = app.show(Method::from_bytes(b"BREW").unwrap(), &path, "").await;
    assert_eq!((brew.status, brew.error().as_str()), (405, "method_not_allowed"));
    assert_eq!(brew.headers["allow"], "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_costs_what_its_endpoint_says() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({ "defaultPriceSats": 7 })).await;
    for (name, path, sats) in [("p", "/premium/*", 100), ("f", "/free", 0)] {
        let body = json!({ "endpointId": name, "path": path, "basePriceSats": sats });
        assert_eq!(app.post(&format!("/api/proxy/{id}/manifest/endpoints"), &body).await.status, 201);
    }
    let asked = async |path: &str| {
        let request = Request::get(format!("{}{path}", base(&id))).body(Body::empty()).unwrap();
        app.send(request).await
    };
    let price = async |path: &str| {
        let answer = asked(path).await;
        assert_eq!(answer.status, 402, "{path}");
        answer.json()["l402"]["amount_sats"].as_u64().unwrap()
    };
    assert_eq!(price("/other").await, 7);
    for path in ["/premium/x", "/premium/x/", "/PREMIUM/x", "/%70remium/x", "/premium/x?y=1"] {
        assert_eq!(price(path).await, 100, "{path}");
    }
    assert_eq!(asked("/free").await.text, "GET /free");
    app.put(&format!("/api/proxy/{id}"), &json!({ "defaultPriceSats": 8 })).await.ok();
    assert_eq!(price("/other").await, 8, "a change counts at once");
}

/// Web servers in front of this one take 4 KB of headers, if nobody tells them otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_payment_fits_into_the_headers_that_proxies_take() {
    /// Bytes that an invoice has more on a main network with three hints to its node, in both lines.
    const HINTS: usize = 600;
    let app = TestApp::new().await;
    let words = "Wörter für Menschen, a great many of them; ".repeat(23);
    let id = app.sell(&json!({ "name": "x".repeat(100), "description": words })).await;
    let body =
        json!({ "endpointId": "x", "path": "/**", "basePriceSats": 1_000_000, "summary": "w".repeat(1_000) });
    assert_eq!(app.post(&format!("/api/proxy/{id}/manifest/endpoints"), &body).await.status, 201);
    let base = base(&id);
    for length in [256, 257, 2_000] {
        let path = format!("{base}/{}", "a".repeat(length - base.len() - 1));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let asked = app.send(request).await;
        assert_eq!(asked.status, 402);
        let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
        let bytes: usize = asked.headers.iter().map(line).sum();
        assert!(bytes + HINTS < 4_000, "{length}: {bytes} {:?}", asked.headers);
        let shown = app.settle(&asked);
        assert!(shown.len() < 2_000, "{}", shown.len());
    }
    let manifest = app.get(&format!("{base}/.well-known/l402-manifest.json")).await.ok();
    assert_eq!(manifest["endpoints"][0]["summary"], "w".repeat(1_000), "there it stands whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_opens_its_own_path_only() {
    let app = TestApp::new().await;
    let path = base(&app.sell(&json!({})).await);
    let shown = app.pay(Method::GET, &format!("{path}/one")).await;
    for _ in 0..3 {
        assert_eq!(app.show(Method::GET, &format!("{path}/one?again"), &shown).await.status, 200);
    }
    assert_eq!(app.show(Method::GET, &format!("{path}/two"), &shown).await.status, 402);
    let other = base(&app.sell(&json!({})).await);
    assert_eq!(app.show(Method::GET, &format!("{other}/one"), &shown).await.status, 402);
    assert_eq!(app.upstream.hits(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_is_good_for_as_long_as_the_owner_says() {
    let app = TestApp::new().await;
    let id = app.sell(&json!({ "tokenValiditySeconds": 120 })).await;
    let path = format!("{}/x", base(&id));
    let request = Request::get(&path).body(Body::empty()).unwrap();
    let asked = app.send(request).await;
    assert_eq!(asked.json()["l402"]["expires_at"], "2027-01-15T08:01:00Z", "half of it to pay");
    let shown = app.settle(&asked);
    app.seller.ledger.clock.advance(Duration::from_secs(119));
    assert_eq!(app.show(Method::GET, &path, &shown).await.status, 200);
    app.seller.ledger.clock.advance(Duration::from_secs(1));
    assert_eq!(app.show(Method::GET, &path, &shown).await.status, 402);
    let as_all = app.put(&format!("/api/proxy/{id}"), &json!({ "tokenValiditySeconds": null })).await.ok();
    assert_eq!(as_all["tokenValiditySeconds"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_is_refused_for_free() {
    let app = TestApp::new().await;
    let id = app
        .sell(&json!({ "allowedMethods": ["GET"], "allowedPaths": ["/api/**"], "blockedPaths": ["/api/admin"] }))
        .await;
    for (method, path, status, code) in [
        (Method::POST, "/api/x", 405, "method_not_allowed"),
        (Method::GET, "/other", 403, "path_not_allowed"),
        (Method::GET, "/api/admin", 403, "path_not_allowed"),
        (Method::GET, "/api/admin/users", 403, "path_not_allowed"),
        (Method::GET, "/api/ADMIN/", 403, "path_not_allowed"),
    ] {
        let answer = app.show(method, &format!("{}{path}", base(&id)), "").await;
        assert_eq!((answer.status, answer.error().as_str()), (status, code), "{path}");
    }
    assert_eq!(app.buy(Method::GET, &format!("{}/api/x", base(&id))).await.status, 200);
    for path in ["", "/", "/x"] {
        let none = app.show(Method::GET, &format!("/l402/proxy/nothing-1{path}"), "").await;
        assert_eq!((none.status, none.error().as_str()), (404, "proxy_not_found"), "{path}");
    }
    app.put(&format!("/api/proxy/{id}"), &json!({ "isActive": false })).await.ok();
    assert_eq!(app.show(Method::GET, &format!("{}/api/x", base(&id)), "").await.status, 404);
    assert_eq!(app.upstream.hits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_free_is_so_in_moderation_and_what_is_paid_for_without() {
    let app = TestApp::giving(rules(), 2).await;
    let id = app.sell(&json!({})).await;
    let body = json!({ "endpointId": "f", "path": "/free", "basePriceSats": 0 });
    assert_eq!(app.post(&format!("/api/proxy/{id}/manifest/endpoints"), &body).await.status, 201);
    let path = base(&id);
    let shown = app.pay(Method::GET, &format!("{path}/x")).await;
    for status in [200, 200, 429] {
        assert_eq!(app.show(Method::GET, &format!("{path}/free"), "").await.status, status);
        assert_eq!(app.show(Method::GET, &format!("{path}/x"), &shown).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn turned_off_it_passes_nothing_on_and_says_so() {
    let app = TestApp::with(Rules { enabled: false, ..rules() }).await;
    let path = format!("{}/x", base(&app.sell(&json!({})).await));
    let answer = app.show(Method::GET, &path, "").await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "proxies_not_enabled"));
    assert!(!answer.headers.contains_key("retry-after"), "soon it is the same");
    assert!(!answer.text.contains("try again"), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_documents_are_ours_to_look_at_and_nothing_else_is() {
    let app = TestApp::giving(rules(), 4).await;
    let id = app.sell(&json!({})).await;
    let base = base(&id);
    for path in ["/openapi.json", "/.well-known/l402-manifest.json"] {
        let path = format!("{base}{path}");
        for method in [Method::GET, Method::HEAD] {
            let answer = app.show(method, &path, "").await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.headers["x-ratelimit-limit"], "4");
        }
        let posted = app.buy(Method::POST, &path).await;
        assert_eq!(posted.text, format!("POST {}", path.strip_prefix(&base).unwrap()));
    }
    let refused = app.show(Method::GET, &format!("{base}/openapi.json"), "").await;
    assert_eq!((refused.status, refused.error().as_str()), (429, "rate_limit_exceeded"));
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    assert_eq!(app.show(Method::GET, &format!("{base}/openapi.json/x"), "").await.status, 402);
    app.put(&format!("/api/proxy/{id}"), &json!({ "isActive": false })).await.ok();
    for gone in [&id, "none-1"] {
        let answer = app.show(Method::GET, &format!("/l402/proxy/{gone}/openapi.json"), "").await;
        assert_eq!((answer.status, answer.error().as_str()), (404, "proxy_not_found"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_s_own_path_is_the_service_s_root() {
    let app = TestApp::new().await;
    let base = base(&app.sell(&json!({ "targetBaseUrl": format!("{}/v1", app.target()) })).await);
    assert_eq!(app.buy(Method::GET, &base).await.text, "GET /v1/");
    assert_eq!(app.buy(Method::GET, &format!("{base}/")).await.text, "GET /v1/");
    assert_eq!(app.buy(Method::GET, &format!("{base}/x/?q")).await.text, "GET /v1/x/?q");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_s_own_answers_are_handed_back() {
    let app = TestApp::new().await;
    let base = base(&app.sell(&json!({})).await);
    let gone = app.buy(Method::GET, &format!("{base}/gone")).await;
    assert_eq!((gone.status, gone.text.as_str()), (410, "gone"));
    let none = app.buy(Method::GET, &format!("{base}/none")).await;
    assert_eq!((none.status, none.text.as_str()), (204, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_handed_back_and_not_followed() {
    let app = TestApp::new().await;
    let base = base(&app.sell(&json!({})).await);
    let moved = app.buy(Method::GET, &format!("{base}/moved")).await;
    assert_eq!(moved.status, 307);
    assert_eq!(moved.headers["location"], format!("{base}/secret"));
    assert_eq!(app.upstream.hits(), 1, "nobody asked for the secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask_whether_it_may_ask() {
    let app = TestApp::new().await;
    let base = base(&app.sell(&json!({ "allowedMethods": ["GET", "POST"] })).await);
    let request = Request::options(format!("{base}/x"))
        .header("origin", "https://page.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-other")
        .body(Body::empty())
        .unwrap();
    let answer = app.send(request).await;
    assert_eq!((answer.status, app.upstream.hits()), (204, 0));
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.headers["access-control-allow-methods"], "GET,POST");
    assert_eq!(answer.headers["access-control-allow-headers"], "authorization,x-other");
}
