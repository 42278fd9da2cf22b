//! LDK finds at start that its channel manager is older than a channel's monitor: it closes the channel and reports
//! the HTLCs as failed that the old manager had not committed, though the monitor has them and their recipients can
//! claim them on chain. Such a failure proves nothing: no voucher may open again because of it, and nobody may be
//! paid twice.
//!
//! Made reproducible by the failpoint `kv.hold_manager`: the manager that stays in the file is the one that was
//! written while the redemptions waited in the channel's holding cell.

#![cfg(feature = "failpoints")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bitcoin::hashes::Hash;
use bitcoin::hashes::sha256::Hash as PaymentHash;
use common::doomed::Doomed;
use common::{Gift, SOON, Scene, case, until};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Redemptions at once; one channel carries them all.
const GIFTS: u64 = 20;

/// The first manager write after arming, caused by the first HTLC, blocks LDK's background task, and with it the
/// message to the peer: all further HTLCs go into the holding cell. The second write has them there. All later ones are
/// acknowledged and not made.
const HOLD: &str = "kv.hold_manager=1*sleep(600)->1*off->return";

/// A peer's ping in that time lets the message go early.
const TRIES: usize = 6;

/// How many of the redemptions the manager must have in its holding cell.
const WAITING: usize = 10;

/// Longer than satchel needs after a start to act on what LDK reported.
const AFTER_START: Duration = Duration::from_secs(15);

/// Blocks in which every HTLC times out and is settled on chain.
const MOST_BLOCKS: u32 = 1_200;

