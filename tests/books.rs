//! The books equal the node, to the msat and to the sat, whenever nothing is under way: on a real network, through
//! deposits, channels opened and closed by either side, payments in and out and through, refunds to an address, a
//! restart and a kill. And where an entry is missing, the audit says which.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::time::Duration;

use common::scene::account;
use common::{RECOVERY, SOON, Scene, case, rises, until};
use regtest::InvoiceRequest;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// How long everything may take to come to rest.
const REST: Duration = Duration::from_secs(90);

async fn equal(scene: &Scene) -> Value {
    scene.equals_the_node(REST).await
}

async fn channels(scene: &Scene) -> Vec<Value> {
    let list = scene.network.satchel.admin_get("/admin/v1/channels").await.unwrap();
    list["channels"].as_array().unwrap().clone()
}

/// The channel whose funding nobody in `before` has, once it is usable.
async fn new_channel(scene: &Scene, before: &[Value]) -> Value {
    until("the new channel is usable", REST, || async {
        scene.network.mine(1).await.unwrap();
        let now = channels(scene).await;
        let is_new =
            |channel: &&Value| before.iter().all(|other| other["channel_id"] != channel["channel_id"]);
        now.iter().find(is_new).filter(|channel| channel["usable"] == true).cloned()
    })
    .await
}

async fn pay_from_satchel(scene: &Scene, wallet: usize, msat: u64) {
    let invoice = scene.wallet(wallet).invoice(InvoiceRequest::msat(msat)).await.unwrap();
    scene.note_asked(wallet, "", &invoice.payment_hash);
    let asked = json!({ "invoice": invoice.invoice });
    let paid = scene.network.satchel.admin_post("/admin/v1/pay", asked).await.unwrap();
    let path = format!("/admin/v1/payouts/{}", paid["id"].as_str().unwrap());
    until("a payout has ended", SOON, || async {
        let payout = scene.network.satchel.admin_get(&path).await.unwrap();
        (payout["status"] == "paid").then_some(())
    })
    .await;
}

