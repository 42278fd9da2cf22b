//! Events on their way to relays: signed, kept, and queued for each relay in the transaction that causes them.
//!
//! An event that another one replaces is not needed any more: it leaves the queues of the relays that don't have it
//! yet, so what waits is bounded by what there is, however long a relay is away. What is current stays; a relay that
//! the operator adds later gets all of it.

mod queue;
mod socket;
mod worker;

use std::sync::Arc;

use tokio::sync::watch;

use super::event::{Draft, Event};
use super::ids::{EventId, Pubkey};
use super::schnorr::ServerKey;
use crate::core::time::UnixMillis;
use crate::storage::{Store, StoreError, Tx};

pub use queue::RelayStatus;
pub(super) use queue::status;
pub use worker::run;

/// Signs events and queues them. Cheap to clone.
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    key: ServerKey,
    bell: watch::Sender<()>,
}

impl Publisher {
    /// Signs with this key, for the relays of the configuration. Those that are new get what is current. Blocks.
    ///
    /// # Errors
    /// The store's.
    pub fn new(store: &Store, key: ServerKey, relays: &[String]) -> Result<Self, StoreError> {
        let relays = relays.to_vec();
        store.write_blocking(move |tx| queue::configure(tx, &relays))?;
        Ok(Self(Arc::new(Inner { key, bell: watch::Sender::new(()) })))
    }

    /// What the author of all events is known by.
    pub fn pubkey(&self) -> Pubkey {
        self.0.key.pubkey()
    }

    pub(super) fn key(&self) -> &ServerKey {
        &self.0.key
    }

    /// Signs an event that is later than the one before it, if there is one: of two with the same time relays keep
    /// the one with the lower id.
    pub(super) fn sign(&self, draft: Draft, now: UnixMillis, after: Option<i64>) -> Event {
        let at = now.div_euclid(1_000).max(after.map_or(0, |after| after.saturating_add(1)));
        draft.sign(&self.0.key, at)
    }

    /// Queues an event for all relays, in place of another.
    pub(super) fn publish(
        &self,
        tx: &Tx<'_>,
        event: &Event,
        replaces: Option<EventId>,
        now: UnixMillis,
    ) -> rusqlite::Result<()> {
        queue::add(tx, event, true, now)?;
        if let Some(old) = replaces {
            queue::supersede(tx, old)?;
        }
        self.notify(tx);
        Ok(())
    }

    /// Queues an event that only takes others back: relays that come later need it not. What it takes back isn't
    /// current any more.
    pub(super) fn take_back(
        &self,
        tx: &Tx<'_>,
        event: &Event,
        last: EventId,
        now: UnixMillis,
    ) -> rusqlite::Result<()> {
        queue::add(tx, event, false, now)?;
        queue::retire(tx, last)?;
        self.notify(tx);
        Ok(())
    }

    /// Forgets an event: nobody needs it any more.
    pub(super) fn forget(&self, tx: &Tx<'_>, event: EventId) -> rusqlite::Result<()> {
        queue::supersede(tx, event)
    }

    fn notify(&self, tx: &Tx<'_>) {
        let this = self.clone();
        tx.after_commit(move || this.0.bell.send_modify(|()| {}));
    }

    /// Hears when something is queued.
    pub(super) fn bell(&self) -> watch::Receiver<()> {
        self.0.bell.subscribe()
    }
}
