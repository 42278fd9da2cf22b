//! The process dies at each named point of a tip's way, and starts again: what was promised is kept, what was
//! not can be done again, and no tip is paid out twice.

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
use common::tips::{Address, Person, done, id, ids, invoice, refusal, shown, status, wait, withdrawal};
use common::{RECOVERY, SOON, Scene, case};
use regtest::InvoiceRequest;
use serde_json::{Value, json};

type Points = &'static [(&'static str, &'static [u32])];

/// Where a withdrawal can be cut off, and how many times the point is passed before.
const WITHDRAWAL: Points = &[
    ("payout.before_queue_commit", &[0]),
    ("tip.after_withdraw", &[0]),
    ("payout.after_dispatching", &[0]),
    ("payout.after_send", &[0]),
    ("event.before_handled", &[0]),
    ("event.after_handled", &[0]),
    ("store.before_commit", &[0, 1, 3, 7]),
    ("store.after_commit", &[0, 1, 4, 8]),
];

/// Where a refund to an address can be.
const REFUND: Points = &[
    ("tip.refund_put_off", &[0]),
    ("tip.refund_asked", &[0]),
    ("payout.before_queue_commit", &[0]),
    ("tip.refund_begun", &[0]),
    ("payout.after_dispatching", &[0]),
    ("payout.after_send", &[0]),
    ("event.before_handled", &[0]),
];

/// Where the payment of a group can be.
const FUNDING: Points =
    &[("event.before_handled", &[0]), ("event.after_handled", &[0]), ("store.before_commit", &[0, 2, 4])];

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_point_of_a_tips_way_costs_nobody_anything() {
    let scene = Scene::start("").await;
    let tipper = Person::tipper(&scene).await;
    for (point, skip) in all(FUNDING) {
        case(&format!("funding a group, {point} after {skip}"), funding(&scene, &tipper, point, skip)).await;
    }
    for point in ["tip.before_claim_commit", "tip.after_claim", "store.before_commit", "store.after_commit"] {
        case(&format!("claiming, {point}"), claiming(&scene, &tipper, point)).await;
    }
    for (point, skip) in all(WITHDRAWAL) {
        case(&format!("withdrawing, {point} after {skip}"), withdrawing(&scene, &tipper, point, skip)).await;
    }
    for point in ["payout.before_queue_commit", "tip.after_withdraw", "payout.after_send"] {
        case(&format!("scanned, {point}"), scanned(&scene, &tipper, point)).await;
    }
    for point in
        ["tip.before_reclaim_commit", "tip.after_reclaim", "store.before_commit", "store.after_commit"]
    {
        case(&format!("taking back, {point}"), taking_back(&scene, &tipper, point)).await;
    }
    for (point, skip) in all(REFUND) {
        case(&format!("refunding, {point} after {skip}"), refunding(&scene, &tipper, point, skip)).await;
    }
    eprintln!("channels closed: {}", scene.channels_closed().await);
    scene.close().await;
}

fn all(points: Points) -> impl Iterator<Item = (&'static str, u32)> {
    points.iter().flat_map(|(point, skips)| skips.iter().map(move |skip| (*point, *skip)))
}

/// All of a group or none of it.
async fn funding(scene: &Scene, tipper: &Person, point: &str, skip: u32) {
    let group = tipper.create(1_000, json!({ "quantity": 5 })).await;
    let (tips, text) = (ids(&group), group["invoice"].as_str().unwrap());
    scene.note_funding(0, text);
    let doomed = Doomed::start(scene, point, skip).await;
    doomed.arm();
    let dying = async {
        doomed.dies_and_rises().await;
        let now = states(scene, &tips).await;
        assert!(now.iter().all(|state| *state == now[0]), "half a group: {now:?}");
        scene.replace_lost_channels().await > 0
    };
    let (paid, _) = scene.pay_through(scene.wallet(0).pay(text), dying).await;
    scene.network.wait_usable().await.unwrap();
    if paid.is_err() {
        assert!(states(scene, &tips).await.iter().all(|state| state == "UNFUNDED"));
        scene.wallet(0).pay(text).await.unwrap();
    }
    for tip in &tips {
        wait(scene, tip, "UNSEEN", SOON).await;
    }
    let guest = Person::guest(scene).await;
    for tip in &tips {
        done(&guest.claim(tip).await);
    }
    ends_withdrawn_once(scene, &guest, "tippee", &tips, 5_000, None).await;
    scene.books_agree().await;
}

