//! BOLT12 offers on a real node. In the code of a payment: a customer pays the offer, the shop is told; and the process
//! dies around the payment's coming, and starts again: it is credited once. And gifts and tips that are paid to offers.
//!
//! One wallet, which is satchel's only peer: without announced channels nobody else could be asked for the way to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;
#[path = "offers/vouchers.rs"]
mod vouchers;

use common::payments::Shop;
use common::{SOON, Scene, case};
use regtest::Network;
use serde_json::{Value, json};

/// Where a payment's coming can be cut off, and how many times the point is passed before.
#[cfg(feature = "failpoints")]
const COMING: &[(&str, &[u32])] = &[
    ("event.before_handled", &[0]),
    ("event.after_handled", &[0]),
    ("store.before_commit", &[1, 3, 5]),
    ("store.after_commit", &[2, 4]),
];

/// How long a payout to an offer may be in doubt: LDK gives up waiting for an invoice within a minute, and what was not
/// sent is proved some seconds after the node has seen the chain.
const IN_DOUBT: std::time::Duration = std::time::Duration::from_secs(150);

async fn scene() -> Scene {
    let config = "[payments]\noffers = true".parse().unwrap();
    Scene::of(Network::builder().wallets(1).extra_config(config)).await
}

/// The offer in the code that the customer sees.
async fn offer(shop: &Shop, made: &Value) -> String {
    let told = shop.get(&format!("/checkout/{}/status", id(made))).await;
    let code = told["paymentUri"].as_str().unwrap();
    let (invoice, offer) = code.split_once("&lno=").unwrap_or_else(|| panic!("no offer in {code}"));
    let upper = made["lightningInvoice"].as_str().unwrap().to_uppercase();
    assert_eq!(invoice, format!("bitcoin:?lightning={upper}"));
    eprintln!("   a code of {} characters", code.len());
    offer.to_owned()
}

fn id(made: &Value) -> &str {
    made["invoiceId"].as_str().unwrap()
}

async fn pay_offer(scene: &Scene, offer: &str) {
    let payment = scene.wallet(0).pay_offer(offer).await.unwrap();
    scene.note_paid(0, &payment);
}

async fn received(shop: &Shop, made: &Value, sats: u64) {
    common::until("it is credited", SOON, || async {
        let shown = shop.payment(id(made)).await;
        (shown["amountReceivedSats"] == sats).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_pays_the_offer_in_the_code() {
    let scene = scene().await;
    let shop = Shop::open(&scene).await;
    case("paid by the offer", by_offer(&scene, &shop)).await;
    case("paid by the invoice and by the offer", by_both(&scene, &shop)).await;
    assert_eq!(scene.channels_closed().await, 0);
    scene.close().await;
}

async fn by_offer(scene: &Scene, shop: &Shop) {
    let made = shop.order("offer", 5_000).await;
    let offer = offer(shop, &made).await;
    pay_offer(scene, &offer).await;
    let paid = shop.wait(id(&made), "paid", SOON).await;
    assert_eq!(paid["amountReceivedSats"], 5_000);
    let news = shop.wait_told(id(&made), 1).await.remove(0).json();
    assert_eq!((&news["event"], &news["data"]["paidAt"]), (&json!("payment.completed"), &paid["paidAt"]));
    // The node refuses the invoice of what is paid.
    assert!(scene.wallet(0).pay(made["lightningInvoice"].as_str().unwrap()).await.is_err());
    // The offer it can't: what comes is credited too, and the shop isn't told twice.
    pay_offer(scene, &offer).await;
    received(shop, &made, 10_000).await;
    scene.books_agree().await;
    assert_eq!(shop.told(id(&made)).len(), 1);
}

async fn by_both(scene: &Scene, shop: &Shop) {
    let made = shop.order("both", 4_000).await;
    let (offer, invoice) = (offer(shop, &made).await, made["lightningInvoice"].as_str().unwrap());
    scene.note_funding(0, invoice);
    scene.wallet(0).pay(invoice).await.unwrap();
    shop.wait(id(&made), "paid", SOON).await;
    pay_offer(scene, &offer).await;
    received(shop, &made, 8_000).await;
    scene.books_agree().await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_point_of_a_payment_by_offer_credits_it_once() {
    let scene = scene().await;
    let shop = Shop::open(&scene).await;
    for (point, skips) in COMING {
        for skip in *skips {
            case(&format!("paying, {point} after {skip}"), dying(&scene, &shop, point, *skip)).await;
        }
    }
    eprintln!("channels closed: {}", scene.channels_closed().await);
    scene.close().await;
}

#[cfg(feature = "failpoints")]
async fn dying(scene: &Scene, shop: &Shop, point: &str, skip: u32) {
    use common::RECOVERY;

    let made = shop.order(&format!("{point} {skip}"), 6_000).await;
    let offer = offer(shop, &made).await;
    let doomed = common::doomed::Doomed::start(scene, point, skip).await;
    doomed.arm();
    let dying = async {
        doomed.dies_and_rises().await;
        scene.replace_lost_channels().await > 0
    };
    let (paid, _) = scene.pay_through(scene.wallet(0).pay_offer(&offer), dying).await;
    scene.network.wait_usable().await.unwrap();
    match paid {
        Ok(payment) => scene.note_paid(0, &payment),
        // Not a sat has moved; the customer simply tries again.
        Err(error) => {
            eprintln!("   {error}");
            shop.wait(id(&made), "unpaid", RECOVERY).await;
            pay_offer(scene, &offer).await;
        }
    }
    let paid = shop.wait(id(&made), "paid", RECOVERY).await;
    assert_eq!(paid["amountReceivedSats"], 6_000);
    shop.wait_told(id(&made), 1).await;
    scene.books_agree().await;
    let ids: std::collections::HashSet<_> = shop.told(id(&made)).into_iter().map(|told| told.id).collect();
    assert_eq!(ids.len(), 1, "told as more than one event");
    assert_eq!(shop.payment(id(&made)).await["amountReceivedSats"], 6_000);
}
