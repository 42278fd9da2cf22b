//! Who has a copy of the database alone.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::test_app::{PUBLIC_URL, TestApp};
use crate::core::ids::VoucherId;
use crate::services::gifts::{OrderId, keyring, store};
use crate::storage::StoreError;
use crate::testing::{database_bytes, holds, stolen_copy};

#[tokio::test(flavor = "multi_thread")]
async fn copy_of_the_database_redeems_no_gift() {
    let app = TestApp::new();
    let body = json!({
        "amount": 1000, "verifyCode": "0042", "notify": "https://a.example/x", "notifySecret": "signs-what-is-told",
        "senderMessage": "a message in the clear",
    });
    let request = Request::post("/create")
        .header("content-type", "application/json")
        .header("idempotency-key", "5f0c8e1a-7b3d-4e92-a6c4-2d9f81b07e35");
    let created = app.send(request.body(Body::from(body.to_string())).unwrap()).await.ok();
    app.fund(&created);
    let id = created["orderId"].as_str().unwrap().to_owned();
    let leg = app.get(&format!("/lnurl/{id}?verifyCode=0042")).await.ok();
    // Invoices of a payout that failed and of one that arrived are kept, and the sender is told of the second.
    let invoices = [app.invoice(1000), app.invoice(1000)];
    for (invoice, arrives) in invoices.iter().zip([false, true]) {
        let redeem = json!({"invoice": invoice, "verifyCode": "0042"});
        app.post(&format!("/redeem/{id}"), &redeem).await.ok();
        app.finish(arrives);
    }
    assert!(!app.sent().is_empty(), "nobody is told");

    let path = app.ledger.store.path().to_owned();
    let bytes = database_bytes(&path);
    assert!(holds(&bytes, "a message in the clear"), "these are not the files");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let [failed, arrived] = invoices;
    let opening = [
        id.clone(),
        text(&created["manageKey"]),
        text(&created["lnurl"]),
        text(&leg["k1"]),
        failed,
        arrived,
        "signs-what-is-told".into(),
        "5f0c8e1a-7b3d-4e92-a6c4-2d9f81b07e35".into(),
        format!("{PUBLIC_URL}/redeem/"),
    ];
    for opens in opening {
        assert!(!holds(&bytes, &opens), "{opens}");
    }

    let (_folder, thief) = stolen_copy(&path);
    let order: OrderId = id.parse().unwrap();
    let found = thief.read_blocking(move |connection| store::by_order_id(connection, order));
    assert!(found.unwrap().is_none());
    assert!(thief.read_blocking(|connection| store::list(connection, VoucherId(i64::MAX), 10)).is_err());
    assert!(keyring(&thief).is_err(), "the LNURL keys are known");
    let code = thief.read_blocking(|connection| -> Result<String, StoreError> {
        Ok(connection.query_row("SELECT unseal(sealed_code, id) FROM gifts", [], |row| row.get(0))?)
    });
    assert!(code.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_codes_of_two_gifts_look_different() {
    let app = TestApp::new();
    for _ in 0..2 {
        app.create(json!({"amount": 1000, "verifyCode": "0042"})).await;
    }
    let different = app.ledger.store.read_blocking(|connection| -> Result<i64, StoreError> {
        let sql = "SELECT count(DISTINCT sealed_code) FROM gifts";
        Ok(connection.query_row(sql, [], |row| row.get(0))?)
    });
    assert_eq!(different.unwrap(), 2);
}
