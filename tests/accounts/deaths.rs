//! Satchel dies at each named point of a withdrawal's way, and of a sweep's: what was asked for is paid once, or it is in
//! the balance.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::common::case;
use super::common::doomed::Doomed;
use super::common::scene::account;
use super::common::{SOON, until};
use super::world::{Kind, WITHDRAWALS, World};

/// How long a withdrawal to an offer may be in doubt: LDK gives up waiting for an invoice within a minute, and what was
/// not sent is proved some seconds after the node has seen the chain.
const IN_DOUBT: Duration = Duration::from_secs(120);

/// Points of a withdrawal over Lightning, and how many times each is passed before.
const LIGHTNING: &[(&str, &[u32])] = &[
    ("payout.before_queue_commit", &[0]),
    ("account.after_withdrawal", &[0]),
    ("payout.after_dispatching", &[0]),
    ("payout.after_send", &[0]),
    ("event.before_handled", &[0]),
    ("event.after_handled", &[0]),
    ("store.before_commit", &[0, 2]),
    ("store.after_commit", &[0, 3]),
];

const OFFER: &[(&str, &[u32])] = &[
    ("offer_payout.before_queue_commit", &[0]),
    ("account.after_withdrawal", &[0]),
    ("offer_payout.before_send", &[0]),
    ("offer_payout.after_send", &[0]),
    ("offer_payout.after_sent_commit", &[0]),
    ("offer_payout.before_paid", &[0]),
    ("event.before_handled", &[0]),
    ("event.after_handled", &[0]),
];

const COINS: &[(&str, &[u32])] = &[
    ("account.after_withdrawal", &[0]),
    ("coins.before_send", &[0]),
    ("coins.after_send", &[0]),
    ("coins.after_sent_commit", &[0]),
    ("coins.before_paid", &[0]),
];

const NAMES: &[(&str, &[u32])] = &[("account.after_withdrawal", &[0]), ("store.before_commit", &[1])];

#[tokio::test(flavor = "multi_thread")]
async fn death_at_any_point_leaves_it_paid_once_or_in_the_balance() {
    let world = World::start().await;
    for (kind, points) in [
        (Kind::Invoice, LIGHTNING),
        (Kind::LightningAddress, NAMES),
        (Kind::Offer, OFFER),
        (Kind::Name, NAMES),
        (Kind::OnChain, COINS),
    ] {
        for (point, skips) in points {
            for skip in *skips {
                let name = format!("{kind:?}, {point} after {skip}");
                case(&name, dying(&world, kind, point, *skip, &name)).await;
            }
        }
    }
    eprintln!("channels closed: {}", world.scene.channels_closed().await);
    world.scene.close().await;
}

async fn dying(world: &World, kind: Kind, point: &str, skip: u32, name: &str) {
    let World { scene, shop, .. } = world;
    shop.earns(scene, name).await;
    let before = shop.has().await.0;
    let target = world.target(kind).await;
    let body = json!({ "target": target.text, "amountSat": 3_000 });
    let doomed = Doomed::start(scene, point, skip).await;
    doomed.arm();
    let going = async {
        let _answered_or_not = shop.try_ask(Method::POST, WITHDRAWALS, Some(&body), name).await;
        // One crash waits for the blocks.
        while point == "coins.before_paid" && world.arrived(&target).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(300)).await;
            scene.network.bitcoind.mine(1).await.unwrap();
        }
        if point == "coins.before_paid" {
            scene.network.bitcoind.mine(6).await.unwrap();
        }
    };
    tokio::join!(going, doomed.dies_and_rises());
    let lost = scene.replace_lost_channels().await > 0;
    scene.network.wait_usable().await.unwrap();
    let asked = shop.post(WITHDRAWALS, &body, name).await;
    assert!(matches!(asked.status, 200 | 201), "{asked:?}");
    let id = asked.body["withdrawalId"].as_str().unwrap();
    settle_by_hand(world, kind, point, id).await;
    let done = world.ends(&target, id, lost).await;
    let (now, pending) = shop.has().await;
    assert_eq!(pending, 0);
    if done["status"] == "failed" {
        assert_eq!(now, before, "{done}");
        assert_eq!(world.arrived(&target).await, [0_u64; 0], "arrived and is in the balance: {done}");
    } else {
        assert_eq!(now, before - 3_000_000 - done["feeMsat"].as_u64().unwrap(), "{done}");
        until("it is with the recipient", SOON, || async {
            (!world.arrived(&target).await.is_empty()).then_some(())
        })
        .await;
        assert_eq!(world.arrived(&target).await, [3_000_000], "{done}");
    }
    world.note(&target).await;
    scene.books_agree().await;
}

