//! The page that makes gifts.

use regtest::InvoiceRequest;
use serde_json::json;

use crate::Stage;

/// What the form can tell by itself and what only the API knows look the same.
pub async fn errors_stand_beside_their_field(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/").await;
    browser.reaches("form").await;
    browser.look("create-form").await;
    browser.fill("amount", "50").await;
    browser.click("create-button").await;
    browser.says("amount-note", "The smallest gift is 100 sat.").await;
    assert_eq!(browser.attribute("#amount", "aria-invalid").await.as_deref(), Some("true"));
    browser.look("create-error").await;
    browser.fill("amount", "1,000").await;
    assert_eq!(browser.text("amount-note").await, "");

    browser.click_on("#more-options summary").await;
    browser.fill("refund-address", "me@router.local").await;
    browser.click("create-button").await;
    browser.says("refund-address-note", "Enter a lightning address").await;
    assert!(browser.text("refund-address-note").await.contains("local network"));
    browser.complains_only_of(400).await;
    assert_eq!(browser.state().await, "form");
    browser.look("create-options").await;
}

/// Nobody mends a field, sends the form, and is then told of the next one.
pub async fn all_wrong_fields_are_marked_at_once(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/").await;
    browser.reaches("form").await;
    browser.click_on("#more-options summary").await;
    let wrong = [
        ("amount", "amount-note", "50", "The smallest gift is 100 sat."),
        ("verify-code", "verify-code-note", "12", "exactly 4 digits"),
        ("refund-address", "refund-address-note", "nobody", "Enter a lightning address"),
        ("quantity", "quantity-note", "0", "whole number from 1"),
    ];
    for (field, _, text, _) in wrong {
        browser.fill(field, text).await;
    }
    browser.click("create-button").await;
    for (field, note, _, says) in wrong {
        browser.says(note, says).await;
        let invalid = browser.attribute(&format!("#{field}"), "aria-invalid").await;
        assert_eq!(invalid.as_deref(), Some("true"), "{field}");
        let described = browser.attribute(&format!("#{field}"), "aria-describedby").await.unwrap();
        assert!(described.split(' ').any(|id| id == note), "{field}");
    }
    browser.look("create-all-errors").await;
    // Each goes when its own field is mended, and no other.
    browser.fill("verify-code", "1234").await;
    assert_eq!(browser.text("verify-code-note").await, "");
    assert!(!browser.text("quantity-note").await.is_empty());
    for (field, text) in [("amount", "1000"), ("refund-address", ""), ("quantity", "1")] {
        browser.fill(field, text).await;
    }
    browser.click("create-button").await;
    browser.reaches("invoice").await;
    // Nothing of it awaits whoever comes next.
    browser.empty_storage().await;
}

/// From the form to the links, without a reload; and the links survive one.
pub async fn a_gift_is_made_and_paid(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/").await;
    browser.reaches("form").await;
    browser.mark().await;
    browser.fill("amount", "2100").await;
    browser.fill("sender-name", "Alice").await;
    browser.fill("sender-message", "<b>Enjoy</b> & smile").await;
    browser.click("create-button").await;
    browser.reaches("invoice").await;
    assert_eq!(browser.text("invoice-amount").await, "2,100");
    let invoice = browser.value("invoice-text").await;
    assert_eq!(browser.qr("invoice-qr").await, invoice.to_uppercase());
    for link in ["#invoice-link", "#invoice-open"] {
        let target = browser.attribute(link, "href").await.unwrap();
        assert_eq!(target, format!("lightning:{}", invoice.to_uppercase()));
    }
    assert!(browser.text("invoice-countdown").await.contains(':'));
    browser.is_in_view("invoice-qr").await;
    browser.look("create-invoice").await;
    stage.pay(&invoice).await;
    browser.reaches("paid").await;
    browser.was_never_reloaded().await;
    browser.is_in_view("share-qr").await;

    let link = browser.value("share-link").await;
    let id = link.rsplit('/').next().unwrap().to_owned();
    assert_eq!(link, format!("{}/redeem/{id}", stage.scene.api.url));
    let lnurl = stage.scene.api.gift(&id).await["lnurl"].as_str().unwrap().to_uppercase();
    assert_eq!(browser.qr("share-qr").await, format!("{link}?lightning={lnurl}"));
    let manage = browser.value("manage-link").await;
    assert!(manage.starts_with(&format!("{}/manage/{id}#", stage.scene.api.url)), "{manage}");
    assert!(!browser.is_shown("share-code").await);
    browser.click_on("[data-copy=share-link]").await;
    browser.comes_to_say("[data-copy=share-link]", "Copied").await;
    browser.look("create-paid").await;

    browser.reload().await;
    browser.reaches("paid").await;
    assert_eq!(browser.value("manage-link").await, manage);
    stage.open("/").await;
    browser.reaches("form").await;
    let kept = format!("#gifts-list li[data-order-id='{id}']");
    assert_eq!(browser.attribute(&kept, "data-status").await.as_deref(), Some("open"));
    browser.look("create-yours").await;

    // The list opens it again, and learns what became of it.
    browser.click(&format!("open-{id}")).await;
    browser.reaches("paid").await;
    let asked = stage.scene.wallet(1).invoice(InvoiceRequest::sat(2100)).await.unwrap();
    stage.scene.note_asked(1, &id, &asked.payment_hash);
    stage.scene.api.redeem(&id, &asked.invoice).await.ok();
    browser.says("paid-summary", "redeemed").await;
    assert_eq!(browser.attribute(&kept, "data-status").await.as_deref(), Some("redeemed"));
}

