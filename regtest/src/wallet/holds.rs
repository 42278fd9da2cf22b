//! Hold invoices: payments that arrive and stay locked until the wallet's user claims or fails them.
//!
//! Preimages are kept in the wallet's folder, one small file each, so that a held payment can still be claimed after a
//! restart. The node tells of an arrived payment once; what it told is kept in the same file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::error::WalletError;
use crate::ports;

/// One hold invoice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Hold {
    /// In hex.
    preimage: String,
    pub(super) state: HoldState,
}

/// How far a hold invoice has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HoldState {
    /// No payment has arrived.
    Waiting,
    /// A payment is locked and waits for a decision.
    Held { amount_msat: u64 },
    /// The wallet took it.
    Claimed,
    /// The wallet gave it back.
    Failed,
}

impl Hold {
    pub(super) fn preimage(&self) -> Result<[u8; 32]> {
        ports::hex32(&self.preimage).context("a hold invoice's file has no preimage")
    }
}

/// All hold invoices of a wallet.
pub(super) struct Holds {
    dir: PathBuf,
    all: Mutex<HashMap<String, Hold>>,
    changed: Notify,
}

impl Holds {
    /// Reads what an earlier run left in `dir`.
    pub(super) fn open(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).with_context(|| format!("can't create {}", dir.display()))?;
        let mut all = HashMap::new();
        for entry in fs::read_dir(&dir).with_context(|| format!("can't read {}", dir.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(hash) = path.file_stem().and_then(|stem| stem.to_str())
            {
                let text =
                    fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
                let hold =
                    serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
                all.insert(hash.to_owned(), hold);
            }
        }
        Ok(Self { dir, all: Mutex::new(all), changed: Notify::new() })
    }

    /// Remembers a new hold invoice, before it is shown to anyone.
    pub(super) fn insert(&self, hash: &str, preimage: &[u8; 32]) -> Result<()> {
        self.write(hash, Hold { preimage: ports::hex(preimage), state: HoldState::Waiting })
    }

    pub(super) fn get(&self, hash: &str) -> Option<Hold> {
        self.lock().get(hash).cloned()
    }

    /// Moves a hold invoice on; unknown hashes are ignored.
    pub(super) fn set_state(&self, hash: &str, state: HoldState) -> Result<()> {
        match self.get(hash) {
            Some(hold) => self.write(hash, Hold { state, ..hold }),
            None => Ok(()),
        }
    }

    fn write(&self, hash: &str, hold: Hold) -> Result<()> {
        let text = serde_json::to_string(&hold).context("can't write down a hold invoice")?;
        replace_file(&self.dir.join(format!("{hash}.json")), &text)?;
        self.lock().insert(hash.to_owned(), hold);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Waits until a payment for the invoice is held; gives the invoice and the held amount in msat.
    ///
    /// # Errors
    /// `NotFound` for an unknown hash; `Conflict` if it has been decided already, or nothing arrived within `limit`.
    pub(super) async fn wait_held(&self, hash: &str, limit: Duration) -> Result<(Hold, u64), WalletError> {
        let arrived = async {
            loop {
                // Registered before looking, so that no change falls in between.
                let changed = self.changed.notified();
                let hold = self.get(hash).ok_or_else(|| {
                    WalletError::NotFound(format!("{hash} is no hold invoice of this wallet"))
                })?;
                match hold.state {
                    HoldState::Held { amount_msat } => return Ok((hold, amount_msat)),
                    HoldState::Waiting => changed.await,
                    HoldState::Claimed => {
                        return Err(WalletError::Conflict("it is claimed already".into()));
                    }
                    HoldState::Failed => {
                        return Err(WalletError::Conflict("it was failed already".into()));
                    }
                }
            }
        };
        match tokio::time::timeout(limit, arrived).await {
            Ok(result) => result,
            Err(_) => {
                Err(WalletError::Conflict(format!("no payment for it arrived within {} s", limit.as_secs())))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Hold>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn replace_file(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text).with_context(|| format!("can't write {}", beside.display()))?;
    fs::rename(&beside, path).with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn holds_survive_a_restart_and_are_decided_once() {
        let dir = tempfile::tempdir().unwrap();
        let hash = "ab".repeat(32);
        let holds = Holds::open(dir.path().to_owned()).unwrap();
        holds.insert(&hash, &[7; 32]).unwrap();
        let short = Duration::from_millis(10);
        assert!(matches!(holds.wait_held(&hash, short).await, Err(WalletError::Conflict(_))));
        holds.set_state(&hash, HoldState::Held { amount_msat: 5 }).unwrap();

        let holds = Holds::open(dir.path().to_owned()).unwrap();
        let (hold, amount) = holds.wait_held(&hash, short).await.unwrap();
        assert_eq!((hold.preimage().unwrap(), amount), ([7; 32], 5));
        holds.set_state(&hash, HoldState::Claimed).unwrap();
        assert!(matches!(holds.wait_held(&hash, short).await, Err(WalletError::Conflict(_))));
        assert!(matches!(holds.wait_held("00", short).await, Err(WalletError::NotFound(_))));
    }

    #[tokio::test]
    async fn a_waiting_caller_is_woken() {
        let dir = tempfile::tempdir().unwrap();
        let holds = Holds::open(dir.path().to_owned()).unwrap();
        holds.insert("aa", &[1; 32]).unwrap();
        let (held, ()) = tokio::join!(holds.wait_held("aa", Duration::from_secs(5)), async {
            tokio::task::yield_now().await;
            holds.set_state("aa", HoldState::Held { amount_msat: 1 }).unwrap();
        });
        assert_eq!(held.unwrap().1, 1);
    }
}
