//! LDK's key-value traits on our store: the same file and the same group commits as the ledger.
//!
//! Everything is durable before a call returns, in the order of the calls, with three exceptions:
//!
//! * rows of ldk-node's own `payments` list return once they are queued. They are hints; the ledger holds
//!   the truth, and the queue keeps their order, so that whatever is written after them (an event, our
//!   charge) is never there without them;
//! * what is written within [`without_waiting`] returns once it is queued, and keeps its place in the order;
//! * the network graph and the scores go to the cache folder.
//!
//! With the feature `failpoints`, `kv.hold_manager` makes a crash at the wrong moment reproducible: writes of the
//! channel manager are acknowledged and not made, so that the file keeps an older manager beside newer monitors.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use lightning::io::{Error, ErrorKind};
#[cfg(feature = "failpoints")]
use lightning::util::persist::CHANNEL_MANAGER_PERSISTENCE_KEY;
use lightning::util::persist::{KVStore, KVStoreSync};

use super::cache::Cache;
use super::htlcs::Htlcs;
use crate::core::ids::PaymentHash;
use crate::storage::kv::{KvChange, KvKey, KvRow};
use crate::storage::{Store, StoreError};

/// ldk-node's list of payments.
const PAYMENTS: &str = "payments";

/// Updates of channels' monitors, whole monitors, and LDK's manager: see [`super::standing`].
const UPDATES: &str = "monitor_updates";
const MONITORS: &str = "monitors";
const MANAGER: &str = "manager";

pub(super) struct KvStore {
    store: Store,
    cache: Arc<Cache>,
    htlcs: Htlcs,
    // ldk-node lists all payments at start and then reads each: one scan serves them all.
    scanned: Mutex<HashMap<String, Vec<u8>>>,
}

thread_local! {
    /// Whether writes of this thread return once they are queued.
    static QUEUED_IS_ENOUGH: Cell<bool> = const { Cell::new(false) };
}

