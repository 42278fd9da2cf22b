//! The process dies at each step of a purchase and starts again: the same request goes on, and is paid once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::case;
use crate::common::doomed::Doomed;
use crate::world::{Agent, PRICE, World};

/// Where a purchase can be cut off, and how many times the point is passed before.
const POINTS: &[(&str, &[u32])] = &[
    ("purse.before_payment", &[0]),
    ("payout.before_queue_commit", &[0]),
    ("purse.after_payment_queued", &[0]),
    ("payout.after_dispatching", &[0]),
    ("payout.after_send", &[0]),
    ("event.before_handled", &[0]),
    ("event.after_handled", &[0]),
    ("purse.after_paid", &[0]),
    ("purse.after_answer", &[0]),
    ("store.before_commit", &[0, 1, 3]),
    ("store.after_commit", &[0, 1, 4]),
];

/// How long a purchase may take whose channel was closed at a death.
const LONGEST: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn purchase_through_a_death_at_each_step_is_paid_once() {
    let world = World::start().await;
    world.earns(20_000).await;
    let agent = world.agent("buyer", 10_000, &[]).await;
    for (point, skips) in POINTS {
        for skip in *skips {
            case(&format!("{point} after {skip}"), buys(&world, &agent, point, *skip)).await;
        }
    }
    world.close().await;
}

async fn buys(world: &World, agent: &Agent, point: &str, skip: u32) {
    let name = format!("{}-{skip}", point.replace('.', "-"));
    let url = world.service(&format!("weather/{name}"));
    let (body, before) = (json!({ "url": url }), world.sold().await);
    let doomed = Doomed::start(&world.scene, point, skip).await;
    connects(world).await;
    doomed.arm();
    let asking = agent.try_post("/v1/purse/fetch", &body, &name);
    let (asked, ()) = tokio::join!(asking, doomed.dies_and_rises());
    assert!(asked.is_err(), "it answered before it died");
    connects(world).await;
    let end = Instant::now() + LONGEST;
    let answer = loop {
        let answer = agent.post("/v1/purse/fetch", &body, &name).await;
        if answer.status == 200 {
            break answer.ok();
        }
        // Under way, or nobody knows yet; or it failed, and the seller has no fresh invoice within a minute.
        let code = answer.body["code"].as_str().unwrap_or_default().to_owned();
        let goes_on =
            ["PAYMENT_PENDING", "PAYMENT_FAILED", "INVOICE_USED", "UNAVAILABLE"].contains(&code.as_str());
        assert!(goes_on && Instant::now() < end, "{}", answer.body);
        connects(world).await;
        world.scene.network.mine(1).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert_eq!((&answer["status"], &answer["paid"]["amountSat"]), (&json!(200), &json!(PRICE)), "{answer}");
    assert_eq!(world.sold().await - before, 1, "it was sold once");
    let purse = agent.get("/v1/purse?limit=100").await;
    let paid = purse["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|receipt| receipt["url"] == url && receipt["status"] == "paid");
    assert_eq!(paid.count(), 1, "{purse}");
    world.scene.audit().await;
}

/// Waits for the channel to the seller, or opens another if LDK closed it, as it does when it finds after a death that
/// a channel is further than its own state.
async fn connects(world: &World) {
    let end = Instant::now() + Duration::from_secs(60);
    while !world.is_connected().await {
        if !world.has_channel().await {
            eprintln!("   LDK closed the channel to the seller; opening another");
            world.scene.network.mine(200).await.unwrap();
            return world.open_channel().await;
        }
        assert!(Instant::now() < end, "the seller's channel does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
