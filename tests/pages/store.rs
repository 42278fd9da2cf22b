//! The pages of a store: what it sells, a cart, an order that is paid, claimed and followed.

use crate::Stage;
use crate::common::{SOON, until};

/// A store with two products, one of which there is one of.
async fn open_store(stage: &Stage) {
    let satchel = &stage.scene.network.satchel;
    let create = [
        "create",
        "mugs",
        "--name",
        "Mugs & More",
        "--currency",
        "sats",
        "--country",
        "US",
        "--shipping",
        "US=100",
        "--shipping",
        "*=900",
    ];
    satchel.command_json("store", &create).await.unwrap();
    for add in [
        ["add", "mugs", "Node <b>Mug</b>", "--price", "2000", "--stock", "5"],
        ["add", "mugs", "Last One", "--price", "500", "--stock", "1"],
    ] {
        satchel.command_json("store", &add).await.unwrap();
    }
}

/// Picks, pays, says where it goes, and sees it sent.
pub async fn a_buyer_orders_pays_and_follows_it(stage: &Stage) {
    let browser = &stage.browser;
    open_store(stage).await;
    stage.open("/store/mugs").await;
    browser.reaches("open").await;
    browser.mark().await;
    assert_eq!(browser.text("store-name").await, "Mugs & More");
    assert_eq!(browser.texts("#products h3").await, ["Node <b>Mug</b>", "Last One"]);
    assert!(browser.is_shown("empty").await && !browser.is_shown("checkout").await);
    browser.look("store").await;
    for _ in 0..2 {
        browser.click_on("#products li:first-child button").await;
    }
    assert!(browser.is_shown("checkout").await && !browser.is_shown("empty").await);
    assert!(browser.text("lines").await.contains("4,000"), "{}", browser.text("lines").await);
    // It is there after a reload too, and in no other store.
    browser.reload().await;
    browser.reaches("open").await;
    assert!(browser.text("lines").await.contains("Node <b>Mug</b>"));
    assert_eq!(browser.value("country").await, "US");
    browser.look("store-cart").await;
    // Both places are wrong, and both are marked.
    for (field, text) in [("country", "U"), ("state", "C-")] {
        browser.fill(field, text).await;
    }
    browser.click("buy").await;
    browser.says("country-error", "two letters").await;
    browser.says("state-error", "letters and digits").await;
    browser.look("store-wrong-places").await;
    for (field, text) in [("country", "US"), ("state", "")] {
        browser.fill(field, text).await;
    }
    browser.click("buy").await;
    browser.reaches("AwaitingPayment").await;
    browser.mark().await;
    assert_eq!(browser.text("price").await, "4,100 sat");
    assert!(browser.text("bill").await.contains("100"), "{}", browser.text("bill").await);
    let invoice = browser.value("invoice-text").await;
    assert_eq!(browser.qr("pay-qr").await.to_lowercase(), invoice);
    browser.look("order-unpaid").await;
    stage.pay(&invoice).await;
    browser.reaches("AwaitingDetails").await;
    browser.was_never_reloaded().await;
    browser.look("order-claim").await;
    browser.click_on("#claim button").await;
    let needed = ["email", "firstName", "lastName", "address1", "city", "country"];
    for name in needed {
        assert!(!browser.text(&format!("claim-{name}-error")).await.is_empty(), "{name}");
        let invalid = browser.attribute(&format!("#claim [name={name}]"), "aria-invalid").await;
        assert_eq!(invalid.as_deref(), Some("true"), "{name}");
    }
    browser.look("order-claim-errors").await;
    // A price that is asked for is an error to browsers.
    browser.complains_only_of(402).await;
    // What only the server knows is told for all fields at once too.
    for name in needed {
        browser
            .fill_in(&format!("#claim [name={name}]"), if name == "email" { "a@b" } else { "Narnia" })
            .await;
    }
    browser.fill_in("#claim [name=lastName]", "\u{202e}x").await;
    browser.click_on("#claim button").await;
    browser.says("claim-country-error", "two letters").await;
    browser.says("claim-lastName-error", "on one line").await;
    browser.complains_only_of(400).await;
    for (name, text) in [
        ("email", "ada@example.com"),
        ("firstName", "Ada"),
        ("lastName", "Lovelace"),
        ("address1", "1 Main St"),
        ("city", "San Francisco"),
        ("province", "CA"),
        ("zip", "94107"),
        ("country", "US"),
    ] {
        browser.fill_in(&format!("#claim [name={name}]"), text).await;
    }
    browser.click_on("#claim button").await;
    browser.reaches("Processing").await;
    assert!(browser.text("headline").await.contains("#1001"));
    // Its address is the way back to it, also for who has nothing of it in the browser.
    browser.reload().await;
    browser.reaches("Processing").await;
    browser.look("order-processing").await;
    let satchel = &stage.scene.network.satchel;
    let orders = satchel.command_json("store", &["orders", "mugs"]).await.unwrap();
    let id = orders["orders"][0]["orderId"].as_str().unwrap().to_owned();
    let ship = ["ship", &id, "--carrier", "UPS", "--number", "1Z999", "--url", "https://ups.example/1Z999"];
    satchel.command_json("store", &ship).await.unwrap();
    until("it is sent", SOON, || async {
        browser.reload().await;
        (browser.state().await == "Shipped").then_some(())
    })
    .await;
    assert_eq!(browser.text("tracking").await, "UPS 1Z999");
    assert_eq!(browser.attribute("#track", "href").await.unwrap(), "https://ups.example/1Z999");
    browser.look("order-shipped").await;
    // What was bought is no longer in the cart.
    stage.open("/store/mugs").await;
    browser.reaches("open").await;
    assert!(browser.is_shown("empty").await);
}