/// Runs `call`, whose writes need not be durable when they return: losing them in a crash repeats something that
/// changes nothing the second time. Only what `call` writes on its own thread is meant.
pub(super) fn without_waiting<T>(call: impl FnOnce() -> T) -> T {
    QUEUED_IS_ENOUGH.set(true);
    let result = call();
    QUEUED_IS_ENOUGH.set(false);
    result
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl KvStore {
    pub(super) fn new(store: Store, cache: Cache) -> Self {
        Self { store, cache: Arc::new(cache), htlcs: Htlcs::default(), scanned: Mutex::default() }
    }

    /// The HTLCs that were written.
    pub(super) fn htlcs(&self) -> &Htlcs {
        &self.htlcs
    }

    /// The rows of these namespaces that contain a payment's hash.
    pub(super) fn rows_with(&self, primaries: &[&str], hash: PaymentHash) -> Result<Vec<KvRow>, StoreError> {
        let primaries = primaries.iter().map(|primary| (*primary).to_owned()).collect();
        self.store.kv_containing(primaries, hash.0.to_vec())
    }

    /// Whether a row contains these bytes.
    pub(super) fn row_has_bytes(&self, at: KvKey, bytes: Vec<u8>) -> Result<bool, StoreError> {
        self.store.kv_contains(at, bytes)
    }

    /// Whether any row of these namespaces contains these bytes.
    pub(super) fn any_row_has(&self, primaries: &[&str], bytes: Vec<u8>) -> Result<bool, StoreError> {
        let primaries = primaries.iter().map(|primary| (*primary).to_owned()).collect();
        Ok(!self.store.kv_containing(primaries, bytes)?.is_empty())
    }

    /// The names of all monitors.
    pub(super) fn monitor_names(&self) -> Result<Vec<String>, StoreError> {
        self.store.kv_list(MONITORS.into(), String::new())
    }

    /// Of these monitors, the rows that contain a payment's hash, updates included.
    pub(super) fn rows_of_monitors_with(
        &self,
        names: &[String],
        hash: PaymentHash,
    ) -> Result<Vec<KvRow>, StoreError> {
        let mut found = Vec::new();
        for name in names {
            let at = KvKey { primary: MONITORS.into(), secondary: String::new(), key: name.clone() };
            if self.row_has(at.clone(), hash)?
                && let Some(value) = self.store.kv_read(at.clone())?
            {
                found.push(KvRow { at, value });
            }
            for (key, value) in self.store.kv_scan(UPDATES.into(), name.clone())? {
                if value.windows(hash.0.len()).any(|bytes| bytes == hash.0) {
                    let at = KvKey { primary: UPDATES.into(), secondary: name.clone(), key };
                    found.push(KvRow { at, value });
                }
            }
        }
        Ok(found)
    }

    /// Whether a row contains a payment's hash.
    pub(super) fn row_has(&self, at: KvKey, hash: PaymentHash) -> Result<bool, StoreError> {
        self.store.kv_contains(at, hash.0.to_vec())
    }

    fn note(&self, at: &KvKey, change: &KvChange) {
        let KvChange::Put(value) = change else { return };
        match at.primary.as_str() {
            UPDATES => self.htlcs.note_update(&at.secondary, value),
            MONITORS => self.htlcs.note_whole(&at.key),
            "" if at.key == MANAGER => self.htlcs.note_manager(),
            _ => {}
        }
    }

    fn take_scanned(&self, key: &str) -> Option<Vec<u8>> {
        let mut scanned = self.scanned.lock().unwrap_or_else(PoisonError::into_inner);
        let value = scanned.remove(key);
        if scanned.is_empty() {
            // Gives the memory back, which an emptied map keeps.
            *scanned = HashMap::new();
        }
        value
    }

    fn change(&self, at: KvKey, change: KvChange) -> Answer<()> {
        if skips_write(&at) {
            return Box::pin(async { Ok(()) });
        }
        self.note(&at, &change);
        let at_cache = Cache::holds(&at.primary, &at.secondary, &at.key);
        if at_cache {
            let (cache, ticket) = (Arc::clone(&self.cache), self.cache.ticket());
            let write = tokio::task::spawn_blocking(move || match change {
                KvChange::Put(value) => cache.write(&at.key, &value, ticket),
                KvChange::Remove => cache.remove(&at.key),
            });
            return Box::pin(async move {
                let written = write.await.map_err(|error| other(&error))?;
                written.map_err(|error| other(&error))
            });
        }
        if QUEUED_IS_ENOUGH.get() {
            let queued = self.store.kv_change_queued(at, change).map_err(into_io);
            return Box::pin(async move { queued });
        }
        let done = self.store.kv_change(at, change);
        Box::pin(async move { done.await.map_err(into_io) })
    }

    fn change_blocking(&self, at: KvKey, change: KvChange) -> Result<(), Error> {
        if skips_write(&at) {
            return Ok(());
        }
        self.note(&at, &change);
        if Cache::holds(&at.primary, &at.secondary, &at.key) {
            let ticket = self.cache.ticket();
            return match change {
                KvChange::Put(value) => self.cache.write(&at.key, &value, ticket),
                KvChange::Remove => self.cache.remove(&at.key),
            }
            .map_err(|error| other(&error));
        }
        if at.primary == PAYMENTS {
            return self.store.kv_change_queued(at, change).map_err(into_io);
        }
        self.store.kv_change_blocking(at, change).map_err(into_io)
    }

    fn read_now(&self, at: KvKey) -> Result<Vec<u8>, Error> {
        let found = if Cache::holds(&at.primary, &at.secondary, &at.key) {
            self.cache.read(&at.key)
        } else {
            let scanned = if at.primary == PAYMENTS { self.take_scanned(&at.key) } else { None };
            match scanned {
                Some(value) => Some(value),
                None => self.store.kv_read(at).map_err(into_io)?,
            }
        };
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such row"))
    }

    fn list_now(&self, primary: &str, secondary: &str) -> Result<Vec<String>, Error> {
        if primary != PAYMENTS {
            return self.store.kv_list(primary.into(), secondary.into()).map_err(into_io);
        }
        let rows = self.store.kv_scan(primary.into(), secondary.into()).map_err(into_io)?;
        let keys = rows.iter().map(|row| row.0.clone()).collect();
        *self.scanned.lock().unwrap_or_else(PoisonError::into_inner) = rows.into_iter().collect();
        Ok(keys)
    }
}

/// Whether a test asks for this write to be acknowledged and not made: the channel manager's, at `kv.hold_manager`.
#[cfg(feature = "failpoints")]
fn skips_write(at: &KvKey) -> bool {
    if at.primary.is_empty() && at.secondary.is_empty() && at.key == CHANNEL_MANAGER_PERSISTENCE_KEY {
        fail::fail_point!("kv.hold_manager", crate::telemetry::failpoint::armed(), |_| true);
    }
    false
}

#[cfg(not(feature = "failpoints"))]
fn skips_write(_: &KvKey) -> bool {
    false
}

fn key(primary: &str, secondary: &str, key: &str) -> KvKey {
    KvKey { primary: primary.into(), secondary: secondary.into(), key: key.into() }
}

fn into_io(error: StoreError) -> Error {
    other(&error)
}

fn other(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, error.to_string())
}

