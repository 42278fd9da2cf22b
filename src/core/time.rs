//! The time, from one place, so that tests can turn it.

pub mod iso;
mod windows;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use windows::Windows;
pub use windows::{Kept, Span, Window};

/// A point in time: milliseconds since 1970.
pub type UnixMillis = i64;

/// Tells the time. Cheap to clone; clones of a manual clock share its hand.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    hand: Option<Arc<Hand>>,
}

/// What a manual clock shows.
#[derive(Debug)]
struct Hand {
    now: AtomicI64,
    /// Milliseconds that have really passed.
    steady: AtomicI64,
    windows: Mutex<Windows>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until it is moved: for tests.
    pub fn manual(now: UnixMillis) -> Self {
        let hand = Hand {
            now: AtomicI64::new(now),
            steady: AtomicI64::new(0),
            windows: Mutex::new(Windows::new(now, 0)),
        };
        Self { hand: Some(Arc::new(hand)) }
    }

    /// Moves a manual clock; a system clock doesn't care.
    pub fn advance(&self, by: Duration) {
        if let Some(hand) = &self.hand {
            hand.now.fetch_add(millis(by), Ordering::SeqCst);
            hand.steady.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Sets a manual clock ahead without any time having passed, as somebody does who sets it wrong.
    #[cfg(test)]
    pub(crate) fn jump(&self, by: Duration) {
        if let Some(hand) = &self.hand {
            hand.now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Sets a manual clock back.
    #[cfg(test)]
    pub(crate) fn jump_back(&self, by: Duration) {
        if let Some(hand) = &self.hand {
            hand.now.fetch_sub(millis(by), Ordering::SeqCst);
        }
    }

    /// Time passed since the process began to ask, whatever anybody does to the clock.
    pub fn steady(&self) -> Duration {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        match &self.hand {
            Some(hand) => {
                Duration::from_millis(u64::try_from(hand.steady.load(Ordering::SeqCst)).unwrap_or(0))
            }
            None => BEGAN.get_or_init(Instant::now).elapsed(),
        }
    }

    /// Now.
    pub fn now(&self) -> UnixMillis {
        match &self.hand {
            Some(hand) => hand.now.load(Ordering::SeqCst),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
        }
    }
}

/// A span in the unit of [`UnixMillis`].
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
