//! What the soak prints.

use std::sync::Arc;

use super::common::scene::counter;
use super::world::{World, read};

/// A line after each rest.
pub fn line(world: &World, what: &str) {
    let counts = &world.counts;
    eprintln!(
        "[{:6.0} s] {what}: {} kills, {} payouts accepted, {} items, {} channels closed, {} dust burnt; twice {}, lost {}, stuck {}, books {}",
        world.started.elapsed().as_secs_f64(),
        read(&counts.kills),
        read(&counts.accepted),
        world.settled.lock().unwrap().len(),
        read(&counts.channels_closed),
        read(&counts.burnt),
        read(&counts.twice),
        read(&counts.lost),
        read(&counts.stuck),
        read(&counts.books),
    );
}

/// The table at the end; gives the faults.
pub async fn print(world: &Arc<World>, seed: u64) -> Vec<String> {
    let counts = &world.counts;
    let audit = world.scene.network.satchel.command_json("audit", &[]).await.unwrap_or_default();
    let payouts = |name: &str| {
        let rows = audit["payouts"].as_array().cloned().unwrap_or_default();
        rows.iter().filter(|row| row["name"] == name).filter_map(|row| row["count"].as_u64()).sum::<u64>()
    };
    let mut faults = counts.faults.lock().unwrap().clone();
    if audit["clean"] != true {
        faults.push(format!("the audit is not clean: {audit}"));
    }
    let ended = ["paid", "failed"];
    let open: u64 = audit["payouts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|row| !ended.contains(&row["name"].as_str().unwrap_or_default()))
        .filter_map(|row| row["count"].as_u64())
        .sum();
    let rows = [
        ("seed", seed),
        ("kills", read(&counts.kills)),
        ("items made", u64::try_from(world.settled.lock().unwrap().len()).unwrap()),
        ("payouts accepted", read(&counts.accepted)),
        ("  paid", payouts("paid")),
        ("  failed", payouts("failed")),
        ("  open", open),
        ("paid twice", read(&counts.twice)),
        ("lost", read(&counts.lost)),
        ("stuck", read(&counts.stuck)),
        ("books disagree", read(&counts.books)),
        ("starts at which LDK closed", read(&counts.stale_starts)),
        ("channels LDK closed", counter(&audit, "channels_closed").max(read(&counts.channels_closed))),
        ("dust burnt in closes", read(&counts.burnt)),
        ("  sat", read(&counts.burnt_sat)),
        ("requests without an answer", read(&world.services.unanswered)),
        ("rests", read(&counts.rests)),
        ("blocks mined", read(&counts.blocks)),
        ("faults", u64::try_from(faults.len()).unwrap()),
        ("seconds", world.started.elapsed().as_secs()),
    ];
    println!("\n{:<28} {:>12}", "soak", "");
    for (name, number) in rows {
        println!("{name:<28} {number:>12}");
    }
    faults
}
