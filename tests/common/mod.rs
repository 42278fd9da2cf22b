//! What the tests on a real network share: the gifts' HTTP interface as a program sees it, a whole network
//! with a book of every payment, and the comparison of that book with satchel's and the wallets' own records.
//!
//! Nothing here uses satchel's code: what it says is checked from outside.

#![allow(dead_code, reason = "each test program uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

pub mod api;
pub mod choices;
pub mod doomed;
pub mod mailbox;
pub mod names;
pub mod payments;
pub mod scene;
pub mod shopify;
pub mod tips;

use std::future::Future;
use std::time::{Duration, Instant};

use regtest::Satchel;

pub use api::{Api, Gift};
pub use scene::Scene;

/// How long anything may take that should happen at once, on a machine that does much else.
pub const SOON: Duration = Duration::from_secs(30);

/// How long a payout of unknown fate may take: the node's first moments, its peers' return, a look at its channels.
pub const RECOVERY: Duration = Duration::from_secs(90);

const POLL: Duration = Duration::from_millis(50);

/// Says what is being tested, and how long it took.
pub async fn case<T>(name: &str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    eprintln!("-- {name}");
    let result = work.await;
    eprintln!("   {name}: {:.1} s", started.elapsed().as_secs_f64());
    result
}

/// Asks again and again until there is something.
pub async fn until<T, F>(what: &str, limit: Duration, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(Instant::now() < end, "not after {limit:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// What LDK says at a start that finds a channel further than its own state.
const LDK_CLOSES: &str = "A ChannelManager is stale";

/// And when it panics over it: while it closes that channel, and while it resumes another whose manager is older than its
/// monitor without LDK's noticing.
const LDK_PANICS: &[&str] = &[
    "Attempted to apply ChannelMonitorUpdates out of order",
    "Cannot use both ChannelMonitorUpdateStatus modes InProgress and Completed without restart",
];

/// Starts that LDK may panic at in a row.
const MOST_PANICS: usize = 8;

/// Starts satchel after a crash. LDK panics now and then at the start that finds a channel further than its own state,
/// if a peer is back before it has closed that channel: like a service manager, this starts it once more. Gives how
/// often that happened.
pub async fn rises(satchel: &Satchel) -> usize {
    for panics in 0..MOST_PANICS {
        let before = log_of(satchel).len();
        let started = satchel.start().await;
        let news = || String::from_utf8_lossy(&log_of(satchel).split_off(before)).into_owned();
        if started.is_ok() && news().contains(LDK_CLOSES) {
            // Its peers may be a moment behind.
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        if started.is_ok() && satchel.is_running() {
            return panics;
        }
        let news = news();
        let panic = LDK_PANICS.iter().find(|text| news.contains(**text));
        assert!(panic.is_some(), "{started:?}");
        eprintln!("   LDK panicked at the start ({}); once more", panic.unwrap());
        if satchel.is_running() {
            // It is about to end.
            let _status = satchel.wait_exit(SOON).await;
        }
    }
    if let Some(dir) = std::env::var_os("SATCHEL_KEEP_FAILED") {
        let copied = std::process::Command::new("cp").arg("-a").arg(satchel.data_dir()).arg(&dir).status();
        eprintln!("   data folder copied to {}: {copied:?}", dir.display());
        std::fs::copy(satchel.log_path(), std::path::Path::new(&dir).join("satchel.log")).unwrap();
    }
    panic!("LDK panicked at {MOST_PANICS} starts in a row:\n{}", satchel.log_tail());
}

fn log_of(satchel: &Satchel) -> Vec<u8> {
    std::fs::read(satchel.log_path()).unwrap_or_default()
}

/// The system's Python, which is the one that has what the system's packages bring.
pub fn python() -> &'static str {
    if std::path::Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" }
}
