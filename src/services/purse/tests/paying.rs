//! Invoices, receipts, and what is refused of them.

use serde_json::json;

use super::house::{House, sat, wide};
use crate::admin::NewPurse;

#[tokio::test(flavor = "multi_thread")]
async fn invoice_is_paid_once_and_has_a_receipt() {
    let house = House::new().await;
    house.earn(sat(1_000));
    let key = house.purse(wide(500)).await;
    let invoice = house.invoice(sat(100));
    let paid = house.pay(&key, &invoice).await.ok()["paid"].clone();
    assert_eq!(
        (&paid["amountSat"], &paid["feeMsat"], &paid["status"]),
        (&json!(100), &json!(1_000), &json!("paid"))
    );
    assert!(paid["preimage"].is_string() && paid["url"].is_null(), "{paid}");
    let again = house.pay(&key, &invoice).await.ok();
    assert_eq!(again["paid"]["paymentId"], paid["paymentId"]);
    let other = house.purse(wide(501)).await;
    house.pay(&other, &invoice).await.refused(409, "INVOICE_USED");
    assert_eq!(house.has(), (899_000, 0));
    for _ in 0..4 {
        house.pay(&key, &house.invoice(sat(1))).await.ok();
    }
    let mut seen = Vec::new();
    let mut path = "/v1/purse?limit=2".to_owned();
    loop {
        let page = house.ask("GET", &key, &path, "", "").await.ok();
        seen.extend(page["receipts"].as_array().unwrap().iter().map(|receipt| receipt["paymentId"].clone()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        path = format!("/v1/purse?limit=2&cursor={next}");
    }
    assert_eq!((seen.len(), seen.last()), (5, Some(&paid["paymentId"])));
    house.ask("GET", &key, "/v1/purse?limit=0", "", "").await.refused(400, "INVALID_LIMIT");
    house.ask("GET", &key, "/v1/purse?cursor=x", "", "").await.refused(400, "INVALID_CURSOR");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_paid_is_refused_and_changes_nothing() {
    let house = House::new().await;
    house.earn(sat(1_000));
    let key = house.purse(wide(500)).await;
    let pay =
        async |body: serde_json::Value| house.ask("POST", &key, "/v1/purse/pay", &body.to_string(), "").await;
    for invoice in [json!("lnbc1"), json!(1), json!(null)] {
        pay(json!({ "invoice": invoice })).await.refused(400, "INVALID_INVOICE");
    }
    let invoice = house.invoice(sat(100)).to_string();
    pay(json!({ "invoice": invoice, "amountSat": 99 })).await.refused(400, "AMOUNT_MISMATCH");
    pay(json!({ "invoice": invoice, "amountSat": "100" })).await.refused(400, "INVALID_AMOUNT");
    let closed = NewPurse { name: "closed".into(), pay_invoices: false, ..wide(500) };
    let closed = house.purse(closed).await;
    let body = json!({ "invoice": invoice }).to_string();
    house.ask("POST", &closed, "/v1/purse/pay", &body, "").await.refused(403, "INVOICES_NOT_ALLOWED");
    assert_eq!(house.has(), (1_000_000, 0));
    pay(json!({ "invoice": invoice, "amountSat": 100 })).await.ok();
}
