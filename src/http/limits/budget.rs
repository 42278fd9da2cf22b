//! What strangers together, and each account, may have made in a minute.
//!
//! A request with a valid API key counts on its account alone, so strangers can't use up what a shop needs. Strangers
//! share one budget. Within it each address, and each network around it, has a quota; and once more than four fifths
//! are used, each network gets no more than its [fair share](super::fair), so that a flood out of few networks does
//! not shut out the others, and one out of many gets no more than each of them is due.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::fair::{Strangers, Use, reckoned};
use super::recent::Recent;
use super::whole_secs;
use crate::http::client::{self, Asker};

/// Budgets of a minute for one kind of thing.
pub struct Budget {
    began: Instant,
    strangers: Option<Mutex<Strangers>>,
    accounts: Rate,
}

/// So many a minute for each of some, and as many at once; in bounded memory.
pub struct Rate {
    began: Instant,
    used: Mutex<Recent<Use>>,
    a_minute: f32,
}

impl Rate {
    /// 0 sets no limit.
    pub fn per_minute(count: u32) -> Self {
        Self { began: Instant::now(), used: Mutex::default(), a_minute: reckoned(count) }
    }

    /// Takes one of somebody's.
    ///
    /// # Errors
    /// Seconds to wait.
    pub fn take(&self, of: impl Hash) -> Result<(), u64> {
        self.take_at(of, elapsed_ms(self.began))
    }

    /// Of how many it is known.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take_at(&self, of: impl Hash, now_ms: u64) -> Result<(), u64> {
        if self.a_minute < 1.0 {
            return Ok(());
        }
        let mut all = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let key = all.key(of);
        let used = all.entry(key, now_ms);
        used.leak(now_ms, self.a_minute, self.a_minute);
        match used.wait_ms(self.a_minute) {
            Some(wait) => Err(rounded(wait)),
            None => {
                used.count();
                Ok(())
            }
        }
    }
}

impl Budget {
    /// So many in a minute for all strangers together, and for each account; as many may come at once. 0 means no
    /// budget at all: everything passes.
    pub fn per_minute(count: u32) -> Self {
        Self::of(count, count)
    }

    /// The same with another number for each account.
    pub fn of(strangers: u32, account: u32) -> Self {
        Self {
            began: Instant::now(),
            strangers: (strangers > 0).then(|| Mutex::new(Strangers::new(reckoned(strangers)))),
            accounts: Rate::per_minute(account),
        }
    }

    /// Takes one, for whom the request of this task is.
    ///
    /// # Errors
    /// Seconds to wait if there is none for them.
    pub fn take(&self) -> Result<(), u64> {
        self.take_for(client::asker(), elapsed_ms(self.began))
    }

    /// Takes one at a time, in milliseconds since the start.
    pub(super) fn take_for(&self, asker: Option<Asker>, now_ms: u64) -> Result<(), u64> {
        let address = match asker {
            Some(Asker::Account(account)) => return self.accounts.take_at(account.0, now_ms),
            Some(Asker::Stranger(address)) => Some(address),
            None => None,
        };
        let Some(strangers) = &self.strangers else { return Ok(()) };
        strangers.lock().unwrap_or_else(PoisonError::into_inner).take(address, now_ms).map_err(rounded)
    }
}

fn elapsed_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds as whole seconds to wait.
fn rounded(wait_ms: u64) -> u64 {
    whole_secs(std::time::Duration::from_millis(wait_ms)).max(1)
}
