//! Requests with the same idempotency key go one after the other: the first does the work, and the others find it done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::http::keys::KeyId;

/// Whoever holds it has the turn.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// Keys in use.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<(KeyId, String), Turn>>);

impl Turns {
    /// Waits until no other request has this key. The turn ends when what is returned is dropped.
    pub(super) async fn take(&self, key: KeyId, once: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever has a turn, or waits for one, holds a copy.
            all.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(all.entry((key, once.to_owned())).or_default())
        };
        turn.lock_owned().await
    }
}
