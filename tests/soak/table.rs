//! What the soak prints.

use std::sync::Arc;

use super::world::{Counts, World, add, read};

/// A line after each rest.
pub fn line(counts: &Counts, what: &str) {
    eprintln!(
        "[{:6.0} s] {what}: {} kills, {} payouts accepted, {} channels closed, {} dust burnt; twice {}, lost {}, stuck {}, books {}",
        counts.started.elapsed().as_secs_f64(),
        read(&counts.kills),
        read(&counts.accepted),
        read(&counts.channels_closed),
        read(&counts.burnt),
        read(&counts.twice),
        read(&counts.lost),
        read(&counts.stuck),
        read(&counts.books),
    );
}

/// Takes what the table needs of a network that ends.
pub async fn take_audit(world: &Arc<World>) {
    let counts = &world.counts;
    add(&counts.items, u64::try_from(world.settled.lock().unwrap().len()).unwrap());
    add(&counts.unanswered, read(&world.services.unanswered));
    // Whether it is clean was looked at in the last rest.
    let audit = world.scene.network.satchel.command_json("audit", &[]).await.unwrap_or_default();
    for row in audit["payouts"].as_array().into_iter().flatten() {
        let counter = match row["name"].as_str().unwrap() {
            "paid" => &counts.paid,
            "failed" => &counts.failed,
            _ => &counts.open,
        };
        add(counter, row["count"].as_u64().unwrap());
    }
}

/// The table at the end.
pub fn print(counts: &Counts, seed: u64) {
    let rows = [
        ("seed", seed),
        ("networks", read(&counts.networks)),
        ("kills", read(&counts.kills)),
        ("things made", read(&counts.items)),
        ("redemptions accepted", read(&counts.accepted)),
        ("  paid", read(&counts.paid)),
        ("  failed", read(&counts.failed)),
        ("  open", read(&counts.open)),
        ("withdrawals to offers asked", read(&counts.to_offers)),
        ("  in doubt, and paid", read(&counts.settled_paid)),
        ("  in doubt, and not sent", read(&counts.settled_not_sent)),
        ("  to lightning addresses", read(&counts.to_addresses)),
        ("twice", read(&counts.twice)),
        ("lost", read(&counts.lost)),
        ("stuck", read(&counts.stuck)),
        ("books disagree", read(&counts.books)),
        ("channels LDK closed", read(&counts.channels_closed)),
        ("  at so many starts", read(&counts.stale_starts)),
        ("starts at which LDK panicked", read(&counts.panics)),
        ("dust burnt in closes", read(&counts.burnt)),
        ("  sat", read(&counts.burnt_sat)),
        ("requests without an answer", read(&counts.unanswered)),
        ("rests", read(&counts.rests)),
        ("blocks mined", read(&counts.blocks)),
        ("seconds", counts.started.elapsed().as_secs()),
    ];
    println!("\nsoak");
    for (name, number) in rows {
        println!("{name:<30} {number:>10}");
    }
}
