//! The time, from one place, so that tests can turn it.

pub mod iso;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: milliseconds since 1970.
pub type UnixMillis = i64;

/// Tells the time. Cheap to clone; clones of a manual clock share its hand.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    hand: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until it is moved: for tests.
    pub fn manual(now: UnixMillis) -> Self {
        Self { hand: Some(Arc::new(AtomicI64::new(now))) }
    }

    /// Moves a manual clock; a system clock doesn't care.
    pub fn advance(&self, by: Duration) {
        if let Some(hand) = &self.hand {
            hand.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Now.
    pub fn now(&self) -> UnixMillis {
        match &self.hand {
            Some(hand) => hand.load(Ordering::SeqCst),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
        }
    }
}

/// A span in the unit of [`UnixMillis`].
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
