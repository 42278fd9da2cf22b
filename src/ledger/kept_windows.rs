//! The windows of limits over a restart: what is kept of them, and what has passed in between.
//!
//! A time away is believed as far as the blocks that came meanwhile bear it out: at least 400 seconds for each, at most
//! 800 and an hour. Until the node knows its blocks, no time has passed, so that a clock that is wrong at the start ends
//! no window.

use std::time::Duration;

use super::rows::charges as rows;
use super::sure_time::BLOCK;
use super::{Ledger, LedgerError};
use crate::core::time::{Kept, Span, UnixMillis};

/// What had passed, and the clock at that time.
const PASSED: &str = "windows_passed";

/// When the day began, and which it is.
const DAY: &str = "windows_day";

/// The height at that time, and how many spans are kept.
const HEIGHT: &str = "windows_height";

/// From a time to another: of each span, with its number behind.
const SPAN: &str = "windows_span_";

/// Spans that are kept; the last counts most.
const MOST_SPANS: usize = 16;

/// How often it is kept.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// What a block stands for at most, on average over many; at least [`BLOCK`].
const LONGEST_BLOCK: Duration = Duration::from_secs(800);

/// A time away that needs no blocks to be believed.
const SHORT: Duration = Duration::from_secs(3_600);

/// Keeps the windows over restarts.
#[derive(Debug, Default)]
pub struct KeptWindows {
    /// How long it was away by the clock, and the height before, until the node knows its blocks.
    away: Option<(UnixMillis, i64)>,
    kept_at: Option<Duration>,
}

impl KeptWindows {
    /// At the start, before anything asks for a window: goes on where the last run stopped. Blocks.
    ///
    /// # Errors
    /// The store's.
    pub fn start(ledger: &Ledger) -> Result<Self, LedgerError> {
        let kept = ledger.store.read_blocking(|connection| -> Result<_, LedgerError> {
            let (passed, wall) = rows::mark(connection, PASSED)?;
            let (day_began, day) = rows::mark(connection, DAY)?;
            let (height, count) = rows::mark(connection, HEIGHT)?;
            let count = usize::try_from(count).unwrap_or(0).min(MOST_SPANS);
            let span = |number: usize| {
                rows::mark(connection, &format!("{SPAN}{number}")).map(|(from, to)| Span { from, to })
            };
            let spans = (0..count).map(span).collect::<Result<Vec<_>, _>>()?;
            Ok((Kept { passed, wall, day_began, day, spans }, height))
        })?;
        let (kept, height) = kept;
        if kept.wall == 0 {
            return Ok(Self::default());
        }
        ledger.clock.resume(&kept);
        Ok(Self { away: Some((ledger.clock.now().saturating_sub(kept.wall), height)), kept_at: None })
    }

    /// Does what is due, while the node runs. Blocks.
    ///
    /// # Errors
    /// The store's.
    pub fn round(&mut self, ledger: &Ledger) -> Result<(), LedgerError> {
        let height = i64::from(ledger.lightning.block_height());
        if height == 0 || !ledger.lightning.knows_the_chain() {
            return Ok(());
        }
        if let Some((away, before)) = self.away.take() {
            let blocks = u32::try_from(height.saturating_sub(before).max(0)).unwrap_or(u32::MAX);
            let (least, most) = (BLOCK.saturating_mul(blocks), LONGEST_BLOCK.saturating_mul(blocks));
            let away = Duration::from_millis(u64::try_from(away).unwrap_or(0));
            ledger.clock.was_away(away.clamp(least, most.saturating_add(SHORT)));
        }
        let steady = ledger.clock.steady();
        if self.kept_at.is_some_and(|at| steady.saturating_sub(at) < KEEP_EVERY) {
            return Ok(());
        }
        let kept = ledger.clock.kept();
        ledger.store.write_blocking(move |tx| -> Result<(), LedgerError> {
            let spans = kept.spans.iter().rev().take(MOST_SPANS);
            let mut count = 0;
            for (number, span) in spans.enumerate() {
                rows::set_mark(tx, &format!("{SPAN}{number}"), span.from, span.to)?;
                count = i64::try_from(number).unwrap_or(0).saturating_add(1);
            }
            rows::set_mark(tx, PASSED, kept.passed, kept.wall)?;
            rows::set_mark(tx, DAY, kept.day_began, kept.day)?;
            rows::set_mark(tx, HEIGHT, height, count)
        })?;
        self.kept_at = Some(steady);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::time::{Clock, millis};
    use crate::ledger::{Listeners, Notify, Settings};
    use crate::lightning::Lightning;
    use crate::lightning::sim::Sim;
    use crate::storage::Store;

    const NOON: UnixMillis = 1_799_971_200_000 + 43_200_000;
    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(86_400);

    fn ledger(store: &Store, now: UnixMillis) -> Ledger {
        let clock = Clock::manual(now);
        Ledger {
            store: store.clone(),
            lightning: Arc::new(Sim::new(clock.clone())) as Arc<dyn Lightning>,
            clock,
            wake: Arc::new(Notify::default()),
            listeners: Listeners::default(),
            settings: Settings::default(),
        }
    }

    fn counts(ledger: &Ledger, at: UnixMillis) -> bool {
        ledger.clock.today().spans().iter().any(|span| (span.from..=span.to).contains(&at))
    }

    #[test]
    fn restart_with_a_wrong_clock_ends_no_day_and_one_after_a_while_does() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
        let first = ledger(&store, NOON);
        let mut windows = KeptWindows::start(&first).unwrap();
        windows.round(&first).unwrap();
        // No block came: an hour is believed, not forty days, nor a year back.
        for days in [40, -365] {
            let wrong = ledger(&store, NOON + days * millis(DAY));
            let mut windows = KeptWindows::start(&wrong).unwrap();
            assert!(counts(&wrong, NOON));
            windows.round(&wrong).unwrap();
            assert!(counts(&wrong, NOON), "{days}");
        }
        let later = ledger(&store, NOON + millis(HOUR));
        KeptWindows::start(&later).unwrap().round(&later).unwrap();
        later.clock.advance(DAY);
        assert!(!counts(&later, NOON));
    }
}
