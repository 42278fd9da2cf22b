//! Whether the mail server could be talked to lately.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// How long a server that answered counts as there.
const UP_FOR: Duration = Duration::from_secs(60);

/// How long one that did not counts as away. Short: whoever waits for a letter tries again soon.
const DOWN_FOR: Duration = Duration::from_secs(10);

/// How long a request waits to learn it. Some servers let a stranger wait six seconds for their greeting.
const PATIENCE: Duration = Duration::from_secs(8);

/// What was seen last, and when.
#[derive(Clone, Copy)]
struct Seen {
    up: bool,
    at: Instant,
}

impl Seen {
    fn is_fresh(self) -> bool {
        self.at.elapsed() < if self.up { UP_FOR } else { DOWN_FOR }
    }
}

/// What is known of the server.
pub(super) struct Reach {
    seen: watch::Sender<Option<Seen>>,
    /// One asks at a time.
    turns: Arc<Semaphore>,
}

impl Default for Reach {
    fn default() -> Self {
        Self { seen: watch::Sender::new(None), turns: Arc::new(Semaphore::new(1)) }
    }
}

impl Reach {
    /// What was seen not long ago.
    pub(super) fn known(&self) -> Option<bool> {
        self.seen.borrow().filter(|seen| seen.is_fresh()).map(|seen| seen.up)
    }

    /// Somebody has talked to it, or tried to.
    pub(super) fn note(&self, up: bool) {
        self.seen.send_replace(Some(Seen { up, at: Instant::now() }));
    }

    /// A letter did not get through: one that its recipient's own server holds up says nothing of the others, so whoever
    /// comes next asks.
    pub(super) fn doubt(&self) {
        self.seen.send_replace(None);
    }

    /// The right to ask the server; `None` while somebody does.
    pub(super) fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).try_acquire_owned().ok()
    }

    /// Waits until somebody knows, but not for long.
    pub(super) async fn learn(&self) -> bool {
        let mut news = self.seen.subscribe();
        let fresh = news.wait_for(|seen| seen.is_some_and(Seen::is_fresh));
        match tokio::time::timeout(PATIENCE, fresh).await {
            Ok(Ok(seen)) => seen.is_some_and(|seen| seen.up),
            // Silence. Who comes next need not wait as long; if it answers after all, that is noted then.
            _ => {
                self.note(false);
                false
            }
        }
    }
}
