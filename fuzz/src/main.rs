//! Feeds the target that `SATCHEL_FUZZ` names; `list` names them all. `scripts/fuzz` builds and runs it.

#![no_main]

use std::sync::OnceLock;

use satchel::fuzzing::{TARGETS, Target, find};

static TARGET: OnceLock<Target> = OnceLock::new();

fn chosen() -> Target {
    let name = std::env::var("SATCHEL_FUZZ").unwrap_or_default();
    if let Some(target) = find(&name) {
        return target;
    }
    for target in TARGETS {
        println!("{} {}", target.name, target.most);
    }
    std::process::exit(i32::from(name != "list"));
}

libfuzzer_sys::fuzz_target!(init: { TARGET.get_or_init(chosen); }, |data: &[u8]| {
    (TARGET.get_or_init(chosen).run)(data);
});
