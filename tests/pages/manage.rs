//! The sender's page, and the one about the API.

use regtest::InvoiceRequest;

use crate::Stage;
use crate::common::tips::Address;
use crate::common::{Gift, SOON};

async fn open(stage: &Stage, gift: &Gift) {
    stage.open(&format!("/manage/{}#{}", gift.order_id, gift.manage_key)).await;
}

/// The events in words, without their times.
async fn history(stage: &Stage) -> Vec<String> {
    stage.browser.texts("#history li strong").await
}

/// A refund, held by the sender's own wallet for a while.
pub async fn shows_the_history_and_takes_it_back(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.funded_gift(1800, 0).await;
    open(stage, &gift).await;
    browser.reaches("open").await;
    browser.mark().await;
    assert_eq!(browser.text("gift-state").await, "Not redeemed yet");
    assert_eq!(history(stage).await, ["Created", "Paid by you"]);
    browser.look("manage-open").await;

    let other = scene.wallet(0).invoice(InvoiceRequest::sat(1000)).await.unwrap();
    browser.fill("refund-invoice", &other.invoice).await;
    browser.click("refund-button").await;
    browser.says("refund-error", "exactly 1,800 sat").await;
    browser.complains_only_of(400).await;

    let held = scene.hold_for(&gift, 0).await;
    browser.fill("refund-invoice", &held.invoice).await;
    browser.click("refund-button").await;
    browser.reaches("returning").await;
    assert!(!browser.is_shown("refund").await);
    scene.wallet(0).wait_held(&held.payment_hash, SOON).await.unwrap();
    browser.look("manage-returning").await;
    scene.wallet(0).claim(&held.payment_hash).await.unwrap();
    browser.reaches("returned").await;
    browser.was_never_reloaded().await;
    assert_eq!(browser.text("gift-state").await, "Returned to you");
    assert_eq!(history(stage).await, ["Created", "Paid by you", "Return to you started", "Returned to you"]);
    browser.look("manage-returned").await;
    stage.open(&format!("/redeem/{}", gift.order_id)).await;
    browser.reaches("returned").await;
    browser.look("redeem-returned").await;
}

/// Taken back to an address.
pub async fn takes_it_back_to_an_address(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.funded_gift(1900, 0).await;
    let address = Address::of(scene, 0).await;
    open(stage, &gift).await;
    browser.reaches("open").await;
    browser.fill("refund-invoice", "me@router.local").await;
    browser.click("refund-button").await;
    browser.says("refund-error", "exists in a local network only").await;
    browser.complains_only_of(400).await;
    browser.fill("refund-invoice", &address.name).await;
    browser.click("refund-button").await;
    browser.reaches("returned").await;
    address.note(scene, &gift.order_id);
    scene.received_once(&gift.order_id).await;
}

/// What the recipient does is there at once.
pub async fn follows_a_redemption(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.api.create(1000).await;
    open(stage, &gift).await;
    browser.reaches("unpaid").await;
    browser.mark().await;
    assert_eq!(browser.qr("invoice-qr").await, gift.payreq.to_uppercase());
    browser.look("manage-unpaid").await;
    scene.fund(&gift, 0).await;
    browser.reaches("open").await;
    let held = scene.hold_for(&gift, 1).await;
    scene.api.redeem(&gift.order_id, &held.invoice).await.ok();
    browser.reaches("pending").await;
    scene.wallet(1).wait_held(&held.payment_hash, SOON).await.unwrap();
    scene.wallet(1).fail(&held.payment_hash).await.unwrap();
    browser.reaches("open").await;
    let second = scene.invoice_for(&gift, 1).await;
    scene.api.redeem(&gift.order_id, &second.invoice).await.ok();
    browser.reaches("redeemed").await;
    browser.was_never_reloaded().await;
    assert!(!browser.is_shown("refund").await);
    assert_eq!(
        history(stage).await,
        ["Created", "Paid by you", "Redemption started", "Payout failed", "Redemption started", "Redeemed"]
    );
    let why = browser.texts("#history .detail").await;
    assert!(why.len() == 1 && !why[0].is_empty(), "{why:?}");
    browser.look("manage-redeemed").await;
}

/// Without the key there is nothing to see.
pub async fn needs_the_whole_link(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.api.create(1000).await;
    let path = format!("/manage/{}", gift.order_id);
    stage.open(&path).await;
    browser.reaches("no_key").await;
    browser.look("manage-no-key").await;
    stage.open(&format!("{path}#{}", "0".repeat(64))).await;
    browser.reaches("denied").await;
    browser.complains_only_of(404).await;
    browser.look("manage-denied").await;
}

/// Drawn from the API's own description.
pub async fn the_documentation_renders(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/docs").await;
    browser.says("operations", "/create").await;
    browser.says("operations", "/redeem/{orderId}").await;
    browser.look("docs").await;
}
