//! What the world hears of a gift: webhook and live page; and what the operator sees.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::test_app::TestApp;
use crate::admin::{GiftAdmin, PageRequest};

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_is_queued_with_the_payout_s_success_and_never_before() {
    let app = TestApp::new();
    let url = "https://hook.example/a";
    let id = app.funded(json!({"amount": 1000, "notify": url, "notifySecret": "mine"})).await;
    let redeem = async || {
        app.post(&format!("/redeem/{id}"), &json!({"invoice": app.invoice(1000)})).await.ok();
    };
    redeem().await;
    app.finish(false);
    redeem().await;
    assert!(app.outbox().is_empty());
    app.finish(true);
    let expected = json!({"id": id, "orderId": id, "amount": 1000, "spent": true});
    assert_eq!(app.outbox(), [(url.to_owned(), "mine".to_owned(), expected)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_s_body_has_the_documented_order() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000, "notify": "https://hook.example/a"})).await;
    app.post(&format!("/redeem/{id}"), &json!({"invoice": app.invoice(1000)})).await.ok();
    app.finish(true);
    let expected = format!(r#"{{"id":"{id}","orderId":"{id}","amount":1000,"spent":true}}"#);
    assert_eq!(app.sent(), [("https://hook.example/a".to_owned(), app.outbox()[0].1.clone(), expected)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_without_a_secret_is_told_one_once() {
    let app = TestApp::new();
    let redeem = async |gift: &Value| {
        let id = gift["orderId"].as_str().unwrap();
        app.post(&format!("/redeem/{id}"), &json!({"invoice": app.invoice(1000)})).await.ok();
        app.finish(true);
    };
    let body = json!({"amount": 1000, "notify": "https://hook.example/a"});
    let (one, other) = (app.create(body.clone()).await, app.create(body).await);
    assert!(one["notifySecret"].as_str().unwrap().starts_with("whsec_"));
    assert_ne!(one["notifySecret"], other["notifySecret"]);
    for created in [&one, &other] {
        app.fund(created);
        redeem(created).await;
    }
    let used = |at: usize| app.outbox()[at].1.clone();
    assert_eq!(
        (json!(used(0)), json!(used(1))),
        (one["notifySecret"].clone(), other["notifySecret"].clone())
    );
    let (id, key) = (one["orderId"].as_str().unwrap(), one["manageKey"].as_str().unwrap());
    for path in [format!("/gift/{id}"), format!("/gift/{id}/manage?key={key}")] {
        let shown = app.get(&path).await;
        assert!(!shown.text.contains("notifySecret") && !shown.text.contains(&used(0)), "{}", shown.text);
    }
    // Many gifts of one order have one.
    let many = app.create(json!({"amount": 1000, "quantity": 2, "notify": "https://hook.example/b"})).await;
    app.fund(&many);
    for gift in many["gifts"].as_array().unwrap() {
        redeem(gift).await;
    }
    assert_eq!(
        (json!(used(2)), json!(used(3))),
        (many["notifySecret"].clone(), many["notifySecret"].clone())
    );
    // Without a webhook there is nothing to sign.
    let quiet = app.create(json!({"amount": 1000, "notifySecret": "mine"})).await;
    assert!(quiet.get("notifySecret").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wallet_makes_and_what_is_settled_inside_is_told_as_well() {
    let app = TestApp::new();
    let query = "amount=1000000&notify=https%3A%2F%2Fhook.example%2Fa";
    let made = app.get(&format!("/lnurl?{query}")).await;
    assert!(!made.text.contains("whsec_"));
    let made = made.ok();
    app.fund(&json!({"lightningInvoice": {"payreq": made["pr"]}}));
    let id = made["successAction"]["url"].as_str().unwrap().rsplit('/').next().unwrap();
    let other = app.create(json!({"amount": 1000})).await;
    let body = json!({"invoice": other["lightningInvoice"]["payreq"]});
    app.post(&format!("/redeem/{id}"), &body).await.ok();
    let sent = app.outbox();
    assert_eq!((sent.len(), &sent[0].2["orderId"]), (1, &json!(id)));
    assert!(sent[0].1.starts_with("whsec_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_follows_its_gift() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 1000, "verifyCode": 1234})).await;
    let id = created["orderId"].as_str().unwrap();
    let open = async |query: &str| {
        let request = Request::get(format!("/live/gift/{id}{query}")).body(Body::empty()).unwrap();
        app.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream()
    };
    let (mut page, mut locked) = (open("?verifyCode=1234").await, open("").await);
    async fn next(stream: &mut axum::body::BodyDataStream) -> Value {
        let chunk =
            tokio::time::timeout(Duration::from_secs(5), stream.next()).await.unwrap().unwrap().unwrap();
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        let data = text.lines().find_map(|line| line.strip_prefix("data:")).unwrap();
        serde_json::from_str(data.trim()).unwrap()
    }
    assert_eq!(next(&mut page).await["state"], "unpaid");
    assert_eq!(next(&mut locked).await["chargeStatus"], "unpaid");
    app.fund(&created);
    assert_eq!(next(&mut page).await["state"], "open");
    let told = next(&mut locked).await;
    assert_eq!((&told["chargeStatus"], &told["verifyCodeRequired"]), (&json!("paid"), &json!(true)));
    let body = json!({"invoice": app.invoice(1000), "verifyCode": 1234});
    app.post(&format!("/redeem/{id}"), &body).await.ok();
    assert_eq!(next(&mut page).await["spent"], "pending");
    app.finish(true);
    assert_eq!(next(&mut page).await["spent"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_pages_through_gifts_and_sees_no_secret() {
    let app = TestApp::new();
    let mut ids = Vec::new();
    for number in 0..5 {
        let body = json!({"amount": 100 + number, "verifyCode": 1234, "notify": "https://a.example/hook"});
        ids.push(app.create(body).await["orderId"].as_str().unwrap().to_owned());
    }
    ids.reverse();
    let page = async |before: Option<&String>| {
        app.gifts.list(PageRequest { limit: 2, before: before.cloned() }).await.unwrap()
    };
    let first = page(None).await;
    assert_eq!(
        first[0],
        json!({
            "id": ids[0], "status": "unpaid", "amount_sat": 104, "created_at": super::test_app::NOON / 1_000, "expires_at": null,
        })
    );
    assert_eq!(first[1]["id"], ids[1].as_str());
    let second = page(Some(&ids[1])).await;
    assert_eq!((&second[0]["id"], &second[1]["id"]), (&json!(ids[2]), &json!(ids[3])));
    assert_eq!(page(Some(&ids[4])).await.len(), 0);
    assert!(app.gifts.list(PageRequest { limit: 2, before: Some("x".into()) }).await.is_err());

    let shown = app.gifts.show(ids[0].clone()).await.unwrap().unwrap();
    let text = shown.to_string();
    assert_eq!((&shown["amount_sat"], &shown["has_verify_code"]), (&json!(104), &json!(true)));
    assert!(!text.contains("1234\"") && !text.contains("a.example"), "{text}");
    assert!(app.gifts.show("nonsense".into()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_handler_answered_has_the_shape_of_its_path() {
    use axum::body::to_bytes;
    use axum::http::StatusCode;
    let text = async |path: &str, status: u16| {
        let response = crate::services::gifts::api::failure(path, StatusCode::from_u16(status).unwrap());
        let status = response.status().as_u16();
        (status, String::from_utf8(to_bytes(response.into_body(), 1_000).await.unwrap().to_vec()).unwrap())
    };
    let expected = r#"{"statusCode":413,"message":"BODY_TOO_LARGE"}"#;
    assert_eq!(text("/create", 413).await, (413, expected.to_owned()));
    let expected = r#"{"status":"ERROR","reason":"REQUEST_TIMEOUT"}"#;
    assert_eq!(text("/lnurl/00", 408).await, (200, expected.to_owned()));
}