/// The last one is sold to somebody else before it is paid: the buyer gets the money back.
pub async fn a_buyer_of_what_is_sold_out_gets_the_money_back(stage: &Stage) {
    let browser = &stage.browser;
    let buy = async || {
        stage.open("/store/mugs").await;
        browser.reaches("open").await;
        browser.click_on("#products li:nth-child(2) button").await;
        browser.click("buy").await;
        browser.reaches("AwaitingPayment").await;
        browser.value("invoice-text").await
    };
    let first = buy().await;
    // The cart is kept until it is paid for, so it is emptied by hand.
    browser.empty_storage().await;
    let second = buy().await;
    stage.pay(&first).await;
    stage.pay(&second).await;
    browser.reaches("RefundDue").await;
    let sat = browser.text("refund-sats").await;
    assert_eq!(sat, "600");
    browser.look("order-refund-due").await;
    let invoice = stage.scene.wallet(1).invoice(regtest::InvoiceRequest::sat(600)).await.unwrap();
    let satchel = &stage.scene.network.satchel;
    let due = satchel.command_json("store", &["orders", "mugs", "--status", "refund_due"]).await.unwrap();
    stage.scene.note_asked(1, due["orders"][0]["orderId"].as_str().unwrap(), &invoice.payment_hash);
    browser.fill_in("#refund [name=invoice]", &invoice.invoice).await;
    browser.click_on("#refund button").await;
    browser.reaches("Refunded").await;
    browser.look("order-refunded").await;
    stage.open("/store/mugs").await;
    browser.reaches("open").await;
    assert!(browser.texts("#products li:nth-child(2) button:not([disabled])").await.is_empty());
    browser.complains_only_of(402).await;
}

/// Without scripts each page says so, in a form that a person can read.
pub async fn without_scripts_the_pages_say_what_is_missing(stage: &Stage) {
    let browser = &stage.browser;
    browser.set_scripts(false).await;
    for path in ["/store/mugs", "/store/mugs/orders/shpfy_0123456789abcdef01234567"] {
        stage.open(path).await;
        let said = browser.texts("noscript section").await.join(" ");
        assert!(said.contains("JavaScript is off"), "{path}: {said}");
    }
    browser.set_scripts(true).await;
}

pub async fn links_that_lead_nowhere(stage: &Stage) {
    let browser = &stage.browser;
    stage.open("/store/nothing").await;
    browser.reaches("not_found").await;
    browser.complains_only_of(404).await;
    stage.open("/store/mugs/orders/shpfy_0123456789abcdef01234567#claim=abc").await;
    browser.reaches("not_found").await;
    browser.complains_only_of(404).await;
}
