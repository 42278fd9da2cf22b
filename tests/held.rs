//! Charges that satchel claims itself, on a real node: the process dies at each point between a payment's coming
//! and its claim, and starts again. The payer's payment succeeds and is credited once.
//!
//! With the failpoint `operator.hold` the operator's invoices are such charges.

#![cfg(feature = "failpoints")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::time::Duration;

use common::doomed::Doomed;
use common::scene::account;
use common::{RECOVERY, Scene, case, until};
use serde_json::{Value, json};

/// Where a payment's coming can be cut off, and how many times the point is passed before.
const COMING: &[(&str, &[u32])] = &[
    ("charge.before_held_commit", &[0]),
    ("charge.after_held_commit", &[0]),
    ("charge.after_claim", &[0]),
    // The event of its coming, and that of its having been claimed.
    ("event.before_handled", &[0, 1]),
    ("event.after_handled", &[0, 1]),
    ("store.before_commit", &[0, 2, 4, 6]),
    ("store.after_commit", &[1, 3, 5]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_held_payment_is_credited_once_whatever_dies() {
    let scene = Scene::start("").await;
    case("paid inside, then from outside", paid_inside_first(&scene)).await;
    for (point, skips) in COMING {
        for skip in *skips {
            case(&format!("coming, {point} after {skip}"), coming(&scene, point, *skip)).await;
        }
    }
    case("absent until the payer has it back", absent_too_long(&scene)).await;
    eprintln!("channels closed: {}", scene.channels_closed().await);
    scene.close().await;
}

async fn invoice(scene: &Scene, sat: u64) -> String {
    let asked = json!({"amount_sat": sat, "description": "held"});
    let made = scene.network.satchel.admin_post("/admin/v1/invoice", asked).await.unwrap();
    let invoice = made["invoice"].as_str().unwrap().to_owned();
    scene.note_funding(0, &invoice);
    invoice
}

/// What the operator is owed, in msat.
async fn credited(scene: &Scene) -> i64 {
    -account(&scene.audit().await, "operator")
}

async fn coming(scene: &Scene, point: &str, skip: u32) {
    let before = credited(scene).await;
    let doomed = Doomed::start(scene, &format!("operator.hold=return;{point}"), skip).await;
    let invoice = invoice(scene, 6_000).await;
    doomed.arm();
    let dying = async {
        doomed.dies_and_rises().await;
        scene.replace_lost_channels().await > 0
    };
    let (paid, closed) = scene.pay_through(scene.wallet(0).pay(&invoice), dying).await;
    assert!(closed || paid.is_ok(), "{paid:?}");
    let expected = before + if paid.is_ok() { 6_000_000 } else { 0 };
    until("it is credited", RECOVERY, || async { (credited(scene).await == expected).then_some(()) }).await;
    scene.network.wait_usable().await.unwrap();
    scene.books_agree().await;
    assert_eq!(credited(scene).await, expected);
}

/// Dead before it has claimed, and for so long that the payer took the payment back on the chain: what satchel finds
/// at its return must not be claimed, and is not credited.
async fn absent_too_long(scene: &Scene) {
    let before = credited(scene).await;
    let doomed = Doomed::start(scene, "operator.hold=return;charge.after_held_commit", 0).await;
    let invoice = invoice(scene, 6_000).await;
    doomed.arm();
    let absent = async {
        doomed.dies().await;
        // Every time lock is over, and what it frees is confirmed.
        for _ in 0..60 {
            scene.network.mine(10).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        true
    };
    let (paid, _) = scene.pay_through(scene.wallet(0).pay(&invoice), absent).await;
    assert!(paid.is_err(), "{paid:?}");
    common::rises(&scene.network.satchel).await;
    scene.replace_lost_channels().await;
    scene.network.wait_usable().await.unwrap();
    tokio::time::sleep(Duration::from_secs(15)).await;
    scene.books_agree().await;
    assert_eq!(credited(scene).await, before);
}

/// The node refuses what comes for a charge that was settled inside the ledger.
async fn paid_inside_first(scene: &Scene) {
    let satchel = &scene.network.satchel;
    satchel.stop().await.unwrap();
    satchel.start_with(&[("FAILPOINTS".to_owned(), "operator.hold=return".to_owned())]).await.unwrap();
    scene.network.wait_usable().await.unwrap();

    let before = credited(scene).await;
    let first = invoice(scene, 4_000).await;
    scene.wallet(0).pay(&first).await.unwrap();
    until("it is credited", RECOVERY, || async {
        (credited(scene).await == before + 4_000_000).then_some(())
    })
    .await;

    let second = invoice(scene, 3_000).await;
    let payout = satchel.admin_post("/admin/v1/pay", json!({"invoice": second})).await.unwrap();
    assert_eq!((&payout["status"], &payout["fee_msat"]), (&json!("paid"), &json!(0)), "{payout}");
    assert_ne!(payout["preimage"], Value::Null, "{payout}");
    assert!(scene.wallet(0).pay(&second).await.is_err());
    let audit = scene.books_agree().await;
    assert_eq!((-account(&audit, "operator"), account(&audit, "suspense")), (before + 4_000_000, 0));
}
