//! What agents offer: listed, found, sold, and taken back.

use axum::http::Method;
use serde_json::{Value, json};

use super::test_app::{CAPABILITIES, Identity, PUBLIC_URL, TestApp};

fn proxy_of(listing: &Value) -> String {
    listing["l402Endpoint"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_sold_by_a_proxy_whose_id_ends_the_endpoint() {
    let app = TestApp::new().await;
    let listing = app.offer(&json!({})).await;
    let id = proxy_of(&listing);
    assert_eq!(listing["l402Endpoint"], json!(format!("{PUBLIC_URL}/l402/proxy/{id}")));
    let proxy = app.get(&app.seller, &format!("/api/proxy/{id}")).await.made();
    assert_eq!((&proxy["targetBaseUrl"], &proxy["defaultPriceSats"]), (&json!(app.target), &json!(7)));
    assert_eq!(proxy["categories"], json!(["ai", "translation"]));
    assert_eq!(app.buy(&listing["l402Endpoint"]).await, "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_makes_a_new_listing_and_one_idempotency_key_makes_one() {
    let app = TestApp::new().await;
    let (first, second) = (app.offer(&json!({})).await, app.offer(&json!({})).await);
    assert_ne!(first["eventId"], second["eventId"]);
    assert_ne!(first["l402Endpoint"], second["l402Endpoint"]);
    let body = json!({
        "serviceId": "once", "categories": "ai", "content": "x", "priceSats": 1, "targetUrl": app.target,
    });
    let key = [("X-Idempotency-Key", "k")];
    let ask = async |body: &Value| app.ask(Method::POST, &app.seller, CAPABILITIES, Some(body), &key).await;
    let (one, again) = (ask(&body).await, ask(&body).await);
    assert_eq!((one.status, one.text.as_str()), (again.status, again.text.as_str()));
    assert_eq!(app.found("q=once").await.len(), 1);
    let mut other = body.clone();
    other["priceSats"] = json!(2);
    ask(&other).await.is_error(409, "idempotency_key_reuse", CAPABILITIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn unpublishing_the_proxy_removes_the_listing() {
    let app = TestApp::new().await;
    let kept = app.offer(&json!({ "serviceId": "kept" })).await;
    for end in ["unpublish", "delete", "withdraw"] {
        let listing = app.offer(&json!({})).await;
        let (id, event) = (proxy_of(&listing), listing["eventId"].as_str().unwrap());
        assert_eq!(app.found("category=ai").await, ["translate", "kept"]);
        let answer = match end {
            "unpublish" => app.post(&app.seller, &format!("/api/proxy/{id}/unpublish"), &json!({})).await,
            "delete" => app.ask(Method::DELETE, &app.seller, &format!("/api/proxy/{id}"), None, &[]).await,
            _ => {
                let path = format!("{CAPABILITIES}/{event}");
                app.ask(Method::DELETE, &app.seller, &path, None, &[]).await
            }
        };
        answer.made();
        assert_eq!(app.found("category=ai").await, ["kept"], "{end}");
        let endpoint = format!("/l402/proxy/{id}/work");
        assert_eq!(app.get("", &endpoint).await.status, 404, "{end}");
    }
    let again = format!("{CAPABILITIES}/{}", kept["eventId"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(app.ask(Method::DELETE, &app.seller, &again, None, &[]).await.made()["listed"], false);
    }
    assert_eq!(app.found("").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_proxy_is_not_found_and_a_new_price_is_told() {
    let app = TestApp::new().await;
    let listing = app.offer(&json!({})).await;
    let path = format!("/api/proxy/{}", proxy_of(&listing));
    let put = async |body: Value| {
        app.ask(Method::PUT, &app.seller, &path, Some(&body), &[]).await.made();
    };
    put(json!({ "isActive": false })).await;
    assert_eq!(app.found("").await, Vec::<String>::new());
    put(json!({ "isActive": true, "defaultPriceSats": 9 })).await;
    let found = app.get("", &format!("{CAPABILITIES}?q=German")).await.made();
    assert_eq!(found["items"][0]["priceSats"], 9);
    assert_eq!(found["items"][0]["eventId"], listing["eventId"], "clients know it by its first event");
    put(json!({ "description": "nothing else changes" })).await;
    assert_eq!(app.found("").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_is_by_words_category_and_hashtags() {
    let app = TestApp::new().await;
    for (name, categories, content, hashtags) in [
        ("german", json!(["AI", "translation"]), "Translates German, gründlich", json!(["#NLP", "fast"])),
        ("french", json!(["translation"]), "Translates French", json!(["fast"])),
        ("weather", json!(["data feeds"]), "Tomorrow's weather for AI models", json!([])),
    ] {
        let more = json!({
            "serviceId": name, "categories": categories, "content": content, "hashtags": hashtags,
            "targetUrl": null, "l402Endpoint": "https://elsewhere.example/x", "priceSats": 0,
        });
        app.offer(&more).await;
    }
    for (query, expected) in [
        ("", vec!["weather", "french", "german"]),
        ("limit=2", vec!["weather", "french"]),
        ("category=translation", vec!["french", "german"]),
        ("category=ai", vec!["german"]),
        ("category=Data%20Feeds", vec!["weather"]),
        ("category=data", vec![]),
        ("q=translates", vec!["french", "german"]),
        ("q=TRANS", vec!["french", "german"]),
        ("q=grundlich", vec!["german"]),
        ("q=ai", vec!["weather", "german"]),
        ("q=ai+weather", vec!["weather"]),
        ("q=ai+french", vec![]),
        ("q=%20", vec!["weather", "french", "german"]),
        ("q=%22%27%3B--", vec![]),
        ("q=%22+OR+tags:*", vec![]),
        ("hashtags=nlp", vec!["german"]),
        ("hashtags=%23NLP,fast", vec!["french", "german"]),
        ("hashtags=fast&category=ai&q=german", vec!["german"]),
        ("hashtags=slow", vec![]),
    ] {
        assert_eq!(app.found(query).await, expected, "{query}");
    }
    assert_eq!(app.get("", &format!("{CAPABILITIES}?category=translation&limit=1")).await.made()["total"], 2);
    for bad in ["limit=0", "limit=x", "limit=-1"] {
        let path = format!("{CAPABILITIES}?{bad}");
        app.get("", &path).await.is_error(400, "invalid_limit", &path);
    }
    let path = format!("{CAPABILITIES}?q={}", "x".repeat(201));
    app.get("", &path).await.is_error(400, "invalid_search", &path);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_proven_key_is_named() {
    let app = TestApp::new().await;
    let server = app.listings.publisher().pubkey().to_string();
    let ada = Identity::new(1);
    let shown = async || app.get("", CAPABILITIES).await.made()["items"][0]["pubkey"].clone();
    app.post(&app.seller, super::test_app::REGISTER, &json!({ "pubkey": ada.pubkey })).await.made();
    app.offer(&json!({})).await;
    assert_eq!(shown().await, json!(server));
    app.agent(&app.seller, &ada, "Ada").await;
    assert_eq!(shown().await, json!(ada.pubkey));
    let of_another = json!({
        "serviceId": "x", "categories": ["ai"], "content": "x", "priceSats": 1, "pubkey": ada.pubkey,
    });
    let answer = app.post(&app.buyer, CAPABILITIES, &of_another).await;
    answer.is_error(404, "agent_not_found", CAPABILITIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_ours_must_be_a_proxy_of_one_s_own_and_is_listed_once() {
    let app = TestApp::new().await;
    let made = json!({ "name": "mine", "targetBaseUrl": app.target });
    let id = app.post(&app.seller, "/api/proxy", &made).await.made()["proxyId"].clone();
    let endpoint = format!("{PUBLIC_URL}/l402/proxy/{}", id.as_str().unwrap());
    let body = json!({
        "serviceId": "mine", "categories": ["ai"], "content": "x", "priceSats": 10, "l402Endpoint": endpoint,
    });
    let answer = app.post(&app.buyer, CAPABILITIES, &body).await;
    answer.is_error(400, "invalid_endpoint", CAPABILITIES);
    app.post(&app.seller, CAPABILITIES, &body).await.made();
    app.post(&app.seller, CAPABILITIES, &body).await.is_error(409, "already_listed", CAPABILITIES);
    app.post(&app.seller, &format!("/api/proxy/{}/unpublish", id.as_str().unwrap()), &json!({})).await.made();
    assert_eq!(app.found("").await, Vec::<String>::new());
    let answer = app.post(&app.seller, CAPABILITIES, &body).await;
    answer.is_error(400, "invalid_endpoint", CAPABILITIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_listing_that_fails() {
    let app = TestApp::new().await;
    for number in 0..50 {
        let more = json!({ "serviceId": format!("s{number}"), "targetUrl": null });
        app.offer(&more).await;
    }
    let body = json!({
        "serviceId": "one more", "categories": ["ai"], "content": "x", "priceSats": 1, "targetUrl": app.target,
    });
    let answer = app.post(&app.seller, CAPABILITIES, &body).await;
    answer.is_error(409, "too_many_capabilities", CAPABILITIES);
    assert_eq!(app.get(&app.seller, "/api/proxy").await.made()["total"], 0);
}
