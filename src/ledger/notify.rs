//! Wakes a thread that waits for work. Any number of notifications before it waits count as one.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// As `tokio::sync::Notify`, for threads.
#[derive(Debug, Default)]
pub struct Notify {
    notified: Mutex<bool>,
    changed: Condvar,
}

impl Notify {
    /// Wakes the thread that waits, or the next one that will.
    pub fn notify(&self) {
        *self.notified.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits for a notification (one that came since the last wait counts), at most so long.
    pub fn wait(&self, at_most: Duration) {
        let notified = self.notified.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut notified, _) = self
            .changed
            .wait_timeout_while(notified, at_most, |notified| !*notified)
            .unwrap_or_else(PoisonError::into_inner);
        *notified = false;
    }
}
