//! Kills under load on a real network, for as long as one likes: `scripts/soak MINUTES [SEED]`. Two kinds of load take
//! turns. Steady: gifts, tips, orders and their refunds, above and below the dust limit, with a SIGKILL every few
//! seconds. Bursts: sixty payouts asked for within 0.7 s and a SIGKILL in their midst. Now and then everything rests:
//! then nothing is lost, nothing was paid twice, nothing is stuck, and the recipients' own records and the ledger agree
//! to the msat.
//!
//! `SATCHEL_SOAK_MINUTES` says for how long (1.5 if not set), `SATCHEL_SEED` repeats an earlier run's choices.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;
#[path = "soak/load.rs"]
mod load;
#[path = "soak/rest.rs"]
mod rest;
#[path = "soak/services.rs"]
mod services;
#[path = "soak/table.rs"]
mod table;
#[path = "soak/world.rs"]
mod world;

use std::sync::Arc;
use std::time::Duration;

use common::choices::{Choices, seed};
use rest::Books;
use world::World;

/// Kills between two rests.
const KILLS: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_lose_nothing_and_pay_nothing_twice() {
    let minutes = std::env::var("SATCHEL_SOAK_MINUTES").map_or(1.5, |text| text.parse::<f64>().unwrap());
    let seed = seed();
    eprintln!("SATCHEL_SOAK_MINUTES={minutes} SATCHEL_SEED={seed}");
    let world = Arc::new(World::start().await);
    let (mut choices, mut books) = (Choices::of(seed, 0), Books::default());
    let end = Duration::from_secs_f64(minutes * 60.0);
    // A short run has a few kills of each kind; a long one rests less often.
    let kills = if minutes < 5.0 { 4 } else { KILLS };
    let mut bursts = false;
    while world.started.elapsed() < end {
        if bursts {
            for _ in 0..kills {
                load::burst(&world, choices.next()).await;
                if world.closed_since_rest() {
                    world.mine(6).await;
                }
            }
        } else {
            load::steady(&world, kills, choices.next()).await;
        }
        books.rest(&world, false, choices.next()).await;
        table::line(&world, if bursts { "bursts" } else { "steady" });
        bursts = !bursts;
    }
    books.rest(&world, true, choices.next()).await;
    let faults = table::print(&world, seed).await;
    assert!(faults.is_empty(), "{} faults: {faults:#?}", faults.len());
    let world = Arc::into_inner(world).expect("nobody works any more");
    world.scene.network.shutdown().await.unwrap();
}
