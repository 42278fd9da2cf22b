//! The sender's side.

use std::time::Duration;

use serde_json::{Value, json};

use super::test_app::{NOON, TestApp};

fn events(shown: &Value) -> Vec<String> {
    shown["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["event"].as_str().unwrap().to_owned())
        .collect()
}

async fn manage(app: &TestApp, created: &Value) -> Value {
    let (id, key) = (created["orderId"].as_str().unwrap(), created["manageKey"].as_str().unwrap());
    app.get(&format!("/gift/{id}/manage?key={key}")).await.ok()
}

async fn refund(app: &TestApp, created: &Value, invoice: &str) -> super::test_app::Answer {
    let body = json!({"key": created["manageKey"], "invoice": invoice});
    app.post(&format!("/gift/{}/refund", created["orderId"].as_str().unwrap()), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_an_unknown_gift_answer_alike() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 1000})).await;
    let id = created["orderId"].as_str().unwrap();
    let wrong = "0".repeat(64);
    let stranger = "03a1fb575647d7d79909785c2648e98397ec15e6d6d2562d";
    for path in [
        format!("/gift/{id}/manage"),
        format!("/gift/{id}/manage?key={wrong}"),
        format!("/gift/{id}/manage?key=x"),
        format!("/gift/{stranger}/manage?key={}", created["manageKey"].as_str().unwrap()),
        format!("/gift/nonsense/manage?key={wrong}"),
    ] {
        app.get(&path).await.is_error(404, "GIFT_NOT_FOUND");
    }
    for body in [json!({}), json!({"key": 5}), json!({"key": wrong, "invoice": "x"})] {
        app.post(&format!("/gift/{id}/refund"), &body).await.is_error(404, "GIFT_NOT_FOUND");
    }
    // Nothing in the file is the key.
    let key = created["manageKey"].as_str().unwrap();
    let bytes = std::fs::read(app.folder.path().join("satchel.db-wal")).unwrap_or_default();
    let raw: [u8; 32] = crate::core::ids::from_hex(key).unwrap();
    assert!(!bytes.windows(32).any(|window| window == raw));
    assert!(!bytes.windows(64).any(|window| window == key.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_sees_all_of_it_and_its_history() {
    let app = TestApp::new();
    let created = app
        .create(json!({
            "amount": 1000, "notify": "https://a.example/x", "verifyCode": 1234, "refundAddress": "Me@wallet.example",
        }))
        .await;
    let shown = manage(&app, &created).await;
    assert_eq!((&shown["state"], &shown["notify"]), (&json!("unpaid"), &json!("https://a.example/x")));
    assert_eq!(shown["refundAddress"], "me@wallet.example");
    assert_eq!(shown["verifyCode"], 1234);
    assert_eq!(events(&shown), ["created"]);
    assert!(shown.get("manageKey").is_none());

    app.clock.advance(Duration::from_secs(1));
    app.fund(&created);
    let id = created["orderId"].as_str().unwrap();
    let redeem = async |invoice: &str| {
        app.post(&format!("/redeem/{id}"), &json!({"invoice": invoice, "verifyCode": 1234})).await.ok()
    };
    app.clock.advance(Duration::from_secs(1));
    let first = redeem(&app.invoice(1000)).await;
    app.finish(false);
    app.clock.advance(Duration::from_secs(1));
    redeem(&app.invoice(1000)).await;
    app.finish(true);
    let shown = manage(&app, &created).await;
    assert_eq!(events(&shown), ["created", "paid", "claiming", "payout_failed", "claiming", "redeemed"]);
    assert_eq!(shown["history"][2]["withdrawalId"], first["withdrawalId"]);
    assert_eq!(shown["history"][2]["at"], json!({"_seconds": NOON / 1_000 + 2, "_nanoseconds": 0}));
    assert!(shown["history"][3]["detail"].is_string());
    assert_eq!(shown["state"], "redeemed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_tells_since_when_a_gift_is_locked() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 1000, "verifyCode": 1234})).await;
    app.fund(&created);
    app.clock.advance(Duration::from_secs(5));
    let id = created["orderId"].as_str().unwrap();
    for wrong in 5000..5010 {
        app.get(&format!("/gift/{id}?verifyCode={wrong}")).await.ok();
    }
    app.clock.advance(Duration::from_secs(60));
    for _ in 0..2 {
        let shown = manage(&app, &created).await;
        assert_eq!(events(&shown), ["created", "paid", "locked"]);
        assert_eq!(shown["history"][2]["at"], json!({"_seconds": NOON / 1_000 + 5, "_nanoseconds": 0}));
        app.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_goes_back_to_its_sender() {
    let app = TestApp::new();
    let created =
        app.create(json!({"amount": 1000, "verifyCode": 1234, "notify": "https://a.example/x"})).await;
    refund(&app, &created, &app.invoice(1000)).await.is_error(400, "GIFT_INVOICE_UNPAID");
    app.fund(&created);
    refund(&app, &created, "garbage").await.is_error(400, "BAD_INVOICE");
    refund(&app, &created, &app.invoice(1001)).await.is_error(400, "BAD_INVOICE_AMOUNT");
    let invoice = app.invoice(1000);
    // The sender needs no code.
    let begun = refund(&app, &created, &invoice).await.ok();
    assert_eq!(begun["withdrawalId"], begun["withdrawal_id"]);
    let id = created["orderId"].as_str().unwrap();
    let seen = app.get(&format!("/gift/{id}?verifyCode=1234")).await.ok();
    assert_eq!((&seen["spent"], &seen["state"]), (&json!("pending"), &json!("returning")));
    assert!(seen.get("withdrawalInfo").is_none(), "the sender's invoice is the sender's");
    let body = json!({"invoice": app.invoice(1000), "verifyCode": 1234});
    app.post(&format!("/redeem/{id}"), &body).await.is_error(400, "GIFT_REDEEM_PENDING");
    assert_eq!(refund(&app, &created, &invoice).await.ok(), begun);
    app.finish(true);
    app.post(&format!("/redeem/{id}"), &body).await.is_error(400, "GIFT_SPENT");
    refund(&app, &created, &app.invoice(1000)).await.is_error(400, "GIFT_SPENT");
    let shown = manage(&app, &created).await;
    assert_eq!(events(&shown), ["created", "paid", "returning", "returned"]);
    assert_eq!((&shown["state"], &shown["spent"]), (&json!("returned"), &json!(true)));
    assert!(app.outbox().is_empty(), "nobody redeemed it");
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_leaves_the_gift_to_its_recipient() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 1000})).await;
    app.fund(&created);
    refund(&app, &created, &app.invoice(1000)).await.ok();
    app.finish(false);
    let shown = manage(&app, &created).await;
    assert_eq!(events(&shown), ["created", "paid", "returning", "return_failed"]);
    let id = created["orderId"].as_str().unwrap();
    let seen = app.get(&format!("/gift/{id}")).await.ok();
    assert_eq!((&seen["spent"], seen.get("withdrawalInfo")), (&json!(false), None));
    app.post(&format!("/redeem/{id}"), &json!({"invoice": app.invoice(1000)})).await.ok();
    app.finish(true);
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_gift_can_be_taken_back() {
    let app = TestApp::new();
    let created = app.create(json!({"amount": 1000, "expiresAt": NOON / 1_000 + 60})).await;
    app.fund(&created);
    app.clock.advance(Duration::from_secs(61));
    crate::vouchers::upkeep::expire_due(&app.ledger, &app.vouchers).await.unwrap();
    assert_eq!(events(&manage(&app, &created).await), ["created", "paid", "expired"]);
    app.clock.advance(Duration::from_secs(1));
    refund(&app, &created, &app.invoice(1000)).await.ok();
    app.finish(true);
    assert_eq!(
        events(&manage(&app, &created).await),
        ["created", "paid", "expired", "returning", "returned"]
    );
    app.audit();
}
