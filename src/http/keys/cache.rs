//! The keys in use, so that a request costs no look-up in the database. Only valid keys are in it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ipnet::IpNet;
use tokio::sync::watch;

use super::Caller;
use super::rows::Found;
use crate::core::time::UnixMillis;

/// Keys remembered; with more in use all are forgotten and looked up again.
const MOST: usize = 4096;

pub(super) struct Cache {
    inner: RwLock<Inner>,
    changes: watch::Sender<()>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { inner: RwLock::default(), changes: watch::Sender::new(()) }
    }
}

#[derive(Default)]
struct Inner {
    // Counts revocations. What was read from the database before one must not be put in after it.
    generation: u64,
    known: HashMap<[u8; 32], Arc<Known>>,
}

/// A valid key.
pub(super) struct Known {
    pub(super) caller: Caller,
    last_used_at: AtomicI64,
    networks: Option<Vec<IpNet>>,
    expires_at: Option<UnixMillis>,
}

impl Known {
    /// Whether the key is good at this time, for a client at this address.
    pub(super) fn admits(&self, now: UnixMillis, address: Option<IpAddr>) -> bool {
        let in_time = self.expires_at.is_none_or(|end| now < end);
        let from = |networks: &Vec<IpNet>| {
            address.is_some_and(|address| networks.iter().any(|network| network.contains(&address)))
        };
        in_time && self.networks.as_ref().is_none_or(from)
    }

    /// When the key ends by itself.
    pub(super) fn expires_at(&self) -> Option<UnixMillis> {
        self.expires_at
    }

    /// Whether the last use was written down too long ago; says so once, then counts as written.
    pub(super) fn is_stale(&self, now: i64, step: i64) -> bool {
        let last = self.last_used_at.load(Ordering::Relaxed);
        now.saturating_sub(last) >= step
            && self.last_used_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Cache {
    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<Arc<Known>> {
        self.read().known.get(hash).cloned()
    }

    pub(super) fn generation(&self) -> u64 {
        self.read().generation
    }

    /// Remembers a key that was read when the generation was `generation`.
    pub(super) fn put(&self, hash: [u8; 32], found: Found, generation: u64) -> Arc<Known> {
        let Found { caller, last_used_at, networks, expires_at } = found;
        let last_used_at = AtomicI64::new(last_used_at.unwrap_or(0));
        let known = Arc::new(Known { caller, last_used_at, networks, expires_at });
        let mut inner = self.write();
        if inner.generation == generation {
            if inner.known.len() >= MOST {
                inner.known.clear();
            }
            inner.known.insert(hash, Arc::clone(&known));
        }
        known
    }

    pub(super) fn forget_all(&self) {
        let mut inner = self.write();
        inner.generation = inner.generation.wrapping_add(1);
        inner.known.clear();
        drop(inner);
        self.changes.send_replace(());
    }

    /// Tells when keys have changed.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}
