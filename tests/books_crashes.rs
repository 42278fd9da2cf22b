//! The process dies while the books are brought up to the node, while money in suspense is settled, and while a payout
//! is ended by hand; and starts again: nothing is booked twice, and nothing is lost.

#![cfg(feature = "failpoints")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use common::doomed::Doomed;
use common::scene::account;
use common::{RECOVERY, SOON, Scene, case, until};
use regtest::InvoiceRequest;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn death_while_the_books_are_written_changes_nothing() {
    let scene = Scene::start("").await;
    for way in [Way::Operator, Way::Account, Way::Invoice] {
        case(&format!("suspense to {way:?}"), suspense(&scene, way)).await;
    }
    for (point, skip) in [("store.before_commit", 0), ("store.after_commit", 0)] {
        for paid in [true, false] {
            let name = format!("a payout settled as {}, {point}", if paid { "paid" } else { "failed" });
            case(&name, settling(&scene, point, skip, paid)).await;
        }
    }
    // At the end: each costs a channel.
    for (wallet, point) in [(0, "books.before_commit"), (1, "books.after_commit")] {
        case(&format!("a channel closes, {point}"), closing(&scene, wallet, point)).await;
    }
    scene.network.shutdown().await.unwrap();
}

/// To whom money in suspense goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Operator,
    Account,
    Invoice,
}

async fn in_suspense(scene: &Scene) -> Vec<Value> {
    let list = scene.network.satchel.command_json("suspense", &["list"]).await.unwrap();
    list["suspense"].as_array().unwrap().clone()
}

/// A gift that was paid for by another gift, and then from outside, too.
async fn paid_twice(scene: &Scene, sat: u64) -> Value {
    let (first, second) = (scene.funded_gift(sat, 0).await, scene.api.create(sat).await);
    scene.api.redeem(&first.order_id, &second.payreq).await.withdrawal_id();
    scene.api.wait_funded(&second.order_id).await;
    scene.note_funding(0, &second.payreq);
    scene.wallet(0).pay(&second.payreq).await.unwrap();
    let item = until("it is in suspense", SOON, || async { in_suspense(scene).await.pop() }).await;
    assert_eq!(item["amount_msat"], sat * 1_000);
    item
}

async fn suspense(scene: &Scene, way: Way) {
    let satchel = &scene.network.satchel;
    let item = paid_twice(scene, 2_000).await;
    let id = item["id"].to_string();
    let invoice = scene.wallet(1).invoice(InvoiceRequest::sat(2_000)).await.unwrap();
    if way == Way::Account {
        satchel
            .command_json("key", &["create", "k", "--scope", "payments", "--account", "kiosk"])
            .await
            .unwrap();
    }
    if way == Way::Invoice {
        scene.note_asked(1, "paid back", &invoice.payment_hash);
    }
    let mut arguments = vec!["settle", id.as_str()];
    arguments.extend(match way {
        Way::Operator => vec!["--operator"],
        Way::Account => vec!["--account", "kiosk"],
        Way::Invoice => vec!["--pay", invoice.invoice.as_str()],
    });
    let before = account(&scene.books_agree().await, "suspense");
    assert_eq!(before, -2_000_000);
    let doomed = Doomed::start(scene, "suspense.before_commit", 0).await;
    doomed.arm();
    let (answer, ()) = tokio::join!(satchel.command_json("suspense", &arguments), doomed.dies_and_rises());
    assert!(answer.is_err(), "{answer:?}");
    scene.replace_lost_channels().await;
    scene.network.wait_usable().await.unwrap();
    assert_eq!(in_suspense(scene).await, [item], "it is open as before");
    let settled = satchel.command_json("suspense", &arguments).await.unwrap();
    match satchel.command_json("suspense", &arguments).await {
        // The same invoice for the same item is the same payout.
        Ok(again) if way == Way::Invoice => assert_eq!(again["payout"], settled["payout"]),
        again => assert!(again.is_err(), "settled twice: {again:?}"),
    }
    until("it is settled", RECOVERY, || async { in_suspense(scene).await.is_empty().then_some(()) }).await;
    if way == Way::Invoice {
        scene.received_once("paid back").await;
    }
    if way == Way::Account {
        let shown = satchel.command_json("account", &["show", "kiosk"]).await.unwrap();
        assert_eq!(shown["account"]["balanceMsat"], 2_000_000);
    }
    let audit = scene.books_agree().await;
    assert_eq!((account(&audit, "suspense"), account(&audit, "in_flight")), (0, 0));
}

