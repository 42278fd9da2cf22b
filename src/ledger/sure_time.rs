//! The time that has surely passed: what deletion rests on.
//!
//! A clock can be wrong by days for a while. What it does to statuses can be undone; what it lets us delete, an order
//! that can still be paid, or the node's record of one, is gone. So deletion asks for a time that is never ahead of the
//! clock and advances only as this process runs, a little faster while it is behind. A time away is made up for by the
//! blocks that came meanwhile.
//!
//! ```text
//! at start   sure = min(clock, kept + blocks since then × 400 s)
//! running    sure = min(clock, kept + time passed × 1.05)
//! ```
//!
//! So a clock that is days ahead has to stay so for 60 hours of running before anything is deleted three hours early.
//! It is kept in two marks, every few minutes: a crash loses those, which only delays deletion.

use std::sync::OnceLock;
use std::time::Duration;

use super::rows::charges as rows;
use super::{Ledger, LedgerError};
use crate::core::ids::random_bytes;
use crate::core::time::{UnixMillis, millis};

/// Time that has surely passed; and when, by the steady clock of the run, that was so.
const TIME_MARK: &str = "sure_time";

/// The height at that time, and the run.
const RUN_MARK: &str = "sure_time_run";

/// How often it is kept.
const KEEP_EVERY: Duration = Duration::from_secs(300);

/// By what part of the time passed it gains on a clock that is ahead.
const GAIN: i64 = 20;

/// What a block stands for at least, on average over many.
pub(super) const BLOCK: Duration = Duration::from_secs(400);

/// Tells this run of the process from all others.
fn run_id() -> i64 {
    static RUN: OnceLock<i64> = OnceLock::new();
    *RUN.get_or_init(|| random_bytes::<8>().map_or(1, |bytes| i64::from_be_bytes(bytes) & i64::MAX))
}

/// The time that has surely passed. Blocks; never call it inside a transaction.
///
/// # Errors
/// The store's.
pub fn sure_now(ledger: &Ledger) -> Result<UnixMillis, LedgerError> {
    let (wall, steady, run) = (ledger.clock.now(), millis(ledger.clock.steady()), run_id());
    let (kept, of_run) = ledger.store.read_blocking(|connection| -> Result<_, LedgerError> {
        Ok((rows::mark(connection, TIME_MARK)?, rows::mark(connection, RUN_MARK)?))
    })?;
    let height =
        if ledger.lightning.knows_the_chain() { i64::from(ledger.lightning.block_height()) } else { 0 };
    let same_run = of_run.1 == run;
    let sure = match kept {
        // Nothing is known yet.
        (0, 0) => wall,
        (at, since) if same_run => {
            let passed = steady.saturating_sub(since).max(0);
            wall.min(at.saturating_add(passed).saturating_add(passed / GAIN))
        }
        // Until the node knows its blocks, no time has passed.
        (at, _) if height == 0 => return Ok(wall.min(at)),
        (at, _) => {
            let blocks = height.saturating_sub(of_run.0).max(0);
            wall.min(at.saturating_add(blocks.saturating_mul(millis(BLOCK))))
        }
    };
    if !same_run || steady.saturating_sub(kept.1) >= millis(KEEP_EVERY) || sure < kept.0 {
        ledger.store.write_blocking(move |tx| -> Result<(), LedgerError> {
            rows::set_mark(tx, TIME_MARK, sure, steady)?;
            rows::set_mark(tx, RUN_MARK, height.max(of_run.0), run)
        })?;
    }
    Ok(sure)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::time::Clock;
    use crate::ledger::{Listeners, Notify, Settings};
    use crate::lightning::Lightning;
    use crate::lightning::sim::Sim;
    use crate::storage::Store;

    const NOON: UnixMillis = 1_800_000_000_000;
    const HOUR: Duration = Duration::from_secs(3_600);

    fn ledger() -> (Ledger, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let ledger = Ledger {
            store: Store::open_without_sync(&folder.path().join("satchel.db")).unwrap(),
            lightning: Arc::new(Sim::new(clock.clone())) as Arc<dyn Lightning>,
            clock,
            wake: Arc::new(Notify::default()),
            listeners: Listeners::default(),
            settings: Settings::default(),
        };
        (ledger, folder)
    }

    #[test]
    fn time_that_passes_is_sure() {
        let (ledger, _folder) = ledger();
        assert_eq!(sure_now(&ledger).unwrap(), NOON);
        ledger.clock.advance(HOUR * 80);
        assert_eq!(sure_now(&ledger).unwrap(), ledger.clock.now());
    }

    #[test]
    fn clock_that_jumps_ahead_is_not_believed_for_days() {
        let (ledger, _folder) = ledger();
        sure_now(&ledger).unwrap();
        ledger.clock.jump(HOUR * 72);
        assert_eq!(sure_now(&ledger).unwrap(), NOON);
        for _ in 0..48 {
            ledger.clock.advance(HOUR);
            sure_now(&ledger).unwrap();
        }
        let ahead = sure_now(&ledger).unwrap() - NOON - millis(HOUR * 48);
        assert!((0..millis(HOUR * 3)).contains(&ahead), "{ahead}");
    }

    #[test]
    fn clock_that_is_set_back_takes_the_sure_time_with_it() {
        let (ledger, _folder) = ledger();
        ledger.clock.advance(HOUR);
        sure_now(&ledger).unwrap();
        ledger.clock.jump_back(HOUR * 5);
        assert_eq!(sure_now(&ledger).unwrap(), ledger.clock.now());
    }
}
