//! The page on which a shop's customer pays.

use std::time::Duration;

use regtest::InvoiceRequest;
use serde_json::{Value, json};

use crate::Stage;
use crate::common::{SOON, until};

/// An order, with `wishes` over the usual.
async fn order(stage: &Stage, wishes: Value) -> Value {
    let mut body = json!({"orderId": "A-1", "amount": 4.2, "currency": "EUR", "description": "Two <b>coffees</b>",
        "customerEmail": "customer@example.com"});
    body.as_object_mut().unwrap().extend(wishes.as_object().unwrap().clone());
    stage.scene.network.satchel.admin_post("/api/payments", body).await.unwrap()
}

fn page(order: &Value) -> String {
    format!("/checkout/{}", order["invoiceId"].as_str().unwrap())
}

/// Scans, pays, sees it arrive, and is taken back to the shop.
pub async fn a_customer_pays_and_goes_back(stage: &Stage) {
    let browser = &stage.browser;
    let shop = format!("{}/tip", stage.scene.api.url);
    let order = order(stage, json!({"successUrl": shop, "cancelUrl": shop})).await;
    let invoice = order["lightningInvoice"].as_str().unwrap();
    stage.open(&page(&order)).await;
    browser.reaches("unpaid").await;
    browser.mark().await;
    assert_eq!(browser.text("headline").await, "Two <b>coffees</b>");
    let price = browser.text("price").await;
    assert!(price.contains("4.20") && price.contains('€'), "{price}");
    let sats = browser.text("sats").await.replace(',', "");
    assert_eq!(sats, format!("{} sat", order["amountSats"]));
    let code = browser.qr("pay-qr").await;
    assert_eq!(code, format!("LIGHTNING:{}", invoice.to_uppercase()));
    let target = browser.attribute("#pay-open", "href").await.unwrap();
    assert_eq!(target, format!("lightning:{}", invoice.to_uppercase()));
    assert_eq!(browser.value("invoice-text").await, invoice);
    let left = browser.text("countdown").await;
    assert!(left.len() == 4 && left.starts_with(['0', '1']), "{left}");
    assert_eq!(browser.attribute("#cancel", "href").await.unwrap(), shop);
    assert!(!browser.is_shown("success").await);
    browser.look("checkout-unpaid").await;
    stage.pay(invoice).await;
    browser.reaches("paid").await;
    browser.was_never_reloaded().await;
    assert_eq!(browser.attribute("#success", "href").await.unwrap(), shop);
    assert!(browser.is_shown("going").await && !browser.is_shown("cancel").await);
    browser.look("checkout-paid").await;
    until("the shop's page", SOON, || async { browser.is_at("/tip").await.then_some(()) }).await;
    // Whoever comes back later stays.
    stage.open(&page(&order)).await;
    browser.reaches("paid").await;
    assert!(browser.is_shown("success").await && !browser.is_shown("going").await);
}

/// The price in sat stands alone, and there may be no shop to go back to.
pub async fn a_price_in_sat(stage: &Stage) {
    let browser = &stage.browser;
    let wishes =
        json!({"orderId": "A-2", "amount": 2100, "currency": "sats", "description": "Word ".repeat(60)});
    let order = order(stage, wishes).await;
    stage.open(&page(&order)).await;
    browser.reaches("unpaid").await;
    assert_eq!(browser.text("headline").await, "Your payment");
    assert!(browser.text("description").await.starts_with("Word Word"));
    assert_eq!(browser.text("price").await, "2,100 sat");
    assert!(!browser.is_shown("sats").await && !browser.is_shown("cancel").await);
    stage.pay(order["lightningInvoice"].as_str().unwrap()).await;
    browser.reaches("paid").await;
    assert!(browser.is_shown("no-way-back").await && !browser.is_shown("success").await);
    browser.look("checkout-paid-sat").await;
}

/// The time ends while the page is open; then there is nothing to pay on it.
pub async fn a_customer_is_too_late(stage: &Stage) {
    let browser = &stage.browser;
    let shop = format!("{}/tip", stage.scene.api.url);
    let order = order(stage, json!({"orderId": "A-3", "cancelUrl": shop})).await;
    stage.open(&page(&order)).await;
    browser.reaches("unpaid").await;
    browser.mark().await;
    until("the time is over", Duration::from_secs(90), || async {
        (browser.state().await == "expired").then_some(())
    })
    .await;
    browser.was_never_reloaded().await;
    assert!(!browser.is_shown("pay-qr").await);
    assert_eq!(browser.text("cancel").await, "Back to the shop");
    browser.look("checkout-expired").await;
}

/// The shop sends it back, and whoever opens the page again sees it.
pub async fn a_payment_goes_back(stage: &Stage) {
    let browser = &stage.browser;
    let order = order(stage, json!({"orderId": "A-4", "amount": 1200, "currency": "sats"})).await;
    stage.open(&page(&order)).await;
    stage.pay(order["lightningInvoice"].as_str().unwrap()).await;
    browser.reaches("paid").await;
    let to = stage.scene.wallet(1).invoice(InvoiceRequest::sat(1_200)).await.unwrap();
    stage.scene.note_asked(1, "A-4", &to.payment_hash);
    let refund = json!({"invoiceId": order["invoiceId"], "amount": 1200, "currency": "sats",
        "lightningInvoice": to.invoice});
    stage.scene.network.satchel.admin_post("/api/refunds", refund).await.unwrap();
    until("it is back", SOON, || async {
        stage.open(&page(&order)).await;
        (browser.state().await == "refunded").then_some(())
    })
    .await;
    browser.look("checkout-refunded").await;
}

pub async fn links_that_lead_nowhere(stage: &Stage) {
    let browser = &stage.browser;
    stage.open(&format!("/checkout/inv_{}", "0".repeat(24))).await;
    browser.reaches("not_found").await;
    browser.complains_only_of(404).await;
    stage.open("/checkout/inv_1").await;
    browser.reaches("not_found").await;
    browser.complains_only_of(404).await;
}
