//! Kills under load on a real network, for as long as one likes: `scripts/soak MINUTES [SEED]`. Two kinds of load take
//! turns. Steady: gifts, tips, orders and their refunds, withdrawals to invoices, offers and lightning addresses, above
//! and below the dust limit, with a SIGKILL every few seconds. Bursts: sixty payouts asked for within 0.7 s and a SIGKILL in their midst. Now and then everything rests:
//! then nothing is lost, nothing was paid twice, nothing is stuck, and the recipients' own records and the ledger agree
//! to the msat. At the end of a network one entry is taken out of a copy of the books, and the audit must name it.
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
#[path = "soak/removed.rs"]
mod removed;
#[path = "soak/rest.rs"]
mod rest;
#[path = "soak/services.rs"]
mod services;
#[path = "soak/table.rs"]
mod table;
#[path = "soak/targets.rs"]
mod targets;
#[path = "soak/world.rs"]
mod world;

use std::sync::Arc;
use std::time::Duration;

use common::choices::{Choices, seed};
use rest::Books;
use world::{Counts, World, add, read};

/// Kills between two rests: a short run has a few of each kind.
const KILLS: u64 = 10;
const KILLS_OF_SHORT: u64 = 4;

/// Kills of one network. LDK closes about a channel a kill, and ldk-node's queue of transactions to broadcast is full once
/// so many of them have claims open that it takes no funding transaction for a new one.
const KILLS_OF_NETWORK: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_lose_nothing_and_pay_nothing_twice() {
    let minutes = std::env::var("SATCHEL_SOAK_MINUTES").map_or(1.5, |text| text.parse::<f64>().unwrap());
    let seed = seed();
    eprintln!("SATCHEL_SOAK_MINUTES={minutes} SATCHEL_SEED={seed}");
    let (mut choices, counts) = (Choices::of(seed, 0), Arc::new(Counts::default()));
    let end = Duration::from_secs_f64(minutes * 60.0);
    let kills = if minutes < 5.0 { KILLS_OF_SHORT } else { KILLS };
    while counts.started.elapsed() < end {
        // Alone, a wallet can be paid by its offers, too.
        let wallets = if choices.below(2) == 0 { 1 } else { 2 };
        one_network(&counts, kills, end, wallets, &mut choices).await;
    }
    table::print(&counts, seed);
    let faults = counts.faults.lock().unwrap().clone();
    assert!(faults.is_empty(), "{} faults: {faults:#?}", faults.len());
}

/// A network until it has had its kills, or the time is over.
async fn one_network(counts: &Arc<Counts>, kills: u64, end: Duration, wallets: usize, choices: &mut Choices) {
    let world = Arc::new(World::start(Arc::clone(counts), wallets).await);
    let (mut books, before) = (Books::new(world.kept_msat), read(&counts.kills));
    let mut bursts = false;
    while counts.started.elapsed() < end && read(&counts.kills) < before + KILLS_OF_NETWORK {
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
        table::line(counts, if bursts { "bursts" } else { "steady" });
        bursts = !bursts;
    }
    books.rest(&world, true, choices.next()).await;
    table::line(counts, "at the end of a network");
    table::take_audit(&world).await;
    removed::entry_is_named(&world, choices.next()).await;
    add(&counts.networks, 1);
    let world = Arc::into_inner(world).expect("nobody works any more");
    world.scene.network.shutdown().await.unwrap();
}
