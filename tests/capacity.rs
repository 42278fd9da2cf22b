//! What is sold can be paid out: on real channels, whose peers let only a tenth be in flight.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use common::mailbox::Mailbox;
use common::{Gift, SOON, Scene, case, until};
use regtest::{InvoiceRequest, Network};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What was found: one channel of a million, and gifts of 110,000 and 300,000 that could be neither redeemed nor
/// returned.
const CHANNEL_SAT: u64 = 1_000_000;

/// The most of it that an LDK peer lets be in flight.
const TENTH_SAT: u64 = CHANNEL_SAT / 10;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_can_be_paid_out() {
    let (url, told) = receiver().await;
    let mailbox = Mailbox::open();
    let alerts = format!(
        "{}[alerts]\nwebhook_url = \"{url}\"\nwebhook_secret = \"s3cret\"\nmail_to = \"ops@satchel.example\"\nafter_secs = 1",
        mailbox.settings()
    );
    let builder = Network::builder().wallets(1).channel_sat(CHANNEL_SAT);
    let scene = Scene::of(builder.extra_config(alerts.parse().unwrap())).await;
    case("more than may be in flight is not sold", too_large(&scene)).await;
    case("the operator spends what is free, to the sat", edge(&scene)).await;
    case("drained by force, nothing more is sold", drained(&scene, &told, &mailbox)).await;
    scene.close().await;
}

type Told = Arc<Mutex<Vec<(String, Value)>>>;

/// A receiver of webhooks on this machine: its address, and the signatures and bodies that came.
async fn receiver() -> (String, Told) {
    let told = Told::default();
    let heard = Arc::clone(&told);
    let hear = move |headers: HeaderMap, body: String| async move {
        let signature = headers["webhook-signature"].to_str().unwrap().to_owned();
        heard.lock().unwrap().push((signature, serde_json::from_str(&body).unwrap()));
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/alerts", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/alerts", post(hear))).await });
    (url, told)
}

