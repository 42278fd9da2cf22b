//! The process dies at each named point of a gift's way, and starts again: the gift ends redeemed once or can
//! be redeemed, never both, never stuck.

#![cfg(feature = "failpoints")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use common::doomed::Doomed;
use common::tips::Address;
use common::{Gift, RECOVERY, SOON, Scene, case, until};
use serde_json::{Value, json};

/// Where a redemption can be cut off, and how many times the point is passed before.
const REDEMPTION: &[(&str, &[u32])] = &[
    ("payout.before_queue_commit", &[0]),
    ("payout.after_dispatching", &[0]),
    ("payout.after_send", &[0]),
    ("event.before_handled", &[0]),
    ("event.after_handled", &[0]),
    // One payout takes some fifteen commits: its intent, the mark before it is sent, LDK's own steps, its end.
    ("store.before_commit", &[0, 1, 2, 3, 5, 7, 9, 11]),
    ("store.after_commit", &[0, 1, 2, 4, 6, 8, 10]),
];

/// Where one to a lightning address can be.
const TO_AN_ADDRESS: &[(&str, &[u32])] = &[
    ("gift.address_asked", &[0]),
    ("payout.before_queue_commit", &[0]),
    ("gift.after_redeem", &[0]),
    ("payout.after_dispatching", &[0]),
    ("payout.after_send", &[0]),
    ("event.before_handled", &[0]),
    ("store.before_commit", &[0, 1]),
    ("store.after_commit", &[0, 1]),
];

