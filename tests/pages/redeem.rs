//! The recipient's page.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use regtest::InvoiceRequest;
use serde_json::json;

use crate::Stage;
use crate::common::tips::Address;
use crate::common::{SOON, until};

/// Wrong codes after which a gift may lock at the latest.
const MOST_GUESSES: usize = 12;

/// Pasted, on its way for as long as the wallet holds it, done.
pub async fn by_an_invoice(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let body = json!({"amount": 2500, "senderName": "Alice", "senderMessage": "<b>Enjoy</b> & smile"});
    let gift = scene.api.create_with(body).await;
    scene.fund(&gift, 0).await;
    stage.open(&format!("/redeem/{}", gift.order_id)).await;
    browser.reaches("open").await;
    browser.mark().await;
    browser.says("headline", "A gift from Alice, to you").await;
    assert_eq!(browser.text("message").await.trim_matches(['“', '”']), "<b>Enjoy</b> & smile");
    assert_eq!(browser.text("gift-amount").await, "2,500");
    assert_eq!(browser.value("lnurl-text").await, gift.lnurl);
    assert_eq!(browser.qr("lnurl-qr").await, gift.lnurl.to_uppercase());
    let target = browser.attribute("#lnurl-open", "href").await.unwrap();
    assert_eq!(target, format!("lightning:{}", gift.lnurl.to_uppercase()));
    browser.look("redeem-open").await;

    browser.click("redeem-button").await;
    browser.says("invoice-error", "Paste a Lightning invoice first.").await;
    let other = scene.wallet(1).invoice(InvoiceRequest::sat(2400)).await.unwrap();
    browser.fill("invoice", &other.invoice).await;
    browser.click("redeem-button").await;
    browser.says("invoice-error", "exactly 2,500 sat").await;
    browser.complains_only_of(400).await;
    browser.look("redeem-invoice-error").await;

    let held = scene.hold_for(&gift, 1).await;
    browser.fill("invoice", &held.invoice).await;
    browser.click("redeem-button").await;
    browser.reaches("pending").await;
    scene.wallet(1).wait_held(&held.payment_hash, SOON).await.unwrap();
    assert_eq!(browser.state().await, "pending");
    browser.look("redeem-pending").await;
    scene.wallet(1).claim(&held.payment_hash).await.unwrap();
    browser.reaches("done").await;
    browser.says("done-text", "2,500 sat are in your wallet").await;
    browser.was_never_reloaded().await;
    browser.look("redeem-done").await;
    scene.received_once(&gift.order_id).await;
}

/// An address is enough; what it is not is called by its name.
pub async fn by_an_address(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.funded_gift(2600, 0).await;
    stage.open(&format!("/redeem/{}", gift.order_id)).await;
    browser.reaches("open").await;
    browser.mark().await;
    for (text, says) in [
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "This is a bitcoin address"),
        ("me@router.local", "exists in a local network only"),
        ("me@", "This is not a lightning address"),
    ] {
        browser.fill("invoice", text).await;
        browser.click("redeem-button").await;
        browser.says("invoice-error", says).await;
        assert!(!browser.text("invoice-error").await.contains("expired"));
    }
    browser.complains_only_of(400).await;
    let address = Address::of(scene, 1).await;
    address.refuses();
    browser.fill("invoice", &address.name).await;
    browser.click("redeem-button").await;
    browser.says("invoice-error", "not today").await;
    browser.complains_only_of(422).await;
    browser.look("redeem-address-error").await;
    address.gives();
    browser.click("redeem-button").await;
    browser.reaches("done").await;
    browser.says("done-text", "2,600 sat are in your wallet").await;
    browser.was_never_reloaded().await;
    address.note(scene, &gift.order_id);
    scene.received_once(&gift.order_id).await;
}

/// The button that opens a wallet does nothing where there is none: then it says what to do.
pub async fn without_a_wallet_the_button_says_what_to_do(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.funded_gift(1100, 0).await;
    stage.open(&format!("/redeem/{}", gift.order_id)).await;
    browser.reaches("open").await;
    browser.click("lnurl-open").await;
    until("a hint is there", SOON, || async {
        let hints = browser.texts(".wallet-hint").await;
        (hints.len() == 1 && hints[0].contains("copy the text")).then_some(())
    })
    .await;
    browser.may_complain_about("lightning:").await;
    assert_eq!(browser.state().await, "open");
    browser.look("redeem-no-wallet").await;
}

/// Without scripts there is a code as long as there is a gift.
pub async fn without_scripts_a_spent_gift_shows_no_code(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.funded_gift(1200, 0).await;
    let page = format!("/redeem/{}", gift.order_id);
    let shown = async |heading: &str, codes: usize| {
        browser.set_scripts(false).await;
        stage.open(&page).await;
        assert_eq!(browser.texts("noscript h1").await, [heading]);
        assert_eq!(browser.texts("noscript .qr").await.len(), codes, "{heading}");
        browser.set_scripts(true).await;
    };
    shown("A Bitcoin gift for you", 1).await;
    let held = scene.hold_for(&gift, 1).await;
    scene.api.redeem(&gift.order_id, &held.invoice).await.ok();
    shown("On its way", 0).await;
    scene.wallet(1).wait_held(&held.payment_hash, SOON).await.unwrap();
    scene.wallet(1).claim(&held.payment_hash).await.unwrap();
    until("it is spent", SOON, || async {
        (scene.api.gift(&gift.order_id).await["spent"] == true).then_some(())
    })
    .await;
    shown("This gift has been redeemed", 0).await;
    scene.received_once(&gift.order_id).await;
}

