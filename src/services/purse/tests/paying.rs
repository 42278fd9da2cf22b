//! Invoices, receipts, and what is refused of them.

use serde_json::json;

use super::test_app::{TestApp, sat, wide};
use crate::admin::NewPurse;

#[tokio::test(flavor = "multi_thread")]
async fn invoice_is_paid_once_and_has_a_receipt() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    let invoice = app.invoice(sat(100));
    let paid = app.pay(&key, &invoice).await.ok()["paid"].clone();
    assert_eq!(
        (&paid["amountSat"], &paid["feeMsat"], &paid["status"]),
        (&json!(100), &json!(1_000), &json!("paid"))
    );
    assert!(paid["preimage"].is_string() && paid["url"].is_null(), "{paid}");
    let again = app.pay(&key, &invoice).await.ok();
    assert_eq!(again["paid"]["paymentId"], paid["paymentId"]);
    let other = app.purse(wide(501)).await;
    app.pay(&other, &invoice).await.refused(409, "INVOICE_USED");
    assert_eq!(app.has(), (899_000, 0));
    for _ in 0..4 {
        app.pay(&key, &app.invoice(sat(1))).await.ok();
    }
    let mut seen = Vec::new();
    let mut path = "/v1/purse?limit=2".to_owned();
    loop {
        let page = app.ask("GET", &key, &path, "", "").await.ok();
        seen.extend(page["receipts"].as_array().unwrap().iter().map(|receipt| receipt["paymentId"].clone()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        path = format!("/v1/purse?limit=2&cursor={next}");
    }
    assert_eq!((seen.len(), seen.last()), (5, Some(&paid["paymentId"])));
    app.ask("GET", &key, "/v1/purse?limit=0", "", "").await.refused(400, "INVALID_LIMIT");
    app.ask("GET", &key, "/v1/purse?cursor=x", "", "").await.refused(400, "INVALID_CURSOR");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_paid_is_refused_and_changes_nothing() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let key = app.purse(wide(500)).await;
    let pay =
        async |body: serde_json::Value| app.ask("POST", &key, "/v1/purse/pay", &body.to_string(), "").await;
    for invoice in [json!("lnbc1"), json!(1), json!(null)] {
        pay(json!({ "invoice": invoice })).await.refused(400, "INVALID_INVOICE");
    }
    let invoice = app.invoice(sat(100)).to_string();
    pay(json!({ "invoice": invoice, "amountSat": 99 })).await.refused(400, "AMOUNT_MISMATCH");
    pay(json!({ "invoice": invoice, "amountSat": "100" })).await.refused(400, "INVALID_AMOUNT");
    let closed = NewPurse { name: "closed".into(), pay_invoices: false, ..wide(500) };
    let closed = app.purse(closed).await;
    let body = json!({ "invoice": invoice }).to_string();
    app.ask("POST", &closed, "/v1/purse/pay", &body, "").await.refused(403, "INVOICES_NOT_ALLOWED");
    assert_eq!(app.has(), (1_000_000, 0));
    pay(json!({ "invoice": invoice, "amountSat": 100 })).await.ok();
}