/// The sender is told to tell the code; the recipient's page asks for it, and keeps it.
pub async fn a_gift_with_a_code_asks_for_it(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/").await;
    browser.reaches("form").await;
    browser.fill("amount", "1500").await;
    browser.fill("sender-name", "Bob").await;
    browser.click_on("#more-options summary").await;
    browser.fill("verify-code", "0471").await;
    browser.click("create-button").await;
    browser.reaches("invoice").await;
    browser.is_in_view("invoice-qr").await;
    stage.pay(&browser.value("invoice-text").await).await;
    browser.reaches("paid").await;
    browser.says("share-code", "0471").await;
    let link = browser.value("share-link").await;
    // The LNURL would open it without the code.
    assert_eq!(browser.qr("share-qr").await, link);
    browser.look("create-paid-code").await;

    browser.click("gift-link").await;
    browser.reaches("code").await;
    browser.mark().await;
    browser.look("redeem-code").await;
    browser.fill("code", "12").await;
    browser.click("code-button").await;
    browser.says("code-error", "exactly 4 digits").await;
    browser.fill("code", "1234").await;
    browser.click("code-button").await;
    browser.says("code-error", "That code is not right.").await;
    assert_eq!(browser.state().await, "code");
    browser.look("redeem-code-wrong").await;
    browser.fill("code", "0471").await;
    browser.click("code-button").await;
    browser.reaches("open").await;
    browser.says("headline", "A gift from Bob").await;
    browser.was_never_reloaded().await;
    browser.reload().await;
    browser.reaches("open").await;

    let id = link.rsplit('/').next().unwrap();
    let asked = stage.scene.wallet(1).invoice(InvoiceRequest::sat(1500)).await.unwrap();
    stage.scene.note_asked(1, id, &asked.payment_hash);
    browser.fill("invoice", &asked.invoice).await;
    browser.click("redeem-button").await;
    browser.reaches("done").await;
}

/// One invoice for all; each gift opens by itself.
pub async fn a_batch_has_a_link_for_each(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/").await;
    browser.reaches("form").await;
    browser.fill("amount", "1000").await;
    browser.click_on("#more-options summary").await;
    browser.fill("quantity", "3").await;
    browser.says("create-total", "3 gifts of 1,000 sat: an invoice of 3,000 sat").await;
    browser.click("create-button").await;
    browser.reaches("invoice").await;
    assert_eq!(browser.text("invoice-amount").await, "3,000");
    browser.says("invoice-for", "for 3 gifts of 1,000 sat").await;
    stage.pay(&browser.value("invoice-text").await).await;
    browser.reaches("paid").await;
    let links: Vec<String> = browser.value("batch-links").await.lines().map(str::to_owned).collect();
    assert_eq!(links.len(), 3);
    assert!(browser.attribute("#batch-csv", "href").await.unwrap().starts_with("blob:"));
    browser.look("create-batch").await;
    for link in &links {
        browser.goto(link).await;
        browser.reaches("open").await;
    }
}

/// The other tab: a wallet that speaks LNURL makes the gift.
pub async fn a_wallet_can_do_all_of_it(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/").await;
    browser.reaches("form").await;
    browser.click("tab-lnurl").await;
    let lnurl = browser.value("pay-lnurl").await;
    assert_eq!(browser.qr("pay-lnurl-qr").await, lnurl);
    browser.look("create-lnurl").await;
    let done = stage.scene.wallet(0).lnurl_pay(&lnurl, 1200, None).await.unwrap();
    let told = json!(done.success_action);
    // What the wallet paid isn't in the book yet, since it made the invoice itself.
    stage.scene.note_paid(0, &done.payment_hash);
    browser.goto(told["url"].as_str().unwrap_or_else(|| panic!("no link: {told}"))).await;
    browser.reaches("open").await;
    assert_eq!(browser.text("gift-amount").await, "1,200");
}