/// A name and a message that run from right to left, on both pages of a gift and in the sender's list.
pub async fn words_from_right_to_left_keep_their_direction(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let (name, message) = ("דנה (1)", "מזל טוב, 21!");
    let body = json!({"amount": 1300, "senderName": name, "senderMessage": message});
    let gift = scene.api.create_with(body).await;
    scene.fund(&gift, 0).await;
    stage.open(&format!("/redeem/{}", gift.order_id)).await;
    browser.reaches("open").await;
    browser.says("headline", &format!("A gift from {name}, to you")).await;
    assert_eq!(browser.words_keep_their_direction().await, 2);
    browser.look("redeem-right-to-left").await;
    stage.open(&format!("/manage/{}#{}", gift.order_id, gift.manage_key)).await;
    browser.reaches("open").await;
    assert_eq!(browser.words_keep_their_direction().await, 2);

    stage.open("/").await;
    browser.reaches("form").await;
    browser.fill("amount", "1300").await;
    browser.fill("sender-message", message).await;
    browser.click("create-button").await;
    browser.reaches("invoice").await;
    assert_eq!(browser.words_keep_their_direction().await, 1, "in the list");
    browser.empty_storage().await;
}

/// The page stands there while a wallet elsewhere takes the gift.
pub async fn by_a_wallet_that_scans(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.funded_gift(3000, 0).await;
    stage.open(&format!("/redeem/{}", gift.order_id)).await;
    browser.reaches("open").await;
    browser.mark().await;
    browser.says("headline", "A Bitcoin gift").await;
    let shown = browser.qr("lnurl-qr").await;
    let taken = scene.wallet(1).lnurl_withdraw(&shown, None).await.unwrap();
    scene.note_asked(1, &gift.order_id, &taken.payment_hash);
    browser.reaches("done").await;
    browser.was_never_reloaded().await;
    scene.received_once(&gift.order_id).await;
    browser.reload().await;
    browser.reaches("done").await;
}

/// The recipient's wallet refuses the payment.
pub async fn a_failure_is_told_and_can_be_tried_again(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.funded_gift(1700, 0).await;
    stage.open(&format!("/redeem/{}", gift.order_id)).await;
    browser.reaches("open").await;
    browser.mark().await;
    let held = scene.hold_for(&gift, 1).await;
    browser.fill("invoice", &held.invoice).await;
    browser.click("redeem-button").await;
    browser.reaches("pending").await;
    scene.wallet(1).wait_held(&held.payment_hash, SOON).await.unwrap();
    scene.wallet(1).fail(&held.payment_hash).await.unwrap();
    browser.reaches("failed").await;
    assert!(!browser.text("failure-text").await.is_empty());
    browser.is_in_view("failure-text").await;
    assert!(browser.is_shown("redeem-button").await && browser.is_shown("lnurl-qr").await);
    browser.look("redeem-failed").await;

    let second = scene.invoice_for(&gift, 1).await;
    browser.fill("invoice", &second.invoice).await;
    browser.click("redeem-button").await;
    browser.reaches("done").await;
    browser.was_never_reloaded().await;
    scene.received_once(&gift.order_id).await;
}

/// Opened before it is paid.
pub async fn a_gift_is_awaited(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.api.create(1000).await;
    stage.open(&format!("/redeem/{}", gift.order_id)).await;
    browser.reaches("unpaid").await;
    browser.mark().await;
    browser.look("redeem-unpaid").await;
    scene.fund(&gift, 0).await;
    browser.reaches("open").await;
    browser.was_never_reloaded().await;
}

/// Somebody tries codes.
pub async fn guessing_a_code_locks_it(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let gift = scene.api.create_with(json!({"amount": 1000, "verifyCode": "0042"})).await;
    stage.open(&format!("/redeem/{}", gift.order_id)).await;
    scene.fund(&gift, 0).await;
    browser.reaches("code").await;
    for guess in 0..MOST_GUESSES {
        browser.fill("code", &format!("1{guess:03}")).await;
        browser.click("code-button").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        if browser.state().await == "locked" {
            break;
        }
    }
    browser.reaches("locked").await;
    assert!(!browser.text("locked-until").await.is_empty());
    browser.complains_only_of(429).await;
    browser.look("redeem-locked").await;
    browser.reload().await;
    browser.reaches("code").await;
}

/// Open until its time has passed; then the sender has it.
pub async fn an_end_comes_by_itself(stage: &Stage) {
    let (browser, scene) = (&stage.browser, &stage.scene);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let gift = scene.api.create_with(json!({"amount": 1000, "expiresAt": now + 15})).await;
    scene.fund(&gift, 0).await;
    stage.open(&format!("/redeem/{}", gift.order_id)).await;
    browser.reaches("open").await;
    browser.mark().await;
    browser.says("expires-note", "Redeemable until").await;
    browser.reaches("expired").await;
    browser.was_never_reloaded().await;
    browser.look("redeem-expired").await;
    stage.open(&format!("/manage/{}#{}", gift.order_id, gift.manage_key)).await;
    browser.reaches("expired").await;
    assert!(browser.is_shown("refund").await);
    browser.look("manage-expired").await;
}

/// Unknown, mistyped, and a page that isn't there.
pub async fn links_that_lead_nowhere(stage: &Stage) {
    let browser = &stage.browser;
    stage.open(&format!("/redeem/{}", "0".repeat(48))).await;
    browser.reaches("not_found").await;
    browser.complains_only_of(404).await;
    browser.look("redeem-unknown").await;
    for path in ["/redeem/short", "/nowhere"] {
        stage.open(path).await;
        assert!(!browser.texts("main h1").await.is_empty());
        browser.complains_only_of(404).await;
    }
    browser.look("nowhere").await;
}
