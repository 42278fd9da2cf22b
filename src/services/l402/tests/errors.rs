//! Keys, limits, and what can't be done now.

use std::sync::atomic::Ordering;

use axum::http::{Method, Request};
use serde_json::json;

use super::test_app::{CHALLENGES, DEMO, PING, Setup, TestApp, VERIFY, quota};
use crate::http::keys::Scope;
use crate::http::limits::LimitSettings;

#[tokio::test(flavor = "multi_thread")]
async fn producers_need_a_key_of_the_scope() {
    let app = TestApp::new().await;
    let other = app.keys.create("x", &[Scope::Payments], None).await.unwrap().1;
    let body = json!({ "resource": "/a", "priceSats": 1, "preimage": "aa" });
    for path in [CHALLENGES, VERIFY] {
        app.post("", path, &body).await.is_error(401, "missing_api_key", path);
        app.post("satchel_00", path, &body).await.is_error(401, "invalid_api_key", path);
        let refused = app.post(other.expose(), path, &body).await;
        refused.is_error(403, "l402_not_enabled", path);
        assert_eq!(refused.json()["current_plan"], "none");
        assert_eq!(refused.json()["action_required"], "use an API key of scope l402");
        // A 401 is about the key, and asks for no payment.
        let answer = app.post("", path, &body).await;
        assert_eq!(answer.headers["www-authenticate"], "ApiKey");
    }
    app.get("", CHALLENGES).await.is_error(401, "missing_api_key", CHALLENGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_json_whatever_they_are_called() {
    let app = TestApp::new().await;
    let body = r#"{"resource":"/a","priceSats":1}"#;
    for kind in ["", "text/plain", "application/x-www-form-urlencoded"] {
        let mut request = Request::post(CHALLENGES).header("x-api-key", &app.shop);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        assert_eq!(app.send(request.body(body.into()).unwrap()).await.ok()["priceSats"], 1, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_filters_are_named() {
    let app = TestApp::new().await;
    for (query, slug) in [
        ("status=settled", "invalid_status_filter"),
        ("limit=0", "invalid_limit"),
        ("limit=201", "invalid_limit"),
        ("limit=x", "invalid_limit"),
        ("offset=-1", "invalid_offset"),
    ] {
        let path = format!("{CHALLENGES}?{query}");
        app.get(&app.shop, &path).await.is_error(400, slug, &path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_nothing_is_sold_and_what_was_bought_is_good() {
    let app = TestApp::new().await;
    let bought = app.buy(DEMO).await;
    app.node.running.store(false, Ordering::SeqCst);
    // What the node can receive is asked again once that is old.
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let body = json!({ "resource": "/a", "priceSats": 1 });
    app.post(&app.shop, CHALLENGES, &body).await.is_error(503, "node_unavailable", CHALLENGES);
    app.get("", PING).await.is_error(503, "node_unavailable", PING);
    app.show(DEMO, &bought.header()).await.ok();
    app.show(DEMO, &bought.payment()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_channel_can_receive_is_not_asked_for() {
    let app = TestApp::new().await;
    app.node.inbound_msat.store(50_000, Ordering::SeqCst);
    let body = json!({ "resource": "/a", "priceSats": 51 });
    app.post(&app.shop, CHALLENGES, &body).await.is_error(503, "no_inbound_capacity", CHALLENGES);
    app.challenge("/a", 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn turned_off_it_sells_nothing_more() {
    let mut setup = Setup::default();
    setup.rules.enabled = false;
    let app = TestApp::with(setup).await;
    let body = json!({ "resource": "/a", "priceSats": 1 });
    app.post(&app.shop, CHALLENGES, &body).await.is_error(403, "l402_not_enabled", CHALLENGES);
    app.get("", PING).await.is_error(403, "l402_not_enabled", PING);
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_have_a_quota_and_payers_who_paid_have_none() {
    let app = TestApp::with(Setup { limits: quota(2), ..Setup::default() }).await;
    let bought = app.buy(PING).await;
    for _ in 0..20 {
        app.show(PING, &bought.header()).await.ok();
    }
    app.challenge("/a", 1).await;
    app.challenge("/b", 1).await;
    let body = json!({ "resource": "/c", "priceSats": 1 });
    let refused = app.post(&app.shop, CHALLENGES, &body).await;
    refused.is_error(429, "rate_limit_exceeded", CHALLENGES);
    assert!(refused.headers.contains_key("x-ratelimit-limit"));
}

/// All clients of a shop come from its one address.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_s_challenges_are_counted_by_its_key_alone() {
    let app = TestApp::with(Setup { limits: quota(5), per_client: 1, ..Setup::default() }).await;
    for number in 0..5 {
        app.challenge(&format!("/{number}"), 1).await;
    }
    let refused = app.post(&app.shop, CHALLENGES, &json!({ "resource": "/x", "priceSats": 1 })).await;
    refused.is_error(429, "rate_limit_exceeded", CHALLENGES);
    assert_eq!(refused.headers["x-ratelimit-limit"], "5");
    let body = json!({ "resource": "/x", "priceSats": 1 });
    app.post(&app.rival, CHALLENGES, &body).await.ok();
    assert_eq!(app.get("", DEMO).await.status, 402, "and a stranger has what a client has");
    app.get("", PING).await.is_error(429, "rate_limit_exceeded", PING);
}

/// A shop's middleware asks on every request.
#[tokio::test(flavor = "multi_thread")]
async fn verifying_has_a_quota_of_its_own_which_is_the_key_s() {
    let app = TestApp::with(Setup { limits: quota(1), verify: 5, ..Setup::default() }).await;
    let made = app.challenge("/a", 1).await;
    let preimage = app.pay(made["invoice"].as_str().unwrap());
    let body = json!({ "macaroon": made["macaroon"], "preimage": preimage });
    for _ in 0..5 {
        assert_eq!(app.verdict(&body).await["valid"], true);
    }
    let refused = app.post(&app.shop, VERIFY, &body).await;
    refused.is_error(429, "rate_limit_exceeded", VERIFY);
    assert_eq!(refused.headers["x-ratelimit-limit"], "5");
    app.post(&app.rival, VERIFY, &body).await.ok();
    app.post("satchel_00", VERIFY, &body).await.is_error(401, "invalid_api_key", VERIFY);
    app.post("satchel_01", VERIFY, &body).await.is_error(429, "rate_limit_exceeded", VERIFY);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_keys_is_limited_like_who_has_none() {
    let limits = LimitSettings { read: 1, ..quota(1) };
    let app = TestApp::with(Setup { limits, ..Setup::default() }).await;
    let body = json!({ "resource": "/a", "priceSats": 1 });
    app.post("satchel_00", CHALLENGES, &body).await.is_error(401, "invalid_api_key", CHALLENGES);
    app.post("satchel_01", VERIFY, &body).await.is_error(429, "rate_limit_exceeded", VERIFY);
    app.get("satchel_02", CHALLENGES).await.is_error(401, "invalid_api_key", CHALLENGES);
    app.get("", CHALLENGES).await.is_error(429, "rate_limit_exceeded", CHALLENGES);
    // Whoever has a key is not held up by those who guess from the same place.
    app.get(&app.shop, CHALLENGES).await.ok();
    app.challenge("/a", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_and_paths_are_told_in_the_family_s_words() {
    let app = TestApp::new().await;
    app.ask(Method::DELETE, &app.shop, CHALLENGES, None, &[]).await.is_error(
        405,
        "method_not_allowed",
        CHALLENGES,
    );
    let lost = "/api/l402/nowhere";
    app.get("", lost).await.is_error(404, "not_found", lost);
    app.post("", PING, &json!({})).await.is_error(405, "method_not_allowed", PING);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_send_its_credential() {
    let app = TestApp::new().await;
    let headers = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
    for path in [PING, "/api/l402/status"] {
        let answer = app.ask(Method::OPTIONS, "", path, None, &headers).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap();
        assert!(allowed.contains("Authorization"), "{path}: {allowed}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
    }
}