async fn gift_in_and_out(scene: &Scene, sat: u64) {
    let gift = scene.funded_gift(sat, 0).await;
    let invoice = scene.invoice_for(&gift, 1).await;
    scene.api.redeem(&gift.order_id, &invoice.invoice).await.ok();
    scene.received_once(&gift.order_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn books_equal_the_node_at_every_rest() {
    let scene = Scene::start("[payments]\nmin_onchain_refund_sat = 1_000\n").await;
    case("two channels opened by us, half of each pushed", opened(&scene)).await;
    case("payments in and out", paid(&scene)).await;
    case("a channel opened by a peer that gives us a part", opened_by_peer(&scene)).await;
    case("a deposit, a refund to an address", coins(&scene)).await;
    case("payments of others", forwarded(&scene)).await;
    case("in flight", in_flight(&scene)).await;
    case("a restart and a kill", restarted(&scene)).await;
    case("a channel closed together", closed_together(&scene)).await;
    case("a channel closed by force", closed_by_force(&scene)).await;
    case("a channel closed by its peer's force", closed_by_peer(&scene)).await;
    case("one entry removed", removed(&scene)).await;
    scene.network.shutdown().await.unwrap();
}

async fn opened(scene: &Scene) {
    let audit = equal(scene).await;
    let fees = account(&audit, "chain_fees");
    assert!((0..10_000_000).contains(&fees), "{audit}");
    let half = i64::try_from(regtest::DEFAULT_CHANNEL_SAT).unwrap() * 500;
    assert_eq!(account(&audit, "channels"), 2 * half);
    let all = account(&audit, "channels") + account(&audit, "onchain") + fees;
    assert_eq!(-account(&audit, "capital"), all);
}

async fn paid(scene: &Scene) {
    gift_in_and_out(scene, 1_000).await;
    gift_in_and_out(scene, 250).await;
    pay_from_satchel(scene, 1, 1_234_567).await;
    pay_from_satchel(scene, 0, 7_001).await;
    // What a payer adds comes too, to the msat.
    let made =
        scene.network.satchel.admin_post("/admin/v1/invoice", json!({"amount_sat": 33})).await.unwrap();
    let invoice = made["invoice"].as_str().unwrap();
    scene.note_funding(0, invoice);
    scene.wallet(0).pay(invoice).await.unwrap();
    equal(scene).await;
}

async fn opened_by_peer(scene: &Scene) {
    let before = channels(scene).await;
    let capital = account(&equal(scene).await, "capital");
    let satchel = &scene.network.satchel;
    let node_id = satchel.node_id().await.unwrap().parse().unwrap();
    scene.wallet(0).open_channel(node_id, satchel.p2p(), 1_000_000, 300_000).await.unwrap();
    new_channel(scene, &before).await;
    let audit = equal(scene).await;
    assert_eq!(account(&audit, "capital"), capital - 300_000_000);
    // One in which we have nothing, and later less than the reserve.
    let before = channels(scene).await;
    scene.wallet(1).open_channel(node_id, satchel.p2p(), 1_000_000, 0).await.unwrap();
    new_channel(scene, &before).await;
    equal(scene).await;
    gift_in_and_out(scene, 2_000).await;
    equal(scene).await;
}

async fn coins(scene: &Scene) {
    let satchel = &scene.network.satchel;
    let before = equal(scene).await;
    let address = satchel.admin_post("/admin/v1/address", json!({})).await.unwrap();
    let address = address["address"].as_str().unwrap();
    scene.network.bitcoind.mine_to(1, address).await.unwrap();
    scene.network.mine(2).await.unwrap();
    let audit = equal(scene).await;
    let came = account(&audit, "onchain") - account(&before, "onchain");
    assert!(came > 0);
    assert_eq!(account(&before, "capital") - account(&audit, "capital"), came);
    refund_to_address(scene).await;
    let refunded = equal(scene).await;
    let fees = account(&refunded, "chain_fees") - account(&audit, "chain_fees");
    assert!(fees > 0, "{refunded}");
    assert_eq!(account(&audit, "onchain") - account(&refunded, "onchain"), 2_000_000 + fees);
    assert_eq!(account(&refunded, "in_flight"), 0, "six blocks deep: {refunded}");
}

/// A payment of 3,000 sat, of which 2,000 go back to an address.
async fn refund_to_address(scene: &Scene) {
    let made = scene.network.satchel.command_json("key", &["create", "shop", "--scope", "payments"]).await;
    let key = made.unwrap()["key"].as_str().unwrap().to_owned();
    let client = Client::new();
    let ask = |method: Method, path: String, body: Value| {
        let request = client.request(method, format!("{}{path}", scene.api.url)).header("x-api-key", &key);
        async move { request.json(&body).send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let order = json!({ "orderId": "order", "amount": 3_000, "currency": "sats" });
    let made = ask(Method::POST, "/api/payments".into(), order).await;
    let invoice = made["lightningInvoice"].as_str().unwrap();
    scene.note_funding(0, invoice);
    scene.wallet(0).pay(invoice).await.unwrap();
    let id = made["invoiceId"].as_str().unwrap();
    until("a payment is paid", SOON, || async {
        let found = ask(Method::GET, format!("/api/payments/{id}"), json!({})).await;
        (found["status"] == "paid").then_some(())
    })
    .await;
    let address = scene.wallet(0).address().await.unwrap();
    let asked = json!({ "invoiceId": id, "amount": 2_000, "currency": "sats", "bitcoinAddress": address });
    let refund = ask(Method::POST, "/api/refunds".into(), asked).await;
    assert!(refund.get("error").is_none(), "{refund}");
    until("the coins are in a block", REST, || async {
        scene.network.mine(1).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let list = scene.network.satchel.command_json("coins", &["list"]).await.unwrap();
        list["coins"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
}

/// Payments from one wallet to the other through us need a channel that is announced.
async fn forwarded(scene: &Scene) {
    let before = channels(scene).await;
    let wallet = scene.wallet(1);
    let request = json!({"node_id": wallet.node_id().await.unwrap().to_string(),
        "address": wallet.p2p().to_string(), "amount_sat": 2_000_000, "push_sat": 500_000, "announced": true});
    scene.network.satchel.admin_post("/admin/v1/sync", json!({})).await.unwrap();
    scene.network.satchel.admin_post("/admin/v1/channels", request).await.unwrap();
    new_channel(scene, &before).await;
    scene.network.mine(8).await.unwrap();
    let earned = account(&equal(scene).await, "forwarding_income");
    let mut fees = 0;
    for msat in [1_000_000, 1_234_567, 5_001] {
        let paid = until("a payment goes through us", REST, || async {
            let invoice = wallet.invoice(InvoiceRequest::msat(msat)).await.unwrap();
            scene.wallet(0).pay(&invoice.invoice).await.ok()
        })
        .await;
        fees += i64::try_from(paid.fee_msat).unwrap();
    }
    assert!(fees > 0);
    let audit = equal(scene).await;
    assert_eq!(account(&audit, "forwarding_income"), earned - fees);
}

/// What is held is said to be under way, and bounds what may differ.
async fn in_flight(scene: &Scene) {
    let gift = scene.funded_gift(5_000, 0).await;
    let held = scene.hold_for(&gift, 1).await;
    scene.api.redeem(&gift.order_id, &held.invoice).await.ok();
    scene.wallet(1).wait_held(&held.payment_hash, SOON).await.unwrap();
    let audit = scene.audit().await;
    assert_eq!(audit["node"]["state"], "not_at_rest", "{audit}");
    assert!(audit["node"]["in_flight_msat"].as_i64().unwrap() >= 5_000_000, "{audit}");
    scene.wallet(1).claim(&held.payment_hash).await.unwrap();
    scene.received_once(&gift.order_id).await;
    equal(scene).await;
}

async fn restarted(scene: &Scene) {
    let before = equal(scene).await;
    scene.network.satchel.restart().await.unwrap();
    let after = equal(scene).await;
    assert_eq!(before["accounts"], after["accounts"]);
    scene.kill_at_rest().await;
    rises(&scene.network.satchel).await;
    let after = equal(scene).await;
    assert_eq!(before["accounts"], after["accounts"]);
    until("the channels are usable again", RECOVERY, || async {
        channels(scene).await.iter().all(|channel| channel["usable"] == true).then_some(())
    })
    .await;
    gift_in_and_out(scene, 1_500).await;
    equal(scene).await;
}

/// Closes a channel and mines until all of it is in the wallet.
async fn close(scene: &Scene, channel: &Value, force: bool, blocks: u32) -> Value {
    let before = equal(scene).await;
    let id = channel["user_channel_id"].as_str().unwrap();
    let path = format!("/admin/v1/channels/{id}/close");
    scene.network.satchel.admin_post(&path, json!({ "force": force })).await.unwrap();
    settled(scene, &before, channel, blocks).await
}

async fn settled(scene: &Scene, before: &Value, channel: &Value, blocks: u32) -> Value {
    let had = before["node"]["node"]["channels_msat"].as_i64().unwrap();
    until("the channel is gone", SOON, || async {
        let list = channels(scene).await;
        list.iter().all(|other| other["channel_id"] != channel["channel_id"]).then_some(())
    })
    .await;
    // The books stay right on the way: after each of these blocks they are equal or not at rest.
    for _ in 0..8 {
        scene.audit().await;
        scene.network.mine(1).await.unwrap();
    }
    let halfway = equal(scene).await;
    assert!(halfway["node"]["node"]["channels_msat"].as_i64().unwrap() <= had, "{halfway}");
    scene.network.mine(blocks).await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.network.mine(3).await.unwrap();
    }
    until("nothing is left of the closed channel", REST, || async {
        scene.network.mine(1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        (account(&equal(scene).await, "closing") == 0).then_some(())
    })
    .await;
    equal(scene).await
}

async fn closed_together(scene: &Scene) {
    let before = equal(scene).await;
    let list = channels(scene).await;
    let ours = list.iter().find(|channel| channel["outbound"] == true).unwrap();
    let after = close(scene, ours, false, 1).await;
    let lost = account(&after, "chain_fees") - account(&before, "chain_fees");
    assert!(lost > 0 && lost < 5_000_000, "{lost}");
    let theirs = list.iter().find(|channel| channel["outbound"] == false).unwrap();
    close(scene, theirs, false, 1).await;
}

async fn closed_by_force(scene: &Scene) {
    let before = equal(scene).await;
    let list = channels(scene).await;
    let ours = list.iter().find(|channel| channel["outbound"] == true).unwrap();
    let after = close(scene, ours, true, 160).await;
    let lost = account(&after, "chain_fees") - account(&before, "chain_fees");
    assert!(lost > 0 && lost < 20_000_000, "{lost}");
}

async fn closed_by_peer(scene: &Scene) {
    let before = equal(scene).await;
    let list = channels(scene).await;
    let channel = list.iter().max_by_key(|channel| channel["outbound_sat"].as_u64()).unwrap();
    let theirs = channel["channel_id"].as_str().unwrap();
    for wallet in &scene.network.wallets {
        if wallet.node_id().await.unwrap().to_string() == channel["node_id"].as_str().unwrap() {
            wallet.force_close(theirs).await.unwrap();
        }
    }
    scene.network.mine(1).await.unwrap();
    settled(scene, &before, channel, 160).await;
}

/// An entry is taken out of the file while satchel is stopped.
async fn removed(scene: &Scene) {
    equal(scene).await;
    let satchel = &scene.network.satchel;
    let file = satchel.data_dir().join("node-data").join("satchel.db");
    let file = if file.exists() { file } else { satchel.data_dir().join("satchel.db") };
    for (kind, account) in
        [("payout_paid", "lightning"), ("wallet_transaction", "capital"), ("charge_settled", "holders")]
    {
        satchel.stop().await.unwrap();
        let db = rusqlite::Connection::open(&file).unwrap();
        let (journal, msat): (i64, i64) = db
            .query_row(
                "SELECT e.journal, e.msat FROM entries e JOIN journals j ON j.id = e.journal
                 WHERE j.kind = ?1 AND e.account = ?2 ORDER BY j.id LIMIT 1",
                [kind, account],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        db.execute(
            "DELETE FROM entries WHERE journal = ?1 AND account = ?2",
            rusqlite::params![journal, account],
        )
        .unwrap();
        drop(db);
        satchel.start().await.unwrap();
        let output = satchel.command("audit", &["--json"]).await.unwrap();
        let audit: Value = serde_json::from_slice(&output.stdout).unwrap();
        let problems = audit["problems"].to_string();
        assert_eq!(audit["clean"], false);
        assert!(problems.contains(&format!("journal {journal} ({kind} of ")), "{problems}");
        satchel.stop().await.unwrap();
        let db = rusqlite::Connection::open(&file).unwrap();
        db.execute(
            "INSERT INTO entries (journal, account, msat) VALUES (?1, ?2, ?3)",
            rusqlite::params![journal, account, msat],
        )
        .unwrap();
        drop(db);
        satchel.start().await.unwrap();
    }
    equal(scene).await;
}