/// Where the payment of a gift's invoice can be cut off.
const FUNDING: &[(&str, &[u32])] = &[
    ("event.before_handled", &[0]),
    ("event.after_handled", &[0]),
    ("store.before_commit", &[0, 2, 4, 6]),
    ("store.after_commit", &[1, 3, 5]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_point_costs_nobody_anything() {
    let scene = Scene::start("").await;
    for (point, skip) in all(REDEMPTION) {
        case(&format!("redeeming, {point} after {skip}"), redeeming(&scene, point, skip)).await;
    }
    for (point, skip) in all(TO_AN_ADDRESS) {
        for by_sender in [false, true] {
            let name = format!("to an address, by its sender: {by_sender}, {point} after {skip}");
            case(&name, to_an_address(&scene, point, skip, by_sender)).await;
        }
    }
    for (point, skip) in all(FUNDING) {
        case(&format!("funding, {point} after {skip}"), funding(&scene, point, skip)).await;
    }
    for point in ["payout.before_queue_commit", "store.before_commit", "store.after_commit"] {
        case(&format!("into another gift, {point}"), into_another_gift(&scene, point)).await;
    }
    for point in ["payout.after_dispatching", "payout.after_send"] {
        case(&format!("refunding, {point}"), refunding(&scene, point)).await;
    }
    case("reconciliation.before_conclusion", reconciling_one_under_way(&scene)).await;
    case("reconciliation.after_forget", reconciling_a_lost_one(&scene)).await;
    case("webhook.after_post", telling(&scene)).await;
    eprintln!("channels closed: {}", scene.channels_closed().await);
    scene.comes_to_rest().await;
    scene.close().await;
}

fn all(points: &'static [(&'static str, &'static [u32])]) -> impl Iterator<Item = (&'static str, u32)> {
    points.iter().flat_map(|(point, skips)| skips.iter().map(move |skip| (*point, *skip)))
}

async fn redeeming(scene: &Scene, point: &str, skip: u32) {
    let gift = scene.funded_gift(5_000, 0).await;
    let invoice = scene.invoice_for(&gift, 1).await;
    let doomed = Doomed::start(scene, point, skip).await;
    doomed.arm();
    let answered = scene.api.try_redeem(&gift.order_id, &invoice.invoice).await;
    doomed.dies_and_rises().await;
    if let Ok(answer) = answered {
        // What was promised is known for ever, whatever became of it.
        scene.api.withdrawal(&answer.withdrawal_id()).await;
    }
    ends_redeemed_once(scene, &gift, &invoice.invoice).await;
    scene.books_agree().await;
}

/// Waits for the end of a redemption; begins it again if it wasn't begun, or failed.
async fn ends_redeemed_once(scene: &Scene, gift: &Gift, invoice: &str) {
    let (api, end) = (&scene.api, Instant::now() + RECOVERY);
    let mut invoice = invoice.to_owned();
    let on_chain = scene.replace_lost_channels().await > 0;
    loop {
        let now = api.gift(&gift.order_id).await;
        match &now["spent"] {
            Value::Bool(true) => break,
            Value::Bool(false) => {
                assert_eq!(scene.times_received(&gift.order_id).await, 0, "redeemed and redeemable: {now}");
                let answer = api.redeem(&gift.order_id, &invoice).await;
                match answer.refusal() {
                    (200, _) | (400, "GIFT_REDEEM_PENDING" | "GIFT_SPENT") => {}
                    (400, "BAD_INVOICE") => invoice = scene.invoice_for(gift, 1).await.invoice,
                    other => panic!("an open gift answers {other:?}"),
                }
            }
            // What was under way in a closed channel is decided on the chain.
            _ if on_chain => drop(scene.network.mine(6).await.unwrap()),
            _ => {}
        }
        assert!(Instant::now() < end, "stuck: {now}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    scene.received_once(&gift.order_id).await;
}

/// Each asking of an address gives another invoice; whatever dies, one of them is paid.
async fn to_an_address(scene: &Scene, point: &str, skip: u32, by_sender: bool) {
    let (api, gift) = (&scene.api, scene.funded_gift(5_500, 0).await);
    let address = Address::of(scene, 1).await;
    let (path, last) = match by_sender {
        false => (format!("/redeem/{}", gift.order_id), "redeemed"),
        true => (format!("/gift/{}/refund", gift.order_id), "returned"),
    };
    let request = json!({"key": gift.manage_key, "invoice": address.name});
    let doomed = Doomed::start(scene, point, skip).await;
    doomed.arm();
    let _answered_or_not = api.send(reqwest::Method::POST, &path, Some(&request)).await;
    doomed.dies_and_rises().await;
    let (on_chain, end) = (scene.replace_lost_channels().await > 0, Instant::now() + RECOVERY);
    loop {
        let now = api.managed(&gift).await["state"].clone();
        match now.as_str().unwrap() {
            state if state == last => break,
            "open" => {
                let answer = api.post(&path, request.clone()).await;
                match answer.refusal() {
                    (200, _) | (400, "GIFT_REDEEM_PENDING" | "GIFT_SPENT") | (503, _) => {}
                    other => panic!("an open gift answers {other:?}"),
                }
            }
            _ if on_chain => drop(scene.network.mine(6).await.unwrap()),
            _ => {}
        }
        assert!(Instant::now() < end, "stuck: {now}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    address.note(scene, &gift.order_id);
    scene.received_once(&gift.order_id).await;
    scene.books_agree().await;
}

async fn funding(scene: &Scene, point: &str, skip: u32) {
    let gift = scene.api.create(6_000).await;
    scene.note_funding(0, &gift.payreq);
    let doomed = Doomed::start(scene, point, skip).await;
    doomed.arm();
    let dying = async {
        doomed.dies_and_rises().await;
        scene.replace_lost_channels().await > 0
    };
    let (paid, _) = scene.pay_through(scene.wallet(0).pay(&gift.payreq), dying).await;
    if paid.is_err() {
        // Not a sat has moved; the payer simply tries again.
        scene.network.wait_usable().await.unwrap();
        assert_eq!(scene.api.gift(&gift.order_id).await["chargeStatus"], "unpaid");
        scene.wallet(0).pay(&gift.payreq).await.unwrap();
    }
    scene.api.wait_funded(&gift.order_id).await;
    scene.network.wait_usable().await.unwrap();
    let invoice = scene.invoice_for(&gift, 1).await;
    scene.api.redeem(&gift.order_id, &invoice.invoice).await.withdrawal_id();
    ends_redeemed_once(scene, &gift, &invoice.invoice).await;
    scene.books_agree().await;
}

async fn into_another_gift(scene: &Scene, point: &str) {
    let api = &scene.api;
    let from = scene.funded_gift(7_000, 0).await;
    let into = api.create(7_000).await;
    let doomed = Doomed::start(scene, point, 0).await;
    doomed.arm();
    assert!(api.try_redeem(&from.order_id, &into.payreq).await.is_err());
    doomed.dies_and_rises().await;
    scene.replace_lost_channels().await;
    let (spent, status) = (
        api.gift(&from.order_id).await["spent"].clone(),
        api.gift(&into.order_id).await["chargeStatus"].clone(),
    );
    match spent {
        Value::Bool(true) => assert_eq!(status, "paid"),
        Value::Bool(false) => {
            assert_eq!(status, "unpaid");
            api.redeem(&from.order_id, &into.payreq).await.withdrawal_id();
        }
        other => panic!("one transaction can't be {other}"),
    }
    assert_eq!(api.gift(&from.order_id).await["spent"], true);
    let invoice = scene.invoice_for(&into, 1).await;
    ends_redeemed_once(scene, &into, &invoice.invoice).await;
    scene.books_agree().await;
}

async fn refunding(scene: &Scene, point: &str) {
    let api = &scene.api;
    let gift = scene.funded_gift(3_000, 0).await;
    let back = scene.invoice_for(&gift, 0).await;
    let doomed = Doomed::start(scene, point, 0).await;
    doomed.arm();
    let request = json!({"key": gift.manage_key, "invoice": back.invoice});
    let path = format!("/gift/{}/refund", gift.order_id);
    let _answered_or_not = api.send(reqwest::Method::POST, &path, Some(&request)).await;
    doomed.dies_and_rises().await;
    let on_chain = scene.replace_lost_channels().await > 0;
    until("the gift is returned, or can be", RECOVERY, || async {
        if on_chain {
            scene.network.mine(6).await.unwrap();
        }
        let state = api.managed(&gift).await["state"].clone();
        (state == "returned" || state == "open").then_some(())
    })
    .await;
    if api.managed(&gift).await["state"] == "open" {
        let again = scene.invoice_for(&gift, 0).await;
        api.post(&path, json!({"key": gift.manage_key, "invoice": again.invoice})).await.withdrawal_id();
        until("the gift is returned", RECOVERY, || async {
            (api.managed(&gift).await["state"] == "returned").then_some(())
        })
        .await;
    }
    scene.received_once(&gift.order_id).await;
    scene.books_agree().await;
}

async fn reconciling_one_under_way(scene: &Scene) {
    let (api, satchel, wallet) = (&scene.api, &scene.network.satchel, scene.wallet(1));
    let gift = scene.funded_gift(9_000, 0).await;
    let hold = scene.hold_for(&gift, 1).await;
    let id = api.redeem(&gift.order_id, &hold.invoice).await.withdrawal_id();
    wallet.wait_held(&hold.payment_hash, SOON).await.unwrap();
    satchel.kill().await.unwrap();
    die_at(scene, "reconciliation.before_conclusion").await;
    common::rises(satchel).await;
    assert_eq!(api.gift(&gift.order_id).await["spent"], "pending");
    assert_eq!(api.withdrawal(&id).await["status"], "initial");
    wallet.claim(&hold.payment_hash).await.unwrap();
    // In a channel that LDK closed at one of the crashes it is claimed on the chain.
    let on_chain = scene.replace_lost_channels().await > 0;
    until("it has arrived", RECOVERY, || async {
        if on_chain {
            scene.network.mine(6).await.unwrap();
        }
        (api.gift(&gift.order_id).await["spent"] == true).then_some(())
    })
    .await;
    scene.received_once(&gift.order_id).await;
    scene.books_agree().await;
}

async fn reconciling_a_lost_one(scene: &Scene) {
    let gift = scene.funded_gift(9_100, 0).await;
    let invoice = scene.invoice_for(&gift, 1).await;
    let doomed = Doomed::start(scene, "payout.after_dispatching", 0).await;
    doomed.arm();
    let _answered_or_not = scene.api.try_redeem(&gift.order_id, &invoice.invoice).await;
    doomed.dies().await;
    die_at(scene, "reconciliation.after_forget").await;
    common::rises(&scene.network.satchel).await;
    ends_redeemed_once(scene, &gift, &invoice.invoice).await;
    scene.books_agree().await;
}

/// Starts satchel, which dies while it looks for proof about an old payout.
async fn die_at(scene: &Scene, place: &str) {
    let satchel = &scene.network.satchel;
    let env = [("FAILPOINTS".to_owned(), format!("{place}=return"))];
    satchel.start_with(&env).await.unwrap();
    assert!(!satchel.wait_exit(RECOVERY).await.unwrap().success());
}

/// A webhook is delivered at least once, and each time as the same one.
async fn telling(scene: &Scene) {
    type Told = Arc<Mutex<Vec<(String, Value)>>>;
    let told: Told = Arc::default();
    let heard = Arc::clone(&told);
    let hook = move |headers: HeaderMap, body: String| async move {
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        heard.lock().unwrap().push((id, serde_json::from_str(&body).unwrap()));
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let server =
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(hook))).await });

    let gift = scene.api.create_with(json!({"amount": 1_000, "notify": url})).await;
    scene.fund(&gift, 0).await;
    let invoice = scene.invoice_for(&gift, 1).await;
    let doomed = Doomed::start(scene, "webhook.after_post", 0).await;
    doomed.arm();
    scene.api.redeem(&gift.order_id, &invoice.invoice).await.withdrawal_id();
    doomed.dies_and_rises().await;
    scene.replace_lost_channels().await;
    until("the webhook comes again", RECOVERY, || async { (told.lock().unwrap().len() >= 2).then_some(()) })
        .await;
    let told = told.lock().unwrap().clone();
    let expected = json!({"id": gift.order_id, "orderId": gift.order_id, "amount": 1_000, "spent": true});
    assert!(told.iter().all(|(id, body)| *id == told[0].0 && *body == expected), "{told:?}");
    assert_eq!(scene.api.gift(&gift.order_id).await["spent"], true);
    scene.received_once(&gift.order_id).await;
    server.abort();
}