async fn states(scene: &Scene, tips: &[String]) -> Vec<String> {
    let mut states = Vec::new();
    for tip in tips {
        states.push(status(scene, tip).await);
    }
    states
}

/// Somebody's, or still to be had; and whoever was told that it is theirs has it.
async fn claiming(scene: &Scene, tipper: &Person, point: &str) {
    let tip = tipper.give(scene, 2_000, json!({})).await;
    let guest = Person::guest(scene).await;
    done(&guest.post(&format!("/api/tippee/tips/{}/markSeen", id(&tip)), json!({})).await);
    let doomed = Doomed::start(scene, point, 0).await;
    doomed.arm();
    let path = format!("/api/tippee/tips/{}/claim", id(&tip));
    assert!(guest.try_post(&path, json!({})).await.is_err(), "it should have died");
    doomed.dies_and_rises().await;
    scene.replace_lost_channels().await;
    let before = point.contains("before");
    assert_eq!(status(scene, id(&tip)).await, if before { "SEEN" } else { "CLAIMED" });
    let other = Person::guest(scene).await;
    if before {
        done(&guest.claim_seen(id(&tip)).await);
    }
    assert_eq!(refusal(&other.claim_seen(id(&tip)).await), (409, "TIP_CLAIMED"));
    ends_withdrawn_once(scene, &guest, "tippee", &[id(&tip).to_owned()], 2_000, None).await;
    scene.books_agree().await;
}

/// Two tips in one payout.
async fn withdrawing(scene: &Scene, tipper: &Person, point: &str, skip: u32) {
    let group = tipper.give(scene, 2_000, json!({ "quantity": 2 })).await;
    let (tips, guest) = (ids(&group), Person::guest(scene).await);
    for tip in &tips {
        done(&guest.claim(tip).await);
    }
    let target = invoice(scene, &tips[0], 1, InvoiceRequest::sat(4_000)).await;
    let doomed = Doomed::start(scene, point, skip).await;
    doomed.arm();
    let (_answered_or_not, ()) = tokio::join!(
        guest.try_post("/api/invoices", withdrawal("tippee", &target.invoice, None)),
        doomed.dies_and_rises(),
    );
    ends_withdrawn_once(scene, &guest, "tippee", &tips, 4_000, Some(target.invoice)).await;
    scene.books_agree().await;
}