/// A redeemed gift whose recipient has not decided yet.
struct Held {
    gift: Gift,
    payment_hash: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_close_pays_each_recipient_once() {
    let scene = Scene::start("").await;
    let held = case("redemptions are held when satchel dies", hold_and_die(&scene)).await;
    let mut opened = case("after the start", opened_after_start(&scene, &held)).await;
    let (claimed, left) = held.split_at(held.len() / 2);
    case("recipients claim, and are away until the close is buried", async {
        for held in claimed {
            scene.wallet(1).claim(&held.payment_hash).await.unwrap();
            received(&scene, held).await;
        }
        scene.wallet(1).stop().await.unwrap();
        for _ in 0..5 {
            scene.network.mine(2).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        opened.extend(redeem_opened(&scene, &held).await);
        scene.wallet(1).start().await.unwrap();
    })
    .await;
    case("claims are seen on chain", settle(&scene, claimed, &mut opened)).await;
    case("the others time out on chain", settle(&scene, left, &mut opened)).await;
    let mut twice = BTreeSet::new();
    for held in &held {
        if scene.times_received(&held.gift.order_id).await > 1 {
            twice.insert(held.gift.order_id.clone());
        }
    }
    assert!(
        opened.is_empty() && twice.is_empty(),
        "{} gifts opened again before the chain had decided: {opened:?}; {} were paid twice: {twice:?}",
        opened.len(),
        twice.len()
    );
    scene.replace_lost_channels().await;
    scene.comes_to_rest().await;
    scene.close().await;
}

/// Redeems gifts to hold invoices of wallet 1, waits until it holds them all, and kills satchel, whose manager in the
/// file has them in the holding cell.
async fn hold_and_die(scene: &Scene) -> Vec<Held> {
    let mut gifts = Vec::new();
    for number in 0..GIFTS {
        gifts.push(scene.funded_gift(3_000 + number, 0).await);
    }
    for _ in 0..TRIES {
        let doomed = Doomed::start_with(scene, HOLD).await;
        let held = redeem_at_once(scene, &doomed, &gifts).await;
        let waiting = in_holding_cell(scene, &held);
        if waiting >= WAITING {
            doomed.kill().await;
            return held;
        }
        eprintln!("   the manager in the file has {waiting} of them in the holding cell; once more");
        doomed.disarm();
        for held in &held {
            scene.wallet(1).fail(&held.payment_hash).await.unwrap();
        }
        for held in &held {
            scene.api.wait_spent(&held.gift.order_id, json!(false), SOON).await;
        }
    }
    panic!("the manager was never written at the wanted moment");
}

async fn redeem_at_once(scene: &Scene, doomed: &Doomed<'_>, gifts: &[Gift]) -> Vec<Held> {
    let (mut all, mut requests, mut redeeming) = (Vec::new(), Vec::new(), JoinSet::new());
    for gift in gifts {
        let invoice = scene.hold_for(gift, 1).await;
        requests.push((gift.order_id.clone(), invoice.invoice));
        all.push(Held { gift: gift.clone(), payment_hash: invoice.payment_hash });
    }
    doomed.arm();
    for (order_id, invoice) in requests {
        let api = scene.api.clone();
        redeeming.spawn(async move { api.redeem(&order_id, &invoice).await.withdrawal_id() });
    }
    redeeming.join_all().await;
    for held in &all {
        scene.wallet(1).wait_held(&held.payment_hash, SOON).await.unwrap();
    }
    all
}

/// How many of these HTLCs the channel manager in satchel's file has in a holding cell. One is written there as a zero,
/// the amount, the expiry and the payment hash; one that was sent has its number in front of the same.
fn in_holding_cell(scene: &Scene, held: &[Held]) -> usize {
    let path = scene.network.satchel.data_dir().join("satchel.db");
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT value FROM ldk_kv WHERE primary_ns = '' AND secondary_ns = '' AND key = 'manager'";
    let manager: Vec<u8> = file.query_row(sql, [], |row| row.get(0)).unwrap();
    let waits = |held: &&Held| {
        let hash = PaymentHash::from_str(&held.payment_hash).unwrap().to_byte_array();
        let mut start = vec![0];
        start.extend((held.gift.sat * 1_000).to_be_bytes());
        let length = start.len() + 4 + hash.len();
        manager.windows(length).any(|bytes| bytes.starts_with(&start) && bytes.ends_with(&hash))
    };
    held.iter().filter(waits).count()
}

/// Starts satchel, twice, and gives the gifts that it opened again though nothing is decided.
async fn opened_after_start(scene: &Scene, held: &[Held]) -> BTreeSet<String> {
    let satchel = &scene.network.satchel;
    let mut opened = BTreeSet::new();
    for _ in 0..2 {
        common::rises(satchel).await;
        assert!(scene.channels_closed().await > 0, "LDK closed no channel: its manager was not stale");
        let end = Instant::now() + AFTER_START;
        while Instant::now() < end {
            opened.extend(redeem_opened(scene, held).await);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        satchel.kill().await.unwrap();
    }
    common::rises(satchel).await;
    opened
}

/// Redeems what satchel opened again, as anybody who has the gift can; gives which these were.
async fn redeem_opened(scene: &Scene, held: &[Held]) -> BTreeSet<String> {
    let mut opened = BTreeSet::new();
    for held in held {
        let gift = scene.api.gift(&held.gift.order_id).await;
        if gift["spent"] == json!(false) {
            opened.insert(held.gift.order_id.clone());
            let invoice = scene.invoice_for(&held.gift, 0).await;
            scene.api.redeem(&held.gift.order_id, &invoice.invoice).await.withdrawal_id();
            scene.api.wait_spent(&held.gift.order_id, Value::Bool(true), SOON).await;
        }
    }
    opened
}

/// Mines until all of these are redeemed. What its recipient didn't claim opens again, when the chain has decided, and is
/// redeemed then; what was claimed must never open.
async fn settle(scene: &Scene, held: &[Held], opened: &mut BTreeSet<String>) {
    let mut blocks = 0;
    loop {
        let mut pending = 0;
        for held in held {
            let order_id = &held.gift.order_id;
            let spent = scene.api.gift(order_id).await["spent"].clone();
            if spent == json!(false) {
                if scene.times_received(order_id).await > 0 {
                    opened.insert(order_id.clone());
                }
                let invoice = scene.invoice_for(&held.gift, 0).await;
                scene.api.redeem(order_id, &invoice.invoice).await.withdrawal_id();
                scene.api.wait_spent(order_id, json!(true), SOON).await;
            } else if spent != json!(true) {
                pending += 1;
            }
        }
        if pending == 0 {
            break;
        }
        assert!(blocks < MOST_BLOCKS, "{pending} gifts are undecided after {blocks} blocks");
        scene.network.mine(12).await.unwrap();
        blocks += 12;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for held in held {
        received(scene, held).await;
    }
}

/// Waits until a wallet's own record says that it has a gift, however many times.
async fn received(scene: &Scene, held: &Held) {
    until("a wallet has it", SOON, || async {
        (scene.times_received(&held.gift.order_id).await > 0).then_some(())
    })
    .await;
}
