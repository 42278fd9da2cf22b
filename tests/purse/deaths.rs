//! The process dies at each step of a purchase and starts again: the same request goes on, and is paid once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::case;
use crate::common::doomed::Doomed;
use crate::world::{Agent, MUG, Mug, PRICE, World};

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

/// How long a purchase may take whose channel was closed at a crash.
const LONGEST: Duration = Duration::from_secs(300);

/// What is bought.
enum Thing {
    Service,
    Mug(Mug),
}

impl Thing {
    fn request(&self, world: &World, name: &str) -> Value {
        match self {
            Self::Service => json!({ "url": world.service(&format!("weather/{name}")) }),
            Self::Mug(mug) => mug.request(world),
        }
    }

    const fn price(&self) -> u64 {
        match self {
            Self::Service => PRICE,
            Self::Mug(_) => MUG,
        }
    }

    async fn sold(&self, world: &World) -> u64 {
        match self {
            Self::Service => world.sold().await,
            Self::Mug(_) => world.mugs_sold().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn purchase_through_a_death_at_each_step_is_paid_once() {
    let world = World::start().await;
    world.earns(20_000).await;
    every_death(&world, &Thing::Service).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shop_item_through_a_death_at_each_step_is_paid_once_and_delivered() {
    let world = World::start().await;
    world.earns(20_000).await;
    let mug = world.opens_store().await;
    every_death(&world, &Thing::Mug(mug)).await;
    world.close().await;
}

async fn every_death(world: &World, thing: &Thing) {
    let agent = world.agent("buyer", 10_000, &[]).await;
    for (point, skips) in POINTS {
        for skip in *skips {
            case(&format!("{point} after {skip}"), buys(world, &agent, thing, point, *skip)).await;
        }
    }
}

async fn buys(world: &World, agent: &Agent, thing: &Thing, point: &str, skip: u32) {
    let name = format!("{}-{skip}", point.replace('.', "-"));
    let body = thing.request(world, &name);
    let (before, receipts) = (thing.sold(world).await, paid(agent, &body["url"]).await);
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
            ["PAYMENT_PENDING", "PAYMENT_FAILED", "INVOICE_USED", "UNAVAILABLE", "NO_OUTBOUND_CAPACITY"]
                .contains(&code.as_str());
        assert!(goes_on && Instant::now() < end, "{}", answer.body);
        connects(world).await;
        world.scene.network.mine(1).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert_eq!(
        (&answer["status"], &answer["paid"]["amountSat"]),
        (&json!(200), &json!(thing.price())),
        "{answer}"
    );
    assert_eq!(thing.sold(world).await - before, 1, "it was sold once");
    assert_eq!(paid(agent, &body["url"]).await - receipts, 1, "there is one receipt");
    if let Thing::Mug(_) = thing {
        let claimed = agent.post("/v1/purse/fetch", &Mug::claim(world, &answer), "").await.ok();
        assert_eq!(claimed["status"], 200, "{claimed}");
    }
    world.scene.audit().await;
}

/// Receipts for an address.
async fn paid(agent: &Agent, url: &Value) -> usize {
    let purse = agent.get("/v1/purse?limit=100").await;
    let receipts = purse["receipts"].as_array().unwrap().iter();
    receipts.filter(|receipt| receipt["url"] == *url && receipt["status"] == "paid").count()
}

/// Waits for the channel to the seller, or opens another if LDK closed it, as it does when it finds after a crash that
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
