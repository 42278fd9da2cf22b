//! What the world hears of a gift: webhook and live page; and what the operator sees.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::house::House;
use crate::admin::{GiftAdmin, PageRequest};

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_is_queued_with_the_payout_s_success_and_never_before() {
    let house = House::new();
    let url = "https://hook.example/a";
    let id = house.funded(json!({"amount": 1000, "notify": url, "notifySecret": "mine"})).await;
    let redeem = async || {
        house.post(&format!("/redeem/{id}"), &json!({"invoice": house.invoice(1000)})).await.ok();
    };
    redeem().await;
    house.finish(false);
    redeem().await;
    assert!(house.outbox().is_empty());
    house.finish(true);
    let expected = json!({"id": id, "orderId": id, "amount": 1000, "spent": true});
    assert_eq!(house.outbox(), [(url.to_owned(), "mine".to_owned(), expected)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_of_the_sender_s_the_server_signs() {
    let house = House::new();
    for _ in 0..2 {
        let id = house.funded(json!({"amount": 1000, "notify": "https://hook.example/a"})).await;
        house.post(&format!("/redeem/{id}"), &json!({"invoice": house.invoice(1000)})).await.ok();
        house.finish(true);
    }
    let sent = house.outbox();
    assert_eq!((sent.len(), sent[0].1.len()), (2, 64));
    assert_eq!(sent[0].1, sent[1].1);
    // Settled inside the house it is told as well.
    let id = house.funded(json!({"amount": 1000, "notify": "https://hook.example/b"})).await;
    let other = house.create(json!({"amount": 1000})).await;
    let body = json!({"invoice": other["lightningInvoice"]["payreq"]});
    house.post(&format!("/redeem/{id}"), &body).await.ok();
    assert_eq!(house.outbox()[2].2["orderId"], id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_follows_its_gift() {
    let house = House::new();
    let created = house.create(json!({"amount": 1000, "verifyCode": 1234})).await;
    let id = created["orderId"].as_str().unwrap();
    let open = async |query: &str| {
        let request = Request::get(format!("/live/gift/{id}{query}")).body(Body::empty()).unwrap();
        house.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream()
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
    house.fund(&created);
    assert_eq!(next(&mut page).await["state"], "open");
    let told = next(&mut locked).await;
    assert_eq!((&told["chargeStatus"], &told["verifyCodeRequired"]), (&json!("paid"), &json!(true)));
    let body = json!({"invoice": house.invoice(1000), "verifyCode": 1234});
    house.post(&format!("/redeem/{id}"), &body).await.ok();
    assert_eq!(next(&mut page).await["spent"], "pending");
    house.finish(true);
    assert_eq!(next(&mut page).await["spent"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_pages_through_gifts_and_sees_no_secret() {
    let house = House::new();
    let mut ids = Vec::new();
    for number in 0..5 {
        let body = json!({"amount": 100 + number, "verifyCode": 1234, "notify": "https://a.example/hook"});
        ids.push(house.create(body).await["orderId"].as_str().unwrap().to_owned());
    }
    ids.reverse();
    let page = async |before: Option<&String>| {
        house.gifts.list(PageRequest { limit: 2, before: before.cloned() }).await.unwrap()
    };
    let first = page(None).await;
    assert_eq!(
        first[0],
        json!({
            "id": ids[0], "status": "unpaid", "amount_sat": 104, "created_at": super::house::NOON / 1_000, "expires_at": null,
        })
    );
    assert_eq!(first[1]["id"], ids[1].as_str());
    let second = page(Some(&ids[1])).await;
    assert_eq!((&second[0]["id"], &second[1]["id"]), (&json!(ids[2]), &json!(ids[3])));
    assert_eq!(page(Some(&ids[4])).await.len(), 0);
    assert!(house.gifts.list(PageRequest { limit: 2, before: Some("x".into()) }).await.is_err());

    let shown = house.gifts.show(ids[0].clone()).await.unwrap().unwrap();
    let text = shown.to_string();
    assert_eq!((&shown["amount_sat"], &shown["has_verify_code"]), (&json!(104), &json!(true)));
    assert!(!text.contains("1234\"") && !text.contains("a.example"), "{text}");
    assert!(house.gifts.show("nonsense".into()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_handler_answered_has_the_shape_of_its_path() {
    use axum::body::to_bytes;
    use axum::http::StatusCode;
    let text = async |path: &str, status: u16| {
        let response = crate::gifts::api::failure(path, StatusCode::from_u16(status).unwrap());
        let status = response.status().as_u16();
        (status, String::from_utf8(to_bytes(response.into_body(), 1_000).await.unwrap().to_vec()).unwrap())
    };
    let expected = r#"{"statusCode":413,"message":"BODY_TOO_LARGE"}"#;
    assert_eq!(text("/create", 413).await, (413, expected.to_owned()));
    let expected = r#"{"status":"ERROR","reason":"REQUEST_TIMEOUT"}"#;
    assert_eq!(text("/lnurl/00", 408).await, (200, expected.to_owned()));
}
