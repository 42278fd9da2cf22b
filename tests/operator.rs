//! What the operator does by hand, on a real network: coins sent through crashes at each point, channels opened at once
//! from one wallet, payouts settled by hand, and the log of all of it.

#![cfg(feature = "failpoints")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::time::{Duration, Instant};

use common::doomed::Doomed;
use common::{RECOVERY, SOON, Scene, case, until};
use regtest::InvoiceRequest;
use serde_json::{Value, json};

/// Where sending coins can be cut off.
const COINS: &[&str] =
    &["coins.before_send", "coins.after_send", "coins.after_sent_commit", "coins.before_paid"];

/// What is sent, in sat.
const SENT: u64 = 20_000;

async fn acts(scene: &Scene, kind: &str) -> Vec<Value> {
    let log = scene.network.satchel.command_json("log", &["--act", kind]).await.unwrap();
    log["acts"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_acts_are_done_once_and_recorded() {
    let scene = Scene::start("").await;
    case("two channels at once", two_channels(&scene)).await;
    for point in COINS {
        case(&format!("sending coins, {point}"), sending(&scene, point)).await;
    }
    case("a payment through a death", paying(&scene)).await;
    case("a payout settled by hand", settling(&scene)).await;
    case("all coins above the reserve", everything(&scene)).await;
    case("the ledger as a table", table(&scene)).await;
    scene.comes_to_rest().await;
    scene.close().await;
}

/// Mines until coins are six blocks deep.
async fn paid(scene: &Scene, id: &Value) -> Value {
    let path = format!("/admin/v1/coins/{id}");
    let end = Instant::now() + RECOVERY;
    loop {
        let coins = scene.network.satchel.admin_get(&path).await.unwrap();
        if coins["status"] == "paid" {
            return coins;
        }
        assert!(Instant::now() < end, "stuck: {coins}");
        scene.network.mine(1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Of two channels that are opened at once each that was said to be opened becomes ready.
async fn two_channels(scene: &Scene) {
    let satchel = &scene.network.satchel;
    // All in one coin, so that both must take it.
    let address = satchel.admin_post("/admin/v1/address", json!({})).await.unwrap();
    let address = address["address"].as_str().unwrap().to_owned();
    let sent = satchel.command_json("send", &[&address, "--all"]).await.unwrap();
    paid(scene, &sent["id"]).await;
    let mut orders = Vec::new();
    for wallet in &scene.network.wallets {
        let node_id = wallet.node_id().await.unwrap().to_string();
        orders
            .push(json!({ "node_id": node_id, "address": wallet.p2p().to_string(), "amount_sat": 200_000 }));
    }
    let open = |order: Value| satchel.admin_post("/admin/v1/channels", order);
    let (one, other) = tokio::join!(open(orders[0].clone()), open(orders[1].clone()));
    let opened: Vec<String> = [one, other]
        .into_iter()
        .filter_map(|answer| match answer {
            Ok(opened) => Some(opened["user_channel_id"].as_str().unwrap().to_owned()),
            Err(refused) => {
                assert!(format!("{refused:?}").contains("not seen"), "{refused:?}");
                None
            }
        })
        .collect();
    assert!(!opened.is_empty());
    for wallet in 0..scene.network.wallets.len() {
        scene.note_other_channels(wallet);
    }
    let end = Instant::now() + RECOVERY;
    loop {
        scene.network.mine(2).await.unwrap();
        let list = satchel.admin_get("/admin/v1/channels").await.unwrap();
        let ready = |id: &String| {
            let channels = list["channels"].as_array().unwrap();
            channels.iter().any(|channel| channel["user_channel_id"] == **id && channel["ready"] == true)
        };
        if opened.iter().all(ready) {
            break;
        }
        assert!(Instant::now() < end, "opened {opened:?}, but there are {list}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let told = acts(scene, "channel.open").await;
    let done = told.iter().filter(|act| act["outcome"] == "done").count();
    assert!(done >= opened.len() && told.iter().all(|act| act["outcome"] != "begun"), "{told:?}");
}

/// Coins that are sent while satchel dies arrive once.
async fn sending(scene: &Scene, point: &str) {
    let satchel = &scene.network.satchel;
    let address = scene.wallet(1).address().await.unwrap();
    let asked = json!({ "address": address, "amount_sat": SENT, "sat_per_vb": 2 });
    let doomed = Doomed::start(scene, point, 0).await;
    doomed.arm();
    let going = async {
        let _answered_or_not = satchel.admin_post("/admin/v1/send", asked.clone()).await;
        while point == "coins.before_paid" && scene.coins_at(&address).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(300)).await;
            scene.network.bitcoind.mine(1).await.unwrap();
        }
        if point == "coins.before_paid" {
            scene.network.bitcoind.mine(6).await.unwrap();
        }
    };
    tokio::join!(going, doomed.dies_and_rises());
    scene.replace_lost_channels().await;
    scene.network.wait_usable().await.unwrap();
    let mut coins = satchel.admin_post("/admin/v1/send", asked.clone()).await.unwrap();
    // What was signed and not broadcast before the crash, nobody can tell from what was never signed.
    let lost = ["coins.before_send", "coins.after_send"].contains(&point)
        && scene.network.bitcoind.mempool_count().await.unwrap() == 0;
    if lost {
        scene.network.mine(2).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(satchel.admin_post("/admin/v1/send", asked.clone()).await.unwrap()["status"], "sending");
        let id = coins["id"].to_string();
        let settled = satchel.command_json("coins", &["settle", &id, "--not-sent"]).await.unwrap();
        assert_eq!(settled["status"], "failed");
        coins = satchel.admin_post("/admin/v1/send", asked).await.unwrap();
    }
    paid(scene, &coins["id"]).await;
    assert_eq!(scene.coins_at(&address).await, [SENT], "{point}");
    let recorded = acts(scene, "send").await;
    let of_this = recorded
        .iter()
        .filter(|act| act["details"]["address"] == address.as_str() && act["outcome"] == "done")
        .count();
    assert_eq!(of_this, if lost { 2 } else { 1 }, "{recorded:?}");
}

/// A payment whose queueing died is neither made nor recorded; one that was queued is both, once.
async fn paying(scene: &Scene) {
    let satchel = &scene.network.satchel;
    for (point, first) in [("payout.before_queue_commit", false), ("payout.after_dispatching", true)] {
        let invoice = scene.wallet(1).invoice(InvoiceRequest::sat(1_500)).await.unwrap();
        scene.note_asked(1, point, &invoice.payment_hash);
        let asked = json!({ "invoice": invoice.invoice });
        let doomed = Doomed::start(scene, point, 0).await;
        doomed.arm();
        let going = async { satchel.admin_post("/admin/v1/pay", asked.clone()).await.is_ok() };
        let _ = tokio::join!(going, doomed.dies_and_rises());
        scene.replace_lost_channels().await;
        scene.network.wait_usable().await.unwrap();
        let of_this = async || {
            let recorded = acts(scene, "pay").await;
            let hash = invoice.payment_hash.as_str();
            recorded.iter().filter(|act| act["details"]["payment_hash"] == hash).count()
        };
        assert_eq!(of_this().await, usize::from(first), "{point}");
        satchel.admin_post("/admin/v1/pay", asked).await.unwrap();
        until("it arrives", RECOVERY, || async { (scene.times_received(point).await == 1).then_some(()) })
            .await;
        assert_eq!(of_this().await, 1, "{point}");
    }
    scene.books_agree().await;
}

/// A payout that the recipient holds is listed, and can neither be failed nor paid with a wrong receipt.
async fn settling(scene: &Scene) {
    let satchel = &scene.network.satchel;
    let invoice = scene.wallet(1).invoice(InvoiceRequest::sat(2_500).hold()).await.unwrap();
    scene.note_asked(1, "held", &invoice.payment_hash);
    let payout = satchel.admin_post("/admin/v1/pay", json!({ "invoice": invoice.invoice })).await.unwrap();
    let id = payout["id"].as_str().unwrap().to_owned();
    until("it is held", SOON, || async {
        let list = satchel.command_json("payout", &["list", "--status", "in_flight"]).await.unwrap();
        list["payouts"].as_array().unwrap().iter().any(|one| one["id"] == id.as_str()).then_some(())
    })
    .await;
    scene.wallet(1).wait_held(&invoice.payment_hash, SOON).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let refused = satchel.command_json("payout", &["settle", &id, "--failed", "--i-have-proof"]).await;
    assert!(format!("{refused:?}").contains("open channel"), "{refused:?}");
    let wrong = "ab".repeat(32);
    let refused = satchel.command_json("payout", &["settle", &id, "--paid", &wrong]).await;
    assert!(format!("{refused:?}").contains("not the payment hash"), "{refused:?}");
    let held = satchel.command_json("payout", &["list", "--held", "1"]).await.unwrap();
    assert_eq!(held["payouts"][0]["id"], id.as_str(), "{held}");
    scene.wallet(1).claim(&invoice.payment_hash).await.unwrap();
    let shown = until("it is paid", SOON, || async {
        let shown = satchel.command_json("payout", &["show", &id]).await.unwrap();
        (shown["status"] == "paid").then_some(shown)
    })
    .await;
    let history: Vec<_> = shown["history"].as_array().unwrap().iter().map(|event| &event["what"]).collect();
    assert_eq!(history, ["payout_queued", "given_to_the_node", "payout_paid"]);
    let told: Vec<_> = shown["acts"].as_array().unwrap().iter().map(|act| &act["outcome"]).collect();
    assert_eq!(told, ["done", "refused", "refused"]);
    scene.books_agree().await;
}

/// The wallet is emptied but for the reserve.
async fn everything(scene: &Scene) {
    let satchel = &scene.network.satchel;
    scene.network.mine(6).await.unwrap();
    let address = scene.wallet(0).address().await.unwrap();
    let sent = satchel.command_json("send", &[&address, "--all", "--feerate", "3"]).await.unwrap();
    let coins = paid(scene, &sent["id"]).await;
    let got = scene.coins_at(&address).await;
    assert_eq!(got.len(), 1);
    assert_eq!(coins["amount_msat"], got[0] * 1_000, "what arrived is what the books say");
    let node = satchel.admin_get("/admin/v1/node").await.unwrap();
    let (left, reserve) = (&node["balances"]["onchain_sat"], &node["balances"]["onchain_reserve_sat"]);
    assert!(
        left.as_u64() >= reserve.as_u64() && left.as_u64().unwrap() < reserve.as_u64().unwrap() + 1_000,
        "{node}"
    );
}

/// Debits are credits, to the msat.
async fn table(scene: &Scene) {
    let satchel = &scene.network.satchel;
    let file = satchel.data_dir().join("ledger.csv");
    let name = file.display().to_string();
    let made = satchel.command_json("export", &["ledger", "--output", &name]).await.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    assert_eq!(lines.next().unwrap(), "journal,at,kind,subject,account,debitSats,creditSats");
    let msat = |text: &str| {
        let (sats, rest) = text.split_once('.').unwrap_or((text, ""));
        if text.is_empty() { 0 } else { format!("{sats}{rest:0<3}").parse::<i64>().unwrap() }
    };
    let lines: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(made["lines"], lines.len());
    assert_eq!(lines.iter().map(|line| msat(line[5]) - msat(line[6])).sum::<i64>(), 0);
}