/// Waits until tips are withdrawn by one payout; begins it again if it wasn't begun, or failed.
async fn ends_withdrawn_once(
    scene: &Scene,
    person: &Person,
    flow: &str,
    tips: &[String],
    sat: u64,
    begun: Option<String>,
) {
    let (purse, end) = (&tips[0], Instant::now() + RECOVERY);
    let on_chain = scene.replace_lost_channels().await > 0;
    let mut target = match begun {
        Some(target) => target,
        None => invoice(scene, purse, 1, InvoiceRequest::sat(sat)).await.invoice,
    };
    let last = if flow == "tipper" { "REFUNDED" } else { "WITHDRAWN" };
    loop {
        let now = shown(scene, purse).await;
        let pending = now["withdrawalPending"] == true;
        if now["status"] == last {
            break;
        }
        if !pending {
            assert_eq!(scene.times_received(purse).await, 0, "paid and payable: {now}");
            let only = (tips.len() == 1).then_some(purse.as_str());
            let answer = person.withdraw(flow, &target, only).await;
            match refusal(&answer) {
                (202 | 204, _) => {}
                (409, "WITHDRAWAL_FAILED" | "INVOICE_USED") => {
                    target = invoice(scene, purse, 1, InvoiceRequest::sat(sat)).await.invoice;
                }
                // It ended between the two questions.
                (409, "NOTHING_TO_WITHDRAW") => {}
                (503, _) => {}
                other => panic!("tips that can be withdrawn answer {other:?} {}", answer.body),
            }
        } else if on_chain {
            scene.network.mine(6).await.unwrap();
        }
        assert!(Instant::now() < end, "stuck: {now}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for tip in tips {
        assert_eq!(status(scene, tip).await, last, "one payout has one end");
    }
    scene.received_once(purse).await;
}

/// A code of a tip for whoever has the link.
async fn scanned(scene: &Scene, tipper: &Person, point: &str) {
    let tip = tipper.give(scene, 2_500, json!({ "onboardingFlow": "SKIP" })).await;
    let nobody = Person::nobody(scene);
    let lnurl = nobody.link("anonymous", 2_500, Some(id(&tip))).await;
    let (_, bytes) = bech32::decode(&lnurl).unwrap();
    let url = String::from_utf8(bytes).unwrap();
    let path = url.strip_prefix(&scene.api.url).unwrap();
    let doomed = Doomed::start(scene, point, 0).await;
    let k1 = scene.api.get(path).await.ok()["k1"].as_str().unwrap().to_owned();
    let target = invoice(scene, id(&tip), 1, InvoiceRequest::sat(2_500)).await.invoice;
    let callback = format!("{path}/pay?k1={k1}&pr={target}");
    doomed.arm();
    let _answered_or_not = scene.api.send(reqwest::Method::GET, &callback, None).await;
    doomed.dies_and_rises().await;
    // The wallet tries the very same again, as wallets do.
    let again: Value = scene.api.get(&callback).await.ok();
    let now = shown(scene, id(&tip)).await;
    let failed = again["status"] == "ERROR" && now["status"] == "SEEN" || now["status"] == "UNSEEN";
    assert!(again["status"] == "OK" || failed || now["status"] == "WITHDRAWN", "{again} {now}");
    ends_withdrawn_once(scene, &nobody, "anonymous", &[id(&tip).to_owned()], 2_500, Some(target)).await;
    scene.books_agree().await;
}

/// The tipper's again, or still to be claimed; never both.
async fn taking_back(scene: &Scene, tipper: &Person, point: &str) {
    let tip = tipper.give(scene, 3_000, json!({})).await;
    let doomed = Doomed::start(scene, point, 0).await;
    doomed.arm();
    let path = format!("/api/tipper/tips/{}/reclaim", id(&tip));
    assert!(tipper.try_post(&path, json!({})).await.is_err(), "it should have died");
    doomed.dies_and_rises().await;
    scene.replace_lost_channels().await;
    match status(scene, id(&tip)).await.as_str() {
        "UNSEEN" => {
            assert!(point.contains("before"), "it had been written");
            done(&tipper.reclaim(id(&tip), false).await);
        }
        "RECLAIMED" => assert_eq!(tipper.reclaim(id(&tip), false).await.status, 409),
        other => panic!("{other}"),
    }
    let guest = Person::guest(scene).await;
    assert_eq!(refusal(&guest.claim(id(&tip)).await), (409, "TIP_EXPIRED"));
    ends_withdrawn_once(scene, tipper, "tipper", &[id(&tip).to_owned()], 3_000, None).await;
    scene.books_agree().await;
}

/// Three tips on their way to the tipper's address.
async fn refunding(scene: &Scene, tipper: &Person, point: &str, skip: u32) {
    tipper.set_address(None).await;
    let group = tipper.give(scene, 1_000, json!({ "quantity": 3 })).await;
    done(&tipper.post(&format!("/api/tipGroups/{}/reclaim", id(&group)), json!({})).await);
    let (tips, address) = (ids(&group), Address::of(scene, 0).await);
    let doomed = Doomed::start(scene, point, skip).await;
    doomed.arm();
    // It begins by itself from here on.
    tipper.set_address(Some(&address.name)).await;
    doomed.dies_and_rises().await;
    let on_chain = scene.replace_lost_channels().await > 0;
    let path = format!("/api/users/{}/refundToLightningAddress", tipper.id().await);
    let end = Instant::now() + RECOVERY;
    loop {
        let now = states(scene, &tips).await;
        assert!(now.iter().all(|state| *state == now[0]), "{now:?}");
        if now[0] == "REFUNDED" {
            break;
        }
        assert_eq!(now[0], "RECLAIMED");
        if shown(scene, &tips[0]).await["withdrawalPending"] == true {
            if on_chain {
                scene.network.mine(6).await.unwrap();
            }
        } else {
            // The next try by itself is a minute away.
            let answer = tipper.post(&path, json!({})).await;
            assert!(matches!(answer.status, 204 | 409 | 503), "{answer:?}");
        }
        assert!(Instant::now() < end, "stuck: {now:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    address.note(scene, id(&group));
    scene.received_once(id(&group)).await;
    scene.books_agree().await;
    tipper.set_address(None).await;
}
