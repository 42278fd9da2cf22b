//! LDK pays the recipient more than the invoice asks for where a channel takes no HTLC so small, and says nothing of it
//! in the fee that it tells: what it cost is in the payout, in the hour's budget and in the books, to the msat.
//!
//! A channel whose dust exposure is used up takes nothing below the dust limit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use common::scene::account;
use common::{Gift, RECOVERY, SOON, Scene, case, until};
use regtest::{InvoiceRequest, Network};
use serde_json::{Value, json};

/// Below the dust limit of 354 sat.
const SAT: u64 = 350;

const GIFTS: usize = 3;

/// Further below the least HTLC than a payout's routing may cost.
const BEYOND_SAT: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn overpayment_to_reach_the_least_htlc_is_counted_to_the_msat() {
    let config = "[node]\nmax_dust_exposure_sat = 300\n[gifts]\nmin_sat = 100\n\
                  [payouts]\nmax_fee_base_sat = 10\nsend_window_secs = 10\n";
    let scene = Scene::of(Network::builder().wallets(1).extra_config(config.parse().unwrap())).await;
    let least = least_msat(&scene).await;
    assert!(least > SAT * 1_000, "the channel takes HTLCs of {least} msat");
    let gifts = case("gifts", gifts(&scene, least)).await;
    let own = case("the operator's own payment", operators(&scene, least)).await;
    case("more than a payout may cost", beyond_the_limit(&scene)).await;
    let audit = scene.equals_the_node(RECOVERY).await;
    assert_eq!(account(&audit, "routing_paid"), i64::try_from(gifts + own).unwrap());
    assert_eq!(hour_msat(&scene), gifts, "the operator's own is not limited by the hour");
    scene.close().await;
}

/// The smallest HTLC that satchel's channel takes now.
async fn least_msat(scene: &Scene) -> u64 {
    let list = scene.network.satchel.admin_get("/admin/v1/channels").await.unwrap();
    list["channels"][0]["min_send_msat"].as_u64().unwrap_or_else(|| panic!("{list}"))
}

/// What the recipient's own record says that came.
async fn came_msat(scene: &Scene, payment_hash: &str) -> u64 {
    scene.wallet(0).payment(payment_hash).await.unwrap().amount_msat.unwrap()
}

/// Each payout costs what the recipient got more than it asked for; answers the sum.
async fn gifts(scene: &Scene, least: u64) -> u64 {
    // Paid for at once: alone, each would be dust that satchel takes no more of.
    let body = scene.api.post("/create", json!({ "amount": SAT, "quantity": GIFTS })).await.ok();
    scene.fund(&Gift::read(&body), 0).await;
    let mut sum = 0;
    for gift in body["gifts"].as_array().unwrap() {
        let id = gift["orderId"].as_str().unwrap();
        let invoice = scene.wallet(0).invoice(InvoiceRequest::sat(SAT)).await.unwrap();
        scene.note_asked(0, id, &invoice.payment_hash);
        scene.api.redeem(id, &invoice.invoice).await.withdrawal_id();
        scene.api.wait_spent(id, json!(true), RECOVERY).await;
        scene.received_once(id).await;
        assert_eq!(came_msat(scene, &invoice.payment_hash).await, least);
        let list =
            scene.network.satchel.command_json("payout", &["list", "--family", "gifts"]).await.unwrap();
        let mut rows = list["payouts"].as_array().unwrap().iter();
        let row = rows.find(|row| row["payment_hash"] == invoice.payment_hash.as_str()).unwrap();
        assert_eq!(
            (&row["amount_msat"], &row["fee_msat"]),
            (&json!(SAT * 1_000), &json!(least - SAT * 1_000))
        );
        sum += least - SAT * 1_000;
    }
    sum
}

async fn operators(scene: &Scene, least: u64) -> u64 {
    let satchel = &scene.network.satchel;
    let invoice = scene.wallet(0).invoice(InvoiceRequest::sat(SAT)).await.unwrap();
    let made = satchel.admin_post("/admin/v1/pay", json!({ "invoice": invoice.invoice })).await.unwrap();
    scene.note_asked(0, "the operator", &invoice.payment_hash);
    let path = format!("/admin/v1/payouts/{}", made["id"].as_str().unwrap());
    let paid: Value = until("it arrives", SOON, || async {
        Some(satchel.admin_get(&path).await.unwrap()).filter(|payout| payout["status"] == "paid")
    })
    .await;
    let fee = least - SAT * 1_000;
    assert_eq!((&paid["fee_msat"], &paid["left_msat"]), (&json!(fee), &json!(least)), "{paid}");
    fee
}

/// A gift so small that the least HTLC would cost more than routing may: nothing is sent, and it stays open.
async fn beyond_the_limit(scene: &Scene) {
    let body = scene.api.post("/create", json!({ "amount": BEYOND_SAT, "quantity": 2 })).await.ok();
    scene.fund(&Gift::read(&body), 0).await;
    let id = body["gifts"][0]["orderId"].as_str().unwrap();
    let invoice = scene.wallet(0).invoice(InvoiceRequest::sat(BEYOND_SAT)).await.unwrap();
    scene.note_asked(0, id, &invoice.payment_hash);
    let withdrawal = scene.api.redeem(id, &invoice.invoice).await.withdrawal_id();
    until("the payout is given up", RECOVERY, || async {
        let shown = scene.api.withdrawal(&withdrawal).await;
        (shown["status"] == "failed").then_some(())
    })
    .await;
    scene.api.wait_spent(id, json!(false), SOON).await;
    assert_eq!(scene.times_received(id).await, 0);
}

/// What routing has cost in this hour by the budget's own count.
fn hour_msat(scene: &Scene) -> u64 {
    let folder = scene.network.satchel.data_dir();
    let inside = folder.join("node-data").join("satchel.db");
    let file = if inside.exists() { inside } else { folder.join("satchel.db") };
    let db = rusqlite::Connection::open(file).unwrap();
    db.query_row("SELECT coalesce(sum(msat), 0) FROM routing_hours", [], |row| row.get(0)).unwrap()
}