/// Waits until the operator is told something of this type.
async fn is_told(told: &Told, kind: &str) -> Value {
    until(&format!("the operator is told {kind}"), 3 * SOON, || async {
        let told = told.lock().unwrap();
        let (signature, body) = told.iter().find(|(_, body)| body["type"] == kind)?;
        assert!(signature.starts_with("v1,"), "{signature}");
        Some(body.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_in_parts_over_two_channels_comes_in_and_goes_out() {
    let scene = Scene::of(Network::builder().wallets(1).channel_sat(CHANNEL_SAT)).await;
    second_channel(&scene).await;
    let found = solvency(&scene).await;
    assert_eq!(found["capacity"]["largest_out_msat"], json!(2 * TENTH_SAT * 1_000), "{found}");
    // More than one channel can bring, less than both: the payer's payment comes in parts. LDK gives one hint for a peer,
    // whichever of its channels the parts take.
    let body = scene.api.post("/create", json!({"amount": 150_000, "quantity": 4})).await.ok();
    let order = Gift::read(&body);
    assert_eq!(hints(&order.payreq), 1, "one peer");
    let inbound = |list: &Value| -> Vec<u64> {
        list["channels"].as_array().unwrap().iter().map(|one| one["inbound_sat"].as_u64().unwrap()).collect()
    };
    let before = inbound(&scene.network.satchel.admin_get("/admin/v1/channels").await.unwrap());
    assert!(before.iter().all(|sat| *sat < 600_000), "one channel alone could bring it: {before:?}");
    scene.fund(&order, 0).await;
    // More than may be in flight in one channel: satchel's payment goes out in parts.
    for gift in body["gifts"].as_array().unwrap() {
        let id = gift["orderId"].as_str().unwrap();
        let invoice = scene.wallet(0).invoice(InvoiceRequest::sat(150_000)).await.unwrap();
        scene.note_asked(0, id, &invoice.payment_hash);
        scene.api.redeem(id, &invoice.invoice).await.withdrawal_id();
        scene.api.wait_spent(id, json!(true), SOON).await;
        scene.received_once(id).await;
    }
    let refused = scene.api.post("/create", json!({"amount": 2 * TENTH_SAT + 1})).await;
    assert_eq!(refused.refusal(), (503, "NO_OUTBOUND_CAPACITY"));
    scene.equals_the_node(SOON).await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invoice_has_no_more_hints_than_its_amount_needs() {
    let scene = Scene::of(Network::builder().wallets(3).channel_sat(CHANNEL_SAT)).await;
    let payers = until("a channel with each of three peers", SOON, || async {
        let found = solvency(&scene).await;
        (found["capacity"]["usable"] == 3).then_some(3)
    })
    .await;
    assert_eq!(payers, 3);
    for wallet in 0..payers {
        let body = scene.api.post("/create", json!({"amount": 1_000})).await.ok();
        let gift = Gift::read(&body);
        assert_eq!(hints(&gift.payreq), 1, "{}", gift.payreq);
        assert!(gift.payreq.len() < 450, "{} characters: {}", gift.payreq.len(), gift.payreq);
        // Payable by whoever has a channel, whether it is the one of the hint or not.
        scene.fund(&gift, wallet).await;
    }
    // Less than half a channel is with each peer: such an amount needs two of them.
    let asked = json!({"amount_sat": 700_000, "description": "two channels"});
    let made = scene.network.satchel.admin_post("/admin/v1/invoice", asked).await.unwrap();
    assert_eq!(hints(made["invoice"].as_str().unwrap()), 2, "{made}");
    // What the payer chooses may need all of them.
    let asked = json!({"description": "as much as you like"});
    let made = scene.network.satchel.admin_post("/admin/v1/invoice", asked).await.unwrap();
    assert_eq!(hints(made["invoice"].as_str().unwrap()), 3, "{made}");
    scene.close().await;
}

/// How many route hints an invoice has.
fn hints(invoice: &str) -> usize {
    invoice.parse::<lightning_invoice::Bolt11Invoice>().unwrap().route_hints().len()
}

/// Another channel to the one wallet, as large as the first.
async fn second_channel(scene: &Scene) {
    let (satchel, wallet) = (&scene.network.satchel, scene.wallet(0));
    let order = json!({"node_id": wallet.node_id().await.unwrap().to_string(),
        "address": wallet.p2p().to_string(), "amount_sat": CHANNEL_SAT, "push_sat": CHANNEL_SAT / 2});
    satchel.admin_post("/admin/v1/channels", order).await.unwrap();
    scene.note_other_channels(0);
    until("both channels are usable", SOON, || async {
        scene.network.mine(1).await.unwrap();
        let usable = wallet.info().await.unwrap().channels.iter().filter(|channel| channel.usable).count();
        (usable == 2 && solvency(scene).await["capacity"]["usable"] == 2).then_some(())
    })
    .await;
}

async fn solvency(scene: &Scene) -> Value {
    scene.network.satchel.admin_get("/admin/v1/node").await.unwrap()["solvency"].clone()
}

/// What is free, once nothing is moving.
async fn free_sat(scene: &Scene) -> u64 {
    until("nothing is in flight", SOON, || async {
        let found = solvency(scene).await;
        (found["capacity"]["pending_msat"] == 0).then(|| found["free_msat"].as_u64().unwrap() / 1_000)
    })
    .await
}

async fn pay(scene: &Scene, sat: u64, force: bool) -> Result<Value, String> {
    let invoice = scene.wallet(0).invoice(InvoiceRequest::sat(sat)).await.unwrap();
    let body = json!({"invoice": invoice.invoice, "max_fee_sat": 0, "force": force});
    let satchel = &scene.network.satchel;
    let payout = satchel.admin_post("/admin/v1/pay", body).await.map_err(|error| error.to_string())?;
    // Only what was queued can have moved money that the book must know of.
    scene.note_asked(0, "the operator", &invoice.payment_hash);
    let path = format!("/admin/v1/payouts/{}", payout["id"].as_str().unwrap());
    Ok(until("the operator's payment ends", SOON, || async {
        let payout = satchel.admin_get(&path).await.unwrap();
        matches!(payout["status"].as_str(), Some("paid" | "failed")).then_some(payout)
    })
    .await)
}

async fn too_large(scene: &Scene) {
    for amount in [110_000, 300_000, TENTH_SAT + 1] {
        let refused = scene.api.post("/create", json!({"amount": amount})).await;
        assert_eq!(refused.refusal(), (503, "NO_OUTBOUND_CAPACITY"), "{amount}");
        assert_eq!(refused.body["maxSat"], TENTH_SAT);
    }
    // The largest that is sold is redeemed.
    let gift = scene.funded_gift(TENTH_SAT, 0).await;
    redeem(scene, &gift).await;
    let doctor = scene.network.satchel.command("doctor", &["--json"]).await.unwrap();
    let told: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let check = told["checks"].as_array().unwrap().iter().find(|check| check["name"] == "largest payout");
    let check = check.unwrap_or_else(|| panic!("doctor says nothing of the largest payout: {told}"));
    assert_eq!(check["status"], "WARN", "gifts up to 500,000 are offered: {check}");
}

async fn redeem(scene: &Scene, gift: &Gift) {
    let invoice = scene.invoice_for(gift, 0).await;
    scene.api.redeem(&gift.order_id, &invoice.invoice).await.withdrawal_id();
    scene.api.wait_spent(&gift.order_id, json!(true), SOON).await;
    scene.received_once(&gift.order_id).await;
}

async fn edge(scene: &Scene) {
    let gifts = [scene.funded_gift(90_000, 0).await, scene.funded_gift(60_000, 0).await];
    let mut free = free_sat(scene).await;
    while free > 80_000 {
        assert_eq!(pay(scene, 80_000, false).await.unwrap()["status"], "paid");
        free = free_sat(scene).await;
    }
    let refused = pay(scene, free + 1, false).await.unwrap_err();
    assert!(refused.contains(&format!("only {free} sat are free to spend")), "{refused}");
    assert_eq!(pay(scene, free, false).await.unwrap()["status"], "paid");
    assert_eq!(free_sat(scene).await, 0);
    assert!(pay(scene, 1, false).await.is_err());
    // All that was owed is still there to be taken.
    for gift in &gifts {
        redeem(scene, gift).await;
    }
}

async fn drained(scene: &Scene, told: &Told, mailbox: &Mailbox) {
    let gift = scene.funded_gift(50_000, 0).await;
    assert!(pay(scene, 30_000, false).await.is_err());
    assert_eq!(pay(scene, 30_000, true).await.unwrap()["status"], "paid");
    let found = until("it is seen", SOON, || async {
        Some(solvency(scene).await).filter(|found| found["short_msat"].as_u64() > Some(0))
    })
    .await;
    assert_eq!((&found["vouchers"], &found["unredeemable_vouchers"]), (&json!(1), &json!(1)), "{found}");
    until("nothing more is sold", SOON, || async {
        let refused = scene.api.post("/create", json!({"amount": 1_000})).await;
        (refused.refusal() == (503, "NO_OUTBOUND_CAPACITY")).then_some(())
    })
    .await;
    let status = scene.network.satchel.command("status", &[]).await.unwrap();
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(text.contains("free to withdraw") && text.contains("are missing"), "{text}");
    let alert = is_told(told, "alert.raised").await;
    assert_eq!(alert["alert"], "redeemability", "{alert}");
    let message = alert["message"].as_str().unwrap();
    assert!(message.starts_with("1 of 1 gifts and tips can't be redeemed"), "{message}");
    let letter = mailbox.letter(1).await;
    assert!(letter.contains("To: ops@satchel.example"), "{letter}");
    assert!(letter.contains("Subject: Satchel: redeemability (attention)"), "{letter}");
    assert!(whole(&letter).contains(message), "{letter}");
    // A payment to the operator makes good what was taken.
    let asked = json!({"amount_sat": 40_000, "description": "capital"});
    let made = scene.network.satchel.admin_post("/admin/v1/invoice", asked).await.unwrap();
    let invoice = made["invoice"].as_str().unwrap();
    scene.note_funding(0, invoice);
    scene.wallet(0).pay(invoice).await.unwrap();
    until("sales go on", SOON, || async {
        (scene.api.post("/create", json!({"amount": 1_000})).await.status == 200).then_some(())
    })
    .await;
    is_told(told, "alert.over").await;
    redeem(scene, &gift).await;
    let letter = mailbox.letter(2).await;
    assert!(letter.contains("Subject: Satchel: redeemability (over)"), "{letter}");
    assert_eq!(told.lock().unwrap().len(), 2, "nothing is told twice: {told:?}");
    assert_eq!(mailbox.count(), 2, "nothing is written twice");
}

/// A letter's text as it was written: longer lines are wrapped on their way.
fn whole(letter: &str) -> String {
    letter.replace("=\n", "")
}