/// A payment of the operator's that its recipient holds is ended by hand while satchel dies over it.
async fn settling(scene: &Scene, point: &str, skip: u32, paid: bool) {
    let (satchel, wallet) = (&scene.network.satchel, scene.wallet(1));
    let invoice = wallet.invoice(InvoiceRequest::sat(2_500).hold()).await.unwrap();
    let name = format!("{point} {paid}");
    scene.note_asked(1, &name, &invoice.payment_hash);
    let made = satchel.admin_post("/admin/v1/pay", json!({ "invoice": invoice.invoice })).await.unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    wallet.wait_held(&invoice.payment_hash, SOON).await.unwrap();
    let preimage = wallet.preimage(&invoice.payment_hash).unwrap();
    let arguments = if paid {
        vec!["settle", id.as_str(), "--paid", preimage.as_str()]
    } else {
        vec!["settle", id.as_str(), "--failed", "--i-have-proof"]
    };
    let doomed = Doomed::start(scene, point, skip).await;
    until("its end is awaited", RECOVERY, || async {
        let shown = satchel.command_json("payout", &["show", &id]).await.unwrap();
        matches!(shown["status"].as_str(), Some("in_flight" | "unknown")).then_some(())
    })
    .await;
    doomed.arm();
    let (_answered_or_not, ()) =
        tokio::join!(satchel.command_json("payout", &arguments), doomed.dies_and_rises());
    scene.replace_lost_channels().await;
    scene.network.wait_usable().await.unwrap();
    let acts_done = async || {
        let shown = satchel.command_json("payout", &["show", &id]).await.unwrap();
        let acts = shown["acts"].as_array().unwrap().clone();
        let settled = acts.iter().filter(|act| act["act"] == "payout.settle" && act["outcome"] == "done");
        (shown["status"].as_str().unwrap().to_owned(), settled.count())
    };
    let (status, done) = acts_done().await;
    // The act and what it did are one transaction. A payment that is held can't be failed.
    assert_eq!(status == "paid", done == 1, "{status}, recorded {done} times");
    assert!(status != "failed", "an HTLC of it is in an open channel");
    if paid && done == 0 {
        satchel.command_json("payout", &arguments).await.unwrap();
    }
    wallet.claim(&invoice.payment_hash).await.unwrap();
    until("it is paid", RECOVERY, || async { (acts_done().await.0 == "paid").then_some(()) }).await;
    scene.received_once(&name).await;
    let audit = scene.books_agree().await;
    assert_eq!((account(&audit, "in_flight"), account(&audit, "loss")), (0, 0));
}

/// How many journals of a kind there are.
async fn journals(scene: &Scene, kind: &str) -> usize {
    let satchel = &scene.network.satchel;
    let file = satchel.data_dir().join("ledger.csv");
    let _none = std::fs::remove_file(&file);
    let name = file.display().to_string();
    satchel.command_json("export", &["ledger", "--output", &name]).await.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let mut found: Vec<_> = text
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|line| line.get(2) == Some(&kind))
        .map(|line| line[0].to_owned())
        .collect();
    found.dedup();
    found.len()
}

/// A wallet closes its channel by force, and satchel dies as it books that.
async fn closing(scene: &Scene, wallet: usize, point: &str) {
    let before = journals(scene, "channels_closed").await;
    let ours = scene.wallet(wallet).node_id().await.unwrap().to_string();
    let list = scene.network.satchel.admin_get("/admin/v1/channels").await.unwrap();
    let channel = list["channels"].as_array().unwrap().iter().find(|one| one["node_id"] == ours.as_str());
    let channel_id = channel.unwrap()["channel_id"].as_str().unwrap().to_owned();
    let doomed = Doomed::start(scene, point, 0).await;
    doomed.arm();
    scene.note_other_channels(wallet);
    scene.wallet(wallet).force_close(&channel_id).await.unwrap();
    let going = async {
        // The close must be seen in the chain; then a look at the books finds it.
        loop {
            let _ = scene.network.bitcoind.mine(1).await;
            let _ = scene.network.satchel.command("audit", &["--json"]).await;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    };
    tokio::select! {
        _ = going => {}
        () = doomed.dies_and_rises() => {}
    }
    let audit = scene.comes_to_rest().await;
    assert_eq!(audit["clean"], true, "{audit}");
    assert_eq!(journals(scene, "channels_closed").await, before + 1, "booked once");
    scene.replace_lost_channels().await;
}