/// What nobody can tell from here waits for a person.
async fn settle_by_hand(world: &World, kind: Kind, point: &str, id: &str) {
    let satchel = &world.scene.network.satchel;
    match (kind, point) {
        // Nothing was sent, or LDK kept it in memory only while it waited for the offer's maker: the node's state has
        // no trace of it, and it ends by itself. Or there is one, and an event comes.
        (Kind::Offer | Kind::Name, _) => {
            until("nobody is in doubt any more", IN_DOUBT, || async {
                (world.shop.withdrawal(id).await["inDoubt"] != true).then_some(())
            })
            .await;
        }
        (Kind::OnChain, "coins.before_send" | "coins.after_send")
            if world.scene.network.bitcoind.mempool_count().await.unwrap() == 0 =>
        {
            world.scene.network.mine(2).await.unwrap();
            tokio::time::sleep(Duration::from_secs(5)).await;
            let list = satchel.command_json("coins", &["list"]).await.unwrap();
            if list["coins"][0]["status"] == "sending" {
                let first = list["coins"][0]["id"].to_string();
                satchel.command_json("coins", &["settle", &first, "--not-sent"]).await.unwrap();
            }
        }
        _ => {}
    }
}

/// Points of a sweep to a lightning address, and how many times each is passed before.
const SWEEP: &[(&str, u32)] = &[
    ("account.after_withdrawal", 0),
    ("payout.before_queue_commit", 0),
    ("payout.after_dispatching", 0),
    ("payout.after_send", 0),
    ("event.before_handled", 0),
];

/// The next try is put off for a minute before each.
const NEXT_SWEEP: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn death_during_a_sweep_sends_all_of_it_once() {
    let world = World::start().await;
    for (point, skip) in SWEEP {
        case(&format!("{point} after {skip}"), sweeping(&world, point, *skip)).await;
    }
    eprintln!("channels closed: {}", world.scene.channels_closed().await);
    world.scene.close().await;
}

/// What an account earns goes out by itself while satchel dies: by the recipient's own record once.
async fn sweeping(world: &World, point: &str, skip: u32) {
    let World { scene, shop, .. } = world;
    let satchel = &scene.network.satchel;
    shop.earns(scene, &format!("swept {point} {skip}")).await;
    let before = shop.has().await.0;
    let target = world.target(Kind::LightningAddress).await;
    let doomed = Doomed::start(scene, point, skip).await;
    doomed.arm();
    let arguments = ["sweep", "shop", target.text.as_str(), "--min-sat", "1000"];
    let (_answered_or_not, ()) =
        tokio::join!(satchel.command_json("account", &arguments), doomed.dies_and_rises());
    let lost = scene.replace_lost_channels().await > 0;
    scene.network.wait_usable().await.unwrap();
    satchel.command_json("account", &arguments).await.unwrap();
    let left = until("it is swept, and nothing is under way", NEXT_SWEEP, || async {
        if lost {
            scene.network.mine(6).await.unwrap();
        }
        let (left, pending) = shop.has().await;
        (left < 1_000_000 && pending == 0).then_some(left)
    })
    .await;
    until("it is with the recipient", SOON, || async {
        (!world.arrived(&target).await.is_empty()).then_some(())
    })
    .await;
    satchel.command_json("account", &["sweep", "shop", "--off"]).await.unwrap();
    let arrived = world.arrived(&target).await;
    let shown = satchel.command_json("account", &["show", "shop"]).await.unwrap();
    let done: Vec<_> = shown["withdrawals"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["target"] == target.text.as_str() && one["status"] == "completed")
        .take(arrived.len())
        .map(|one| (one["amountMsat"].as_u64().unwrap(), one["feeMsat"].as_u64().unwrap()))
        .collect();
    // The host gives a fresh invoice to each try: what was withdrawn is what came, and the rest is in the balance.
    assert_eq!(done.iter().map(|(amount, _)| *amount).sum::<u64>(), arrived.iter().sum::<u64>(), "{shown}");
    assert_eq!(left, before - done.iter().map(|(amount, fee)| amount + fee).sum::<u64>(), "{shown}");
    world.note(&target).await;
    let audit = scene.books_agree().await;
    assert_eq!((account(&audit, "withheld"), account(&audit, "in_flight")), (0, 0));
}
