//! Somebody holds fifty payouts of 100 sat on each channel: everybody else is paid meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use common::{Gift, SOON, Scene, case, until};
use futures_util::{StreamExt, stream};
use regtest::InvoiceRequest;
use serde_json::json;

/// As many as an LDK channel has slots.
const HOLDS_PER_CHANNEL: usize = 50;

/// Redemptions that are meant to be paid.
const HONEST: usize = 200;

/// How many of them are asked for at once.
const AT_ONCE: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn jammer_leaves_honest_payouts_flowing() {
    let scene = Scene::start("").await;
    let jam = case("funding what will be held", funded(&scene, 100, 2 * HOLDS_PER_CHANNEL)).await;
    let small = case("funding small gifts", funded(&scene, 100, HONEST / 2)).await;
    let larger = case("funding larger gifts", funded(&scene, 2_000, HONEST / 2)).await;
    case("redeemed to hold invoices", hold(&scene, &jam)).await;
    // Before anybody can know which of them will be held, and after.
    case("honest redemptions at once", paid_meanwhile(&scene, &small)).await;
    let before = held(&scene).await;
    eprintln!("   {before} of {} are held", jam.len());
    assert!(before >= 10, "nothing was held: {before}");
    case("honest redemptions", paid_meanwhile(&scene, &larger)).await;
    told(&scene).await;
    scene.network.shutdown().await.unwrap();
}

/// Order ids of so many gifts.
async fn funded(scene: &Scene, sat: u64, count: usize) -> Vec<String> {
    let body = scene.api.post("/create", json!({"amount": sat, "quantity": count})).await.ok();
    scene.fund(&Gift::read(&body), 0).await;
    let gifts = body["gifts"].as_array().unwrap();
    gifts.iter().map(|gift| gift["orderId"].as_str().unwrap().to_owned()).collect()
}

/// Redeems gifts to hold invoices, half of them at each wallet, all at once.
async fn hold(scene: &Scene, gifts: &[String]) {
    let asking = gifts.iter().enumerate().map(|(index, id)| async move {
        let wallet = scene.wallet(index % 2);
        let invoice = wallet.invoice(InvoiceRequest::sat(100).hold()).await.unwrap();
        scene.api.redeem(id, &invoice.invoice).await.withdrawal_id();
    });
    stream::iter(asking).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
}

async fn held(scene: &Scene) -> u64 {
    let node = scene.network.satchel.admin_get("/admin/v1/node").await.unwrap();
    node["solvency"]["held_payouts"].as_u64().unwrap()
}

async fn paid_meanwhile(scene: &Scene, gifts: &[String]) {
    let (slowest, began, done) = (AtomicUsize::new(0), Instant::now(), AtomicUsize::new(0));
    let redeeming = gifts.iter().enumerate().map(|(index, id)| {
        let (slowest, done) = (&slowest, &done);
        async move {
            let sat = scene.api.gift(id).await["amount"].as_u64().unwrap();
            let wallet = index % 2;
            let invoice = scene.wallet(wallet).invoice(InvoiceRequest::sat(sat)).await.unwrap();
            scene.note_asked(wallet, id, &invoice.payment_hash);
            let asked = Instant::now();
            scene.api.redeem(id, &invoice.invoice).await.withdrawal_id();
            scene.api.wait_spent(id, json!(true), 4 * SOON).await;
            slowest.fetch_max(usize::try_from(asked.elapsed().as_millis()).unwrap(), Ordering::SeqCst);
            scene.received_once(id).await;
            done.fetch_add(1, Ordering::SeqCst);
        }
    });
    stream::iter(redeeming).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    assert_eq!(done.load(Ordering::SeqCst), gifts.len());
    eprintln!(
        "   {} paid in {:.1} s, the slowest in {} ms; {} are held",
        gifts.len(),
        began.elapsed().as_secs_f64(),
        slowest.load(Ordering::SeqCst),
        held(scene).await
    );
}

/// The operator can see it.
async fn told(scene: &Scene) {
    let satchel = &scene.network.satchel;
    let status = satchel.command("status", &[]).await.unwrap();
    assert!(String::from_utf8_lossy(&status.stdout).contains("held payouts"), "{status:?}");
    let doctor = satchel.command("doctor", &[]).await.unwrap();
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(text.lines().any(|line| line.contains("WARN") && line.contains("held payouts")), "{text}");
    until("metrics tell of it", SOON, || async {
        let page = reqwest::Client::new()
            .get(format!("{}/metrics", satchel.admin_url()))
            .bearer_auth(satchel.admin_key())
            .send()
            .await
            .unwrap();
        let text = page.text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with("satchel_payouts_held "))?.to_owned();
        (line != "satchel_payouts_held 0").then_some(())
    })
    .await;
}
