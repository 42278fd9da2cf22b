//! The two kinds of load: steady, with kills at random; and bursts, with a kill in the midst of each.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::common::choices::Choices;
use super::services::{Item, Kind, Said};
use super::world::World;

/// People who make, pay and redeem one thing after the other.
const LANES: u64 = 16;

/// Payouts that a burst asks for, and in how long.
const BURST: u64 = 60;
const BURST_MILLIS: u64 = 700;

/// When a burst is killed, in milliseconds after its begin.
const BURST_KILL: (u64, u64) = (150, 750);

/// Lanes that pay satchel during a burst.
const PAYING: u64 = 8;

/// One item in so many is left open.
const LEFT_OPEN: u64 = 15;

fn kind(choices: &mut Choices) -> Kind {
    match choices.below(10) {
        0..6 => Kind::Gift,
        6 => Kind::Tip,
        7 => Kind::Order,
        _ => Kind::Earning,
    }
}

/// A quarter is below the dust limit.
fn amount(choices: &mut Choices) -> u64 {
    if choices.below(4) == 0 { 250 } else { 500 + choices.below(9_501) }
}

/// Kills satchel so often while lanes work.
pub async fn steady(world: &Arc<World>, kills: u64, seed: u64) {
    let mut choices = Choices::of(seed, 1);
    world.going.store(true, Ordering::Relaxed);
    for number in 0..LANES {
        let (world_of_lane, choices) = (Arc::clone(world), Choices::of(seed, 100 + number));
        world.people.lock().await.spawn(lane(world_of_lane, choices));
    }
    for _ in 0..kills {
        tokio::time::sleep(choices.millis(200, 5_000)).await;
        world.kill_and_start(&mut choices).await;
    }
    world.going.store(false, Ordering::Relaxed);
}

async fn lane(world: Arc<World>, mut choices: Choices) {
    while world.goes_on() {
        let (kind, sat, payer) = (kind(&mut choices), amount(&mut choices), world.wallet(&mut choices));
        if let Some(item) = world.create(kind, sat, payer).await
            && world.pay(&item, &mut choices).await
            && choices.below(LEFT_OPEN) > 0
        {
            world.pay_out_through(&item, &mut choices).await;
        }
        tokio::time::sleep(choices.millis(10, 250)).await;
    }
}

/// Asks for many payouts at once and kills satchel meanwhile.
pub async fn burst(world: &Arc<World>, seed: u64) {
    let mut choices = Choices::of(seed, 2);
    world.going.store(true, Ordering::Relaxed);
    let items = paid_items(world, seed).await;
    for number in 0..PAYING {
        let (payer, choices) = (Arc::clone(world), Choices::of(seed, 300 + number));
        world.people.lock().await.spawn(only_pays(payer, choices));
    }
    for item in items {
        let (asker, wait) = (Arc::clone(world), Duration::from_millis(choices.below(BURST_MILLIS)));
        let asked = world.target(&item, &mut choices).await;
        world.people.lock().await.spawn(async move {
            tokio::time::sleep(wait).await;
            asker.pay_out(&item, &asked).await;
        });
    }
    tokio::time::sleep(choices.millis(BURST_KILL.0, BURST_KILL.1)).await;
    world.going.store(false, Ordering::Relaxed);
    world.kill_and_start(&mut choices).await;
}

/// Items that are paid for, and that satchel says so of.
async fn paid_items(world: &Arc<World>, seed: u64) -> Vec<Arc<Item>> {
    let mut paying = tokio::task::JoinSet::new();
    for number in 0..BURST {
        let (world, mut choices) = (Arc::clone(world), Choices::of(seed, 200 + number));
        paying.spawn(async move {
            let (kind, sat, payer) = (kind(&mut choices), amount(&mut choices), world.wallet(&mut choices));
            let item = world.create(kind, sat, payer).await?;
            if !world.pay(&item, &mut choices).await {
                return None;
            }
            for _ in 0..50 {
                if world.services.said(&item).await == Some(Said::Open) {
                    return Some(item);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            None
        });
    }
    paying.join_all().await.into_iter().flatten().collect()
}

async fn only_pays(world: Arc<World>, mut choices: Choices) {
    while world.goes_on() {
        if let Some(item) = world.create(Kind::Gift, 600, world.wallet(&mut choices)).await {
            world.pay(&item, &mut choices).await;
        } else {
            tokio::time::sleep(choices.millis(20, 60)).await;
        }
    }
}
