//! Both documents' examples: keys, their order, their types, what is null.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::test_app::{NOON, OK, PUBLIC_URL, TestApp, keys};

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `wanted` appear in this order, others may stand between.
fn in_order(found: &[String], wanted: &[&str]) {
    let places: Vec<_> = wanted
        .iter()
        .map(|key| {
            found.iter().position(|other| other == key).unwrap_or_else(|| panic!("no {key} in {found:?}"))
        })
        .collect();
    assert!(places.is_sorted(), "{found:?} should have the order {wanted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn create_answers_as_the_newer_document() {
    let app = TestApp::new();
    let body = json!({
        "amount": 5000, "notify": "https://hook.example/a", "senderName": null, "senderMessage": "Hello world",
    });
    let answer = app.post("/create", &body).await;
    assert_eq!(answer.status, OK);
    assert!(!answer.text.contains('\n'));
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    let found = keys(&answer.text);
    let document = [
        "orderId",
        "chargeId",
        "status",
        "lightningInvoice",
        "amount",
        "lnurl",
        "senderName",
        "senderMessage",
    ];
    in_order(&found, &document);
    in_order(
        &found,
        &["senderMessage", "manageKey", "notifySecret", "order_id", "charge_id", "lightning_invoice"],
    );
    let json = answer.json();
    assert!(is_hex(json["orderId"].as_str().unwrap(), 48));
    assert_eq!(uuid::Uuid::parse_str(json["chargeId"].as_str().unwrap()).unwrap().get_version_num(), 4);
    assert_eq!(json["status"], "unpaid");
    assert_eq!(json["lightningInvoice"]["expires_at"], NOON / 1_000 + 3_600);
    assert!(json["lightningInvoice"]["payreq"].as_str().unwrap().starts_with("lnbcrt50u1"));
    assert!(answer.text.contains(r#""lightningInvoice":{"expires_at":"#));
    assert_eq!(json["amount"], 5000);
    assert_eq!(json["notify"], "https://hook.example/a");
    assert!(json["lnurl"].as_str().unwrap().starts_with("lnurl1"));
    assert!(json["senderName"].is_null());
    assert_eq!(json["senderMessage"], "Hello world");
    assert!(is_hex(json["manageKey"].as_str().unwrap(), 64));
    assert!(json.get("gifts").is_none() && json.get("verifyCode").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn create_answers_as_the_older_document() {
    let app = TestApp::new();
    let answer =
        app.post("/create", &json!({"amount": 5000, "notify": "https://your.webhook.example"})).await;
    in_order(&keys(&answer.text), &["order_id", "charge_id", "lightning_invoice"]);
    let json = answer.ok();
    assert_eq!(json["order_id"], json["orderId"]);
    assert_eq!(json["charge_id"], json["chargeId"]);
    assert_eq!(json["lightning_invoice"], json["lightningInvoice"]);
    assert_eq!(json["status"], "unpaid");
    assert!(json["lightning_invoice"]["expires_at"].is_i64());
    // Without words both are there, as null.
    assert!(json["senderName"].is_null() && json["senderMessage"].is_null());
    for id in [&json["charge_id"], &json["order_id"]] {
        let status = app.get(&format!("/status/{}", id.as_str().unwrap())).await;
        assert_eq!((status.status, status.text.as_str()), (OK, r#"{"status":"unpaid"}"#));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unspent_gift_is_as_documented() {
    let app = TestApp::new();
    app.clock.advance(std::time::Duration::from_millis(128));
    let created = app
        .create(json!({"amount": 1000, "senderMessage": "Hello world", "notify": "https://a.example"}))
        .await;
    app.fund(&created);
    let id = created["orderId"].as_str().unwrap();
    let answer = app.get(&format!("/gift/{id}")).await;
    let found = keys(&answer.text);
    in_order(
        &found,
        &[
            "amount",
            "id",
            "notify",
            "createdAt",
            "chargeStatus",
            "chargeInfo",
            "spent",
            "orderId",
            "lnurl",
            "senderName",
            "senderMessage",
        ],
    );
    let json = answer.ok();
    assert_eq!(json["amount"], 1000);
    assert_eq!(
        (&json["id"], &json["orderId"], &json["order_id"]),
        (&created["orderId"], &created["orderId"], &created["orderId"])
    );
    assert!(json["notify"].is_null(), "a recipient never sees it");
    assert_eq!(json["createdAt"], json!({"_seconds": NOON / 1_000, "_nanoseconds": 128_000_000}));
    assert_eq!(json["chargeStatus"], "paid");
    assert_eq!(
        json["chargeInfo"],
        json!({"chargeId": created["chargeId"], "chargeInvoice": created["lightningInvoice"]["payreq"]})
    );
    assert_eq!(json["spent"], false);
    assert_eq!(json["lnurl"], created["lnurl"]);
    assert!(json["senderName"].is_null());
    assert_eq!(json["senderMessage"], "Hello world");
    assert!(json.get("withdrawalInfo").is_none() && json.get("manageKey").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_gift_is_as_documented() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let invoice = app.invoice(1000);
    let redeemed = app.post(&format!("/redeem/{id}"), &json!({"invoice": invoice})).await;
    assert_eq!(keys(&redeemed.text), ["withdrawalId", "withdrawal_id"]);
    let redeemed = redeemed.ok();
    assert_eq!(redeemed["withdrawalId"], redeemed["withdrawal_id"]);
    uuid::Uuid::parse_str(redeemed["withdrawalId"].as_str().unwrap()).unwrap();
    app.finish(true);
    let answer = app.get(&format!("/gift/{id}")).await;
    in_order(&keys(&answer.text), &["spent", "senderMessage", "withdrawalInfo"]);
    let info = &answer.json()["withdrawalInfo"];
    let text = info.to_string();
    assert!(text.contains("withdrawalId"));
    assert_eq!(answer.json()["spent"], true);
    assert_eq!(info["withdrawalId"], redeemed["withdrawalId"]);
    assert_eq!(info["withdrawalInvoice"], invoice);
    assert_eq!(info["createdAt"], json!({"_seconds": NOON / 1_000, "_nanoseconds": 0}));
    assert_eq!(info["fee"], "0");
    assert!(info.get("error").is_none());
    let start = answer.text.find("\"withdrawalInfo\":{").unwrap() + "\"withdrawalInfo\":".len();
    let inner = keys(
        &answer.text
            [start..=start + answer.text[start..].find("}}").unwrap_or(answer.text.len() - start - 1)],
    );
    in_order(&inner, &["withdrawalId", "withdrawalInvoice", "createdAt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn redeem_status_answers_both_methods() {
    let app = TestApp::new();
    let id = app.funded(json!({"amount": 1000})).await;
    let invoice = app.invoice(1000);
    let redeemed = app.post(&format!("/redeem/{id}"), &json!({"invoice": invoice})).await.ok();
    let path = format!("/redeemStatus/{}", redeemed["withdrawalId"].as_str().unwrap());
    let expected = |status: &str| format!(r#"{{"reference":"{invoice}","status":"{status}"}}"#);
    assert_eq!(app.get(&path).await.text, expected("initial"));
    assert_eq!(app.post(&path, &json!({"orderId": id})).await.text, expected("initial"));
    app.finish(true);
    assert_eq!(app.get(&path).await.text, expected("confirmed"));
    app.get("/redeemStatus/ba8f8f99-8b03-4b22-9275-4bf2b8e3e7c2").await.is_error(404, "WITHDRAWAL_FAILED");
    app.get("/redeemStatus/nonsense").await.is_error(404, "WITHDRAWAL_FAILED");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_ids_are_not_found() {
    let app = TestApp::new();
    let stranger = "03a1fb575647d7d79909785c2648e98397ec15e6d6d2562d";
    app.get(&format!("/gift/{stranger}")).await.is_error(404, "GIFT_NOT_FOUND");
    app.get("/gift/nonsense").await.is_error(404, "GIFT_NOT_FOUND");
    app.get(&format!("/live/gift/{stranger}")).await.is_error(404, "GIFT_NOT_FOUND");
    for id in [stranger, "340c81e5-575a-4ff2-9cb6-d6cfe6e953ea", "nonsense"] {
        app.get(&format!("/status/{id}")).await.is_error(404, "NO_CHARGE_ID");
    }
    // The shape of ours, but not made by us.
    let created = app.create(json!({"amount": 100})).await;
    let forged: String = created["chargeId"].as_str().unwrap().replacen(|c: char| c != '-', "0", 1);
    if Some(forged.as_str()) != created["chargeId"].as_str() {
        app.get(&format!("/status/{forged}")).await.is_error(404, "NO_CHARGE_ID");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_isn_t_even_text_is_not_found() {
    let app = TestApp::new();
    for path in ["/gift/%ff", "/live/gift/%ff", "/view/%ff", "/gift/%ff/manage?key=x"] {
        app.get(path).await.is_error(404, "GIFT_NOT_FOUND");
    }
    for path in ["/redeem/%ff", "/gift/%ff/refund"] {
        app.post(path, &json!({"key": "x", "invoice": "x"})).await.is_error(404, "GIFT_NOT_FOUND");
    }
    app.get("/status/%ff").await.is_error(404, "NO_CHARGE_ID");
    app.get("/redeemStatus/%ff").await.is_error(404, "WITHDRAWAL_FAILED");
    app.post("/redeemStatus/%ff", &json!({})).await.is_error(404, "WITHDRAWAL_FAILED");
    app.get("/lnurl/%ff").await.is_lnurl_error("GIFT_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_is_refused_in_the_family_s_shape() {
    let app = TestApp::new();
    let refused = app.get("/create").await;
    refused.is_error(405, "METHOD_NOT_ALLOWED");
    assert_eq!(refused.headers["allow"], "POST");
    app.post("/gift/x", &json!({})).await.is_error(405, "METHOD_NOT_ALLOWED");
    for path in ["/lnurl", "/lnurl/x"] {
        app.post(path, &json!({})).await.is_lnurl_error("METHOD_NOT_ALLOWED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_not_found_in_the_family_s_shape() {
    let app = TestApp::new();
    for path in ["/nowhere", "/create/x", "/admin"] {
        let lost = app.get(path).await;
        lost.is_error(404, "NOT_FOUND");
        assert_eq!(lost.headers["content-type"], "application/json; charset=utf-8");
        assert_eq!(lost.headers["cache-control"], "no-store");
    }
    for path in ["/lnurl/", "/lnurl/x/y"] {
        app.get(path).await.is_lnurl_error("NOT_FOUND");
        app.post(path, &json!({})).await.is_lnurl_error("NOT_FOUND");
    }
    let browser = Request::get("/nowhere").header("accept", "text/html").body(Body::empty()).unwrap();
    let page = app.send(browser).await;
    assert_eq!(
        (page.status, &page.headers["content-type"]),
        (404, &"text/html; charset=utf-8".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn view_leads_to_the_recipient_s_page() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 100, "verifyCode": 1234})).await;
    let id = created["orderId"].as_str().unwrap();
    let answer = app.get(&format!("/view/{id}")).await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.headers["location"], format!("{PUBLIC_URL}/redeem/{id}"));
    assert_eq!(answer.headers["cache-control"], "no-store");
    app.get("/view/nonsense").await.is_error(404, "GIFT_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_open_to_any_page_and_options_says_what_is_allowed() {
    let app = TestApp::new();
    let id = "03a1fb575647d7d79909785c2648e98397ec15e6d6d2562d";
    let routes = [
        ("/create".to_owned(), "POST"),
        (format!("/status/{id}"), "GET,HEAD"),
        (format!("/gift/{id}"), "GET,HEAD"),
        (format!("/live/gift/{id}"), "GET,HEAD"),
        (format!("/redeem/{id}"), "POST"),
        (format!("/redeemStatus/{id}"), "GET,HEAD,POST"),
        (format!("/lnurl/{id}"), "GET,HEAD"),
        ("/lnurl".to_owned(), "GET,HEAD"),
        (format!("/view/{id}"), "GET,HEAD"),
        (format!("/gift/{id}/manage"), "GET,HEAD"),
        (format!("/gift/{id}/refund"), "POST"),
    ];
    for (path, methods) in routes {
        let answer = app.options(&path).await;
        assert_eq!(answer.status, OK, "{path}");
        assert_eq!(answer.headers["allow"], methods, "{path}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
        let asked = if methods == "POST" { app.post(&path, &json!({})).await } else { app.get(&path).await };
        assert_eq!(asked.headers["access-control-allow-origin"], "*", "{path}");
        let headers = "Origin, X-Requested-With, Content-Type, Accept";
        assert_eq!(asked.headers["access-control-allow-headers"], headers, "{path}");
    }
}
