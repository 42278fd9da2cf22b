//! Accounts on a real network: a shop earns by payments and by sold requests, sees its balance and its statement, and
//! takes all of it out by each kind of target: once under fifty requests at once, and once or not at all through a
//! crash at each named point of a withdrawal's way.
//!
//! One wallet, which is satchel's only peer: without announced channels nobody else could be asked for the invoice of
//! an offer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;
#[cfg(feature = "failpoints")]
#[path = "accounts/deaths.rs"]
mod deaths;
#[path = "accounts/world.rs"]
mod world;

use common::scene::account;
use common::{SOON, case, until};
use serde_json::json;
use tokio::task::JoinSet;
use world::{AT_ONCE, KINDS, Kind, Target, WITHDRAWALS, World};

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_balance_is_withdrawn_once_by_each_kind_of_target() {
    let world = World::start().await;
    for kind in KINDS {
        case(&format!("{kind:?}"), all_of_it(&world, kind)).await;
    }
    case("statement", statement(&world)).await;
    case("command line", command_line(&world)).await;
    assert_eq!(world.scene.channels_closed().await, 0);
    world.scene.close().await;
}

/// Fifty requests at once for all that there is: half of them the same request, half others.
async fn all_of_it(world: &World, kind: Kind) {
    let World { scene, shop, .. } = world;
    shop.earns(scene, &format!("{kind:?}")).await;
    let (before, _) = shop.has().await;
    let target = world.target(kind).await;
    let body = json!({ "target": target.text });
    let mut asked = JoinSet::new();
    for number in 0..AT_ONCE {
        let (shop, body) = (shop.clone(), body.clone());
        let key = if number % 2 == 0 { format!("{kind:?}") } else { format!("{kind:?} {number}") };
        asked.spawn(async move { shop.post(WITHDRAWALS, &body, &key).await });
    }
    let answers = asked.join_all().await;
    let mut made: Vec<_> = answers
        .iter()
        .filter(|answer| matches!(answer.status, 200 | 201))
        .map(|answer| answer.body["withdrawalId"].as_str().unwrap().to_owned())
        .collect();
    for refused in answers.iter().filter(|answer| !matches!(answer.status, 200 | 201)) {
        let code = refused.body["code"].as_str().unwrap();
        assert!(matches!(code, "INSUFFICIENT_BALANCE" | "AMOUNT_TOO_SMALL"), "{refused:?}");
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 1, "{answers:?}");
    let done = world.ends(&target, &made[0], false).await;
    assert_eq!(done["status"], "completed", "{done}");
    let (amount, fee) = (done["amountMsat"].as_u64().unwrap(), done["feeMsat"].as_u64().unwrap());
    until("it is with the recipient", SOON, || async {
        (!world.arrived(&target).await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(world.arrived(&target).await, [amount]);
    world.note(&target).await;
    assert_eq!(shop.has().await, (before - amount - fee, 0));
    // What is left is the reserve that was not used, and what is no whole sat.
    assert!(before - amount <= done["reserveMsat"].as_u64().unwrap() + 999, "{done}");
    let audit = scene.books_agree().await;
    assert_eq!((account(&audit, "withheld"), account(&audit, "in_flight")), (0, 0));
}

async fn statement(world: &World) {
    let page = world.shop.get("/v1/account/statement?limit=500").await;
    let lines = page["lines"].as_array().unwrap();
    let sum: i64 = lines.iter().map(|line| line["amountMsat"].as_i64().unwrap()).sum();
    assert_eq!(u64::try_from(sum).unwrap(), world.shop.has().await.0);
    for (kind, count) in [("payment", 5), ("l402", 5), ("withdrawal", 5), ("fee_reserved", 5)] {
        assert_eq!(lines.iter().filter(|line| line["kind"] == kind).count(), count, "{kind}");
    }
    let table = world.shop.get("/v1/account/statement.csv").await;
    assert_eq!(table.as_str().unwrap().lines().count(), lines.len() + 1);
}

/// The operator sees all accounts, and takes out for them.
async fn command_line(world: &World) {
    let satchel = &world.scene.network.satchel;
    let list = satchel.command_json("account", &["list"]).await.unwrap();
    let shop = list["accounts"].as_array().unwrap().iter().find(|account| account["account"] == "shop");
    assert_eq!(shop.unwrap()["balance_msat"], world.shop.has().await.0);
    world.shop.earns(&world.scene, "by hand").await;
    let target = world.target(Kind::Invoice).await;
    let arguments = ["withdraw", "shop", &target.text, "--amount", "1234"];
    let done = satchel.command_json("account", &arguments).await.unwrap();
    assert_eq!((&done["status"], &done["amountSat"]), (&json!("completed"), &json!(1_234)));
    assert_eq!(world.arrived(&target).await, [1_234_000]);
    // A command whose answer was lost is repeated with its key: nothing is withdrawn twice.
    let open = world.target(Kind::Offer).await;
    let arguments = ["withdraw", "shop", &open.text, "--amount", "777", "--idempotency-key", "lost"];
    let first = satchel.command_json("account", &arguments).await.unwrap();
    let again = satchel.command_json("account", &arguments).await.unwrap();
    assert_eq!((&first["status"], &again["withdrawalId"]), (&json!("completed"), &first["withdrawalId"]));
    assert_eq!(world.arrived(&open).await, [777_000]);
    world.note(&open).await;
    let shown = satchel.command_json("account", &["show", "shop"]).await.unwrap();
    assert_eq!(shown["withdrawals"][0]["withdrawalId"], first["withdrawalId"]);
    assert_eq!(shown["withdrawals"][1]["withdrawalId"], done["withdrawalId"]);
    let lines = satchel.command_json("account", &["statement", "shop"]).await.unwrap();
    assert!(lines["lines"].as_array().unwrap().len() > 20);
    let table = satchel.command("account", &["statement", "shop", "--csv"]).await.unwrap();
    let own = world.shop.get("/v1/account/statement.csv").await;
    assert_eq!(String::from_utf8_lossy(&table.stdout), own.as_str().unwrap());
    let file = satchel.data_dir().join("statement.csv").display().to_string();
    satchel.command_json("account", &["statement", "shop", "--output", &file]).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), own.as_str().unwrap());
    // A sweep takes the rest.
    world.target(Kind::LightningAddress).await;
    let address = format!("shop@127.0.0.1:{}", world.host.port.get().unwrap());
    satchel.command_json("account", &["sweep", "shop", &address, "--min-sat", "1000"]).await.unwrap();
    until("it is swept", SOON, || async { (world.shop.has().await.0 < 1_000_000).then_some(()) }).await;
    until("it has arrived", SOON, || async { (world.shop.has().await.1 == 0).then_some(()) }).await;
    let swept = Target { kind: Kind::LightningAddress, text: address, behind: String::new() };
    assert_eq!(world.arrived(&swept).await.len(), 1);
    world.note(&swept).await;
    satchel.command_json("account", &["sweep", "shop", "--off"]).await.unwrap();
    assert!(satchel.command_json("account", &["show", "nobody"]).await.is_err());
}
