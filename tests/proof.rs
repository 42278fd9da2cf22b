//! A payout ends by proof alone: what left the channels is known to the msat, and weeks of absence prove nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::time::Duration;

use common::{RECOVERY, SOON, Scene, case, until};
use regtest::InvoiceRequest;
use serde_json::{Value, json};

/// More than any time lock.
const WEEKS_OF_BLOCKS: u32 = 2_030;

#[tokio::test(flavor = "multi_thread")]
async fn payouts_end_by_proof() {
    let scene = Scene::start("").await;
    case("what left the channels is recorded", recorded_to_the_msat(&scene)).await;
    case("claimed while satchel was away for weeks", claimed_while_away(&scene)).await;
    scene.close().await;
}

/// By the HTLCs that went through the store, not by what an event tells.
async fn recorded_to_the_msat(scene: &Scene) {
    let satchel = &scene.network.satchel;
    for (wallet, sat) in [(0, 1_234), (1, 250), (1, 40_000)] {
        let gift = scene.funded_gift(sat, 0).await;
        let invoice = scene.invoice_for(&gift, wallet).await;
        let id = scene.api.redeem(&gift.order_id, &invoice.invoice).await.withdrawal_id();
        scene.api.wait_spent(&gift.order_id, json!(true), SOON).await;
        scene.received_once(&gift.order_id).await;
        let payout = satchel.admin_get(&format!("/admin/v1/payouts/{id}")).await.unwrap();
        let fee = payout["fee_msat"].as_u64().unwrap();
        assert_eq!(payout["left_msat"], json!(sat * 1_000 + fee), "{payout}");
    }
}

async fn claimed_while_away(scene: &Scene) {
    let (api, satchel, wallet) = (&scene.api, &scene.network.satchel, scene.wallet(1));
    let gift = scene.funded_gift(9_000, 0).await;
    let hold = scene.hold_for(&gift, 1).await;
    let id = api.redeem(&gift.order_id, &hold.invoice).await.withdrawal_id();
    wallet.wait_held(&hold.payment_hash, SOON).await.unwrap();
    satchel.kill().await.unwrap();
    wallet.claim(&hold.payment_hash).await.unwrap();
    // Its peer closes the channel before the time lock ends, and takes the HTLC on the chain.
    for _ in 0..WEEKS_OF_BLOCKS / 58 {
        scene.network.mine(58).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    satchel.spawn_with(&[]).await.unwrap();
    until("the gift is redeemed", RECOVERY, || async {
        let gift = api.send(reqwest::Method::GET, &format!("/gift/{}", gift.order_id), None).await.ok()?;
        assert_ne!(gift.body["spent"], json!(false), "it opened again: {gift:?}");
        (gift.body["spent"] == Value::Bool(true)).then_some(())
    })
    .await;
    assert_eq!(api.withdrawal(&id).await["status"], "confirmed");
    let late = wallet.invoice(InvoiceRequest::sat(9_000)).await.unwrap();
    assert_eq!(api.redeem(&gift.order_id, &late.invoice).await.refusal(), (400, "GIFT_SPENT"));
    scene.received_once(&gift.order_id).await;
    scene.replace_lost_channels().await;
    scene.books_agree().await;
}