impl KVStoreSync for KvStore {
    fn read(&self, primary: &str, secondary: &str, name: &str) -> Result<Vec<u8>, Error> {
        self.read_now(key(primary, secondary, name))
    }

    fn write(&self, primary: &str, secondary: &str, name: &str, value: Vec<u8>) -> Result<(), Error> {
        self.change_blocking(key(primary, secondary, name), KvChange::Put(value))
    }

    fn remove(&self, primary: &str, secondary: &str, name: &str, _lazy: bool) -> Result<(), Error> {
        self.change_blocking(key(primary, secondary, name), KvChange::Remove)
    }

    fn list(&self, primary: &str, secondary: &str) -> Result<Vec<String>, Error> {
        self.list_now(primary, secondary)
    }
}

impl KVStore for KvStore {
    fn read(&self, primary: &str, secondary: &str, name: &str) -> Answer<Vec<u8>> {
        // Used while starting, from threads that may block.
        let found = self.read_now(key(primary, secondary, name));
        Box::pin(async move { found })
    }

    fn write(&self, primary: &str, secondary: &str, name: &str, value: Vec<u8>) -> Answer<()> {
        self.change(key(primary, secondary, name), KvChange::Put(value))
    }

    fn remove(&self, primary: &str, secondary: &str, name: &str, _lazy: bool) -> Answer<()> {
        self.change(key(primary, secondary, name), KvChange::Remove)
    }

    fn list(&self, primary: &str, secondary: &str) -> Answer<Vec<String>> {
        let found = self.list_now(primary, secondary);
        Box::pin(async move { found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_are_read_from_one_scan_and_a_missing_row_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
        let kv = KvStore::new(store, Cache::new(folder.path().join("cache")));
        for name in ["a", "b"] {
            KVStoreSync::write(&kv, PAYMENTS, "", name, name.into()).unwrap();
        }
        KVStoreSync::write(&kv, "monitors", "", "m", vec![7]).unwrap();
        let mut names = KVStoreSync::list(&kv, PAYMENTS, "").unwrap();
        names.sort();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(KVStoreSync::read(&kv, PAYMENTS, "", "a").unwrap(), b"a");
        assert_eq!(
            KVStoreSync::read(&kv, PAYMENTS, "", "a").unwrap(),
            b"a",
            "also after the scan is used up"
        );
        assert_eq!(KVStoreSync::read(&kv, "monitors", "", "m").unwrap(), [7]);
        let missing = KVStoreSync::read(&kv, "", "", "manager").unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn write_that_need_not_be_durable_does_not_wait_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
        let kv = KvStore::new(store.clone(), Cache::new(folder.path().join("cache")));
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let (tell, began) = std::sync::mpsc::channel::<()>();
        // The writer is busy until it is told to go on.
        let busy = std::thread::spawn(move || {
            store.write_blocking(move |_| {
                tell.send(()).unwrap();
                wait.recv().unwrap();
                Ok::<_, StoreError>(())
            })
        });
        began.recv().unwrap();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut write =
            |name: &str| KVStore::write(&kv, "", "", name, b"queue".to_vec()).as_mut().poll(&mut context);
        assert!(without_waiting(|| write("events")).is_ready());
        assert!(write("manager").is_pending(), "others wait as before");
        go_on.send(()).unwrap();
        busy.join().unwrap().unwrap();
        // What is durable now was queued behind it.
        KVStoreSync::write(&kv, "", "", "peers", vec![]).unwrap();
        assert_eq!(KVStoreSync::read(&kv, "", "", "events").unwrap(), b"queue");
    }
}
