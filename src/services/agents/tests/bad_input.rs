//! What strangers may send.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use super::test_app::{ATTESTATIONS, CAPABILITIES, Identity, NOON, REGISTER, REQUESTS, TestApp, VERIFY};
use crate::core::time::Clock;
use crate::http::keys::Scope;
use crate::http::limits::LimitSettings;

fn with(base: &Value, name: &str, value: Value) -> Value {
    let mut body = base.clone();
    body[name] = value;
    body
}

fn without(base: &Value, name: &str) -> Value {
    let mut body = base.clone();
    body.as_object_mut().unwrap().remove(name);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_members_are_refused_by_name() {
    let app = TestApp::new().await;
    let ada = Identity::new(1);
    let registration = json!({ "pubkey": ada.pubkey, "name": "Ada", "description": "x" });
    let capability = json!({
        "serviceId": "s", "categories": ["ai"], "content": "x", "priceSats": 7, "targetUrl": app.target,
        "hashtags": [],
    });
    let listing = app.post(&app.seller, CAPABILITIES, &capability).await.made();
    let request = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 7, "parameters": "x" });
    let attestation = json!({
        "subjectPubkey": ada.pubkey, "agreementId": "x", "rating": 5, "content": "x", "attestationId": "x",
    });
    let proof = json!({
        "pubkey": ada.pubkey, "challenge": "ab".repeat(32), "signature": "ab".repeat(64),
    });
    let long = |length: usize| json!("x".repeat(length));
    let many = json!((0..21).map(|number| format!("c{number}")).collect::<Vec<_>>());
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        (REGISTER, without(&registration, "pubkey"), "invalid_pubkey", "pubkey"),
        (REGISTER, with(&registration, "pubkey", long(64)), "invalid_pubkey", "pubkey"),
        (REGISTER, with(&registration, "pubkey", json!("ab".repeat(31))), "invalid_pubkey", "pubkey"),
        (REGISTER, with(&registration, "pubkey", json!(7)), "invalid_pubkey", "pubkey"),
        (REGISTER, with(&registration, "name", long(201)), "invalid_field", "name"),
        (REGISTER, with(&registration, "name", json!("a\nb")), "invalid_field", "name"),
        (REGISTER, with(&registration, "name", json!("a\u{0}b")), "invalid_field", "name"),
        (REGISTER, with(&registration, "name", json!(["a"])), "invalid_field", "name"),
        (REGISTER, with(&registration, "description", long(1_001)), "invalid_field", "description"),
        (REGISTER, with(&registration, "description", json!("a\u{1b}[31m")), "invalid_field", "description"),
        (VERIFY, with(&proof, "signature", json!("ab".repeat(63))), "invalid_signature", "signature"),
        (VERIFY, with(&proof, "challenge", json!("zz".repeat(32))), "invalid_challenge", "challenge"),
        (VERIFY, without(&proof, "pubkey"), "invalid_pubkey", "pubkey"),
        (CAPABILITIES, without(&capability, "serviceId"), "invalid_field", "serviceId"),
        (CAPABILITIES, with(&capability, "serviceId", long(101)), "invalid_field", "serviceId"),
        (CAPABILITIES, with(&capability, "categories", json!([])), "invalid_field", "categories"),
        (CAPABILITIES, with(&capability, "categories", many.clone()), "invalid_field", "categories"),
        (CAPABILITIES, with(&capability, "categories", json!([7])), "invalid_field", "categories"),
        (CAPABILITIES, with(&capability, "hashtags", json!([long(51)])), "invalid_field", "hashtags"),
        (CAPABILITIES, with(&capability, "content", json!(" ")), "invalid_field", "content"),
        (CAPABILITIES, with(&capability, "content", long(2_001)), "invalid_field", "content"),
        (CAPABILITIES, with(&capability, "content", json!("a\u{7}")), "invalid_field", "content"),
        (CAPABILITIES, with(&capability, "priceSats", json!(0)), "invalid_field", "priceSats"),
        (CAPABILITIES, with(&capability, "priceSats", json!(-1)), "invalid_field", "priceSats"),
        (CAPABILITIES, with(&capability, "priceSats", json!(1.5)), "invalid_field", "priceSats"),
        (CAPABILITIES, with(&capability, "priceSats", json!("7")), "invalid_field", "priceSats"),
        (CAPABILITIES, with(&capability, "priceSats", json!(1_000_001)), "invalid_field", "priceSats"),
        (CAPABILITIES, without(&capability, "priceSats"), "invalid_field", "priceSats"),
        (
            CAPABILITIES,
            with(&capability, "l402Endpoint", json!("javascript:alert(1)")),
            "invalid_url",
            "l402Endpoint",
        ),
        (
            CAPABILITIES,
            with(&capability, "targetUrl", json!("http://10.0.0.1/")),
            "invalid_target",
            "targetUrl",
        ),
        (
            CAPABILITIES,
            with(&capability, "targetUrl", json!("file:///etc/passwd")),
            "invalid_target",
            "targetUrl",
        ),
        (
            CAPABILITIES,
            with(&capability, "targetUrl", json!("http://db.internal/")),
            "invalid_target",
            "targetUrl",
        ),
        (REQUESTS, without(&request, "capabilityEventId"), "invalid_event_id", "capabilityEventId"),
        (REQUESTS, with(&request, "capabilityEventId", json!("x")), "invalid_event_id", "capabilityEventId"),
        (REQUESTS, with(&request, "budgetSats", json!(-1)), "invalid_field", "budgetSats"),
        (REQUESTS, with(&request, "budgetSats", json!(u64::MAX)), "invalid_field", "budgetSats"),
        (REQUESTS, without(&request, "budgetSats"), "invalid_field", "budgetSats"),
        (REQUESTS, with(&request, "parameters", json!({ "a": 1 })), "invalid_field", "parameters"),
        (REQUESTS, with(&request, "parameters", long(4_097)), "invalid_field", "parameters"),
        (ATTESTATIONS, with(&attestation, "rating", json!(0)), "invalid_field", "rating"),
        (ATTESTATIONS, with(&attestation, "rating", json!(6)), "invalid_field", "rating"),
        (ATTESTATIONS, without(&attestation, "rating"), "invalid_field", "rating"),
        (ATTESTATIONS, without(&attestation, "agreementId"), "invalid_field", "agreementId"),
        (ATTESTATIONS, with(&attestation, "agreementId", json!("a\r\nb")), "invalid_field", "agreementId"),
        (ATTESTATIONS, with(&attestation, "subjectPubkey", json!("x")), "invalid_pubkey", "subjectPubkey"),
    ];
    for (path, body, slug, member) in cases {
        let answer = app.post(&app.seller, path, &body).await;
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text);
        answer.is_error(400, slug, path);
        assert!(answer.json()["detail"].as_str().unwrap().contains(member), "{path} {body}: {}", answer.text);
    }
    let unknown = with(&request, "capabilityEventId", json!("ab".repeat(32)));
    app.post(&app.buyer, REQUESTS, &unknown).await.is_error(404, "capability_not_found", REQUESTS);
    assert_eq!(app.get("", CAPABILITIES).await.made()["total"], 1, "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn html_is_kept_as_text_and_answered_as_json() {
    let app = TestApp::new().await;
    let (ada, markup) = (Identity::new(1), "<script>alert(\"1\")</script> & 'x' \u{202e}");
    let body =
        json!({ "pubkey": ada.pubkey, "name": markup, "description": format!("{markup}\n\t{markup}") });
    assert_eq!(app.post(&app.seller, REGISTER, &body).await.made()["name"], markup);
    let more = json!({
        "serviceId": markup, "content": format!("{markup}\r\n{markup}"), "categories": [markup],
        "hashtags": [markup], "targetUrl": null,
    });
    let listing = app.offer(&more).await;
    let found = app.get("", &format!("{CAPABILITIES}?q=script")).await.made();
    assert_eq!((&found["items"][0]["serviceId"], &found["total"]), (&json!(markup), &json!(1)));
    let request = json!({ "capabilityEventId": listing["eventId"], "budgetSats": 7, "parameters": markup });
    app.post(&app.buyer, REQUESTS, &request).await.made();
    assert_eq!(app.get(&app.seller, REQUESTS).await.made()["items"][0]["parameters"], markup);
    for kind in [38_400, 38_401] {
        for event in app.events(kind).await {
            let text = event.to_string();
            nostr::JsonUtil::from_json(&text).map(|event: nostr::Event| event.verify().unwrap()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_s_things_are_out_of_reach() {
    let app = TestApp::new().await;
    let listing = app.offer(&json!({})).await;
    let event = listing["eventId"].as_str().unwrap();
    let path = format!("{CAPABILITIES}/{event}");
    let answer = app.ask(Method::DELETE, &app.buyer, &path, None, &[]).await;
    answer.is_error(404, "capability_not_found", &path);
    let proxy = listing["l402Endpoint"].as_str().unwrap().rsplit('/').next().unwrap();
    let unpublish = format!("/api/proxy/{proxy}/unpublish");
    assert_eq!(app.post(&app.buyer, &unpublish, &json!({})).await.status, 404);
    assert_eq!(app.found("").await, ["translate"]);
    let request = json!({ "capabilityEventId": event, "budgetSats": 7 });
    app.post(&app.buyer, REQUESTS, &request).await.made();
    let third = app.keys.create("x", &[Scope::L402], Some("third")).await.unwrap().1;
    for role in ["provider", "requester"] {
        let list = app.get(third.expose(), &format!("{REQUESTS}?role={role}")).await.made();
        assert_eq!(list["total"], 0);
    }
    let wrong = app.keys.create("x", &[Scope::Payments], Some("seller")).await.unwrap().1;
    for path in [REGISTER, VERIFY, CAPABILITIES, REQUESTS, ATTESTATIONS] {
        app.post(wrong.expose(), path, &json!({})).await.is_error(403, "l402_not_enabled", path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_or_too_much_is_a_problem() {
    let app = TestApp::new().await;
    for body in ["{", "[]", "7", "\"x\"", "{\"a\":}"] {
        let request = Request::post(CAPABILITIES).header("x-api-key", &app.seller);
        let answer = app.send(request.body(Body::from(body)).unwrap()).await;
        answer.is_error(400, "invalid_json", CAPABILITIES);
    }
    let window = Duration::from_secs(60);
    let limits = LimitSettings { enabled: true, window, write: 2, read: 2, key_write: 2, key_read: 2 };
    let app = TestApp::limited(&[], Clock::manual(NOON), limits).await;
    for path in [CAPABILITIES, "/api/agents"] {
        let mut last = app.get("", path).await;
        for _ in 0..5 {
            last = app.get("", path).await;
        }
        last.is_error(429, "rate_limit_exceeded", path);
    }
    let mut last = app.post(&app.seller, REGISTER, &json!({})).await;
    for _ in 0..5 {
        last = app.post(&app.seller, REGISTER, &json!({})).await;
    }
    last.is_error(429, "rate_limit_exceeded", REGISTER);
    assert_eq!(last.json()["details"]["limit"], 2);
}
