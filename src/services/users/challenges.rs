//! Logins under way: what a wallet has to sign (LUD-04's `k1`), and whose login it is.
//!
//! A `k1` is shown as a QR code, so more people than the one who logs in may see it. It is therefore bound to
//! the browser that asked for it: that one got a cookie of its own beside it, and only who shows this cookie can
//! finish the login. That somebody is talked into signing another's `k1` no server can tell from the real thing.
//!
//! Kept in memory, for five minutes, and never more than 10,000: then the oldest goes. A `k1` is used once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bitcoin::secp256k1::{Message, PublicKey, Secp256k1, VerifyOnly, ecdsa::Signature};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use subtle::ConstantTimeEq;

use crate::core::ids::UserId;
use crate::core::time::UnixMillis;

/// How long a wallet has.
pub(super) const LASTS_MS: i64 = 5 * 60 * 1_000;

/// Logins under way at once.
const MOST: usize = 10_000;

pub(super) type K1 = [u8; 32];

/// What a wallet logs in with on this host: a compressed public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct AuthKey([u8; 33]);

impl ToSql for AuthKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

impl FromSql for AuthKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 33]>::try_from(value.as_blob()?).map(Self).map_err(|_| FromSqlError::InvalidType)
    }
}

/// What is to be done once the wallet has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Log the wallet's owner in.
    Login,
    /// Let the wallet log in as this user from now on.
    Link(UserId),
}

/// How far a login is, for the browser that asked for it.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    pub(super) purpose: Purpose,
    pub(super) signed_by: Option<AuthKey>,
}

/// Why a signature was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// Never given out, over, or used.
    Unknown,
    /// Another wallet was faster.
    SignedByAnother,
}

struct Challenge {
    browser: [u8; 32],
    expires_at: UnixMillis,
    progress: Progress,
}

pub(super) struct Challenges {
    curve: Secp256k1<VerifyOnly>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_k1: HashMap<K1, Challenge>,
    /// As they came. May name some that are done, but is never longer than [`MOST`].
    order: VecDeque<K1>,
}

impl Challenges {
    pub(super) fn new() -> Self {
        Self { curve: Secp256k1::verification_only(), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a login for the browser whose cookie has this hash.
    pub(super) fn begin(&self, k1: K1, browser: [u8; 32], purpose: Purpose, now: UnixMillis) {
        let mut open = self.open();
        while open.order.front().is_some_and(|oldest| {
            open.order.len() >= MOST || open.by_k1.get(oldest).is_none_or(|known| known.expires_at <= now)
        }) {
            if let Some(oldest) = open.order.pop_front() {
                open.by_k1.remove(&oldest);
            }
        }
        let progress = Progress { purpose, signed_by: None };
        let challenge = Challenge { browser, expires_at: now.saturating_add(LASTS_MS), progress };
        open.by_k1.insert(k1, challenge);
        open.order.push_back(k1);
    }

    /// What a login is for, whoever asks.
    pub(super) fn purpose(&self, k1: &K1, now: UnixMillis) -> Option<Purpose> {
        self.open().live(k1, now).map(|known| known.progress.purpose)
    }

    /// Whether this is the key's signature of these very bytes: DER, with either of the two values that S can have.
    pub(super) fn verify(&self, k1: &K1, signature: &[u8], key: &[u8]) -> Option<AuthKey> {
        let public = PublicKey::from_slice(key).ok()?;
        let mut signature = Signature::from_der(signature).ok()?;
        signature.normalize_s();
        self.curve.verify_ecdsa(&Message::from_digest(*k1), &signature, &public).ok()?;
        Some(AuthKey(public.serialize()))
    }

    /// Notes a signature that has been verified. The same wallet may send it again.
    pub(super) fn sign(&self, k1: &K1, key: AuthKey, now: UnixMillis) -> Result<(), NotTaken> {
        let mut open = self.open();
        let known = open.live(k1, now).ok_or(NotTaken::Unknown)?;
        match known.progress.signed_by {
            Some(other) if other != key => Err(NotTaken::SignedByAnother),
            _ => {
                known.progress.signed_by = Some(key);
                Ok(())
            }
        }
    }

    /// How far this browser's login is.
    pub(super) fn progress(&self, k1: &K1, browser: &[u8; 32], now: UnixMillis) -> Option<Progress> {
        self.open().live(k1, now).filter(|known| known.is_of(browser)).map(|known| known.progress)
    }

    /// Uses a login up: of many that try at once, one gets it.
    pub(super) fn take(&self, k1: &K1, browser: &[u8; 32], now: UnixMillis) -> Option<Progress> {
        let mut open = self.open();
        open.live(k1, now).filter(|known| known.is_of(browser))?;
        open.by_k1.remove(k1).map(|known| known.progress)
    }
}

impl Open {
    fn live(&mut self, k1: &K1, now: UnixMillis) -> Option<&mut Challenge> {
        self.by_k1.get_mut(k1).filter(|known| known.expires_at > now)
    }
}

impl Challenge {
    fn is_of(&self, browser: &[u8; 32]) -> bool {
        bool::from(self.browser.ct_eq(browser))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn k1(number: usize) -> K1 {
        let mut k1 = [0; 32];
        k1[..8].copy_from_slice(&number.to_be_bytes());
        k1
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let challenges = Challenges::new();
        for number in 0..MOST + 5 {
            challenges.begin(k1(number), [1; 32], Purpose::Login, 0);
            // Used ones count until their time is over, so that nobody grows the queue by finishing.
            if number % 2 == 0 {
                challenges.take(&k1(number), &[1; 32], 0);
            }
        }
        assert!(challenges.open().order.len() <= MOST);
        assert!(challenges.purpose(&k1(3), 0).is_none());
        assert!(challenges.purpose(&k1(MOST + 3), 0).is_some());
        challenges.begin(k1(0), [1; 32], Purpose::Login, LASTS_MS);
        let open = challenges.open();
        assert_eq!((open.order.len(), open.by_k1.len()), (1, 1));
    }

    #[test]
    fn of_two_wallets_the_first_counts_and_may_come_again() {
        let challenges = Challenges::new();
        challenges.begin(k1(1), [1; 32], Purpose::Login, 0);
        let (first, second) = (AuthKey([2; 33]), AuthKey([3; 33]));
        assert_eq!(challenges.sign(&k1(1), first, 1), Ok(()));
        assert_eq!(challenges.sign(&k1(1), first, 2), Ok(()));
        assert_eq!(challenges.sign(&k1(1), second, 3), Err(NotTaken::SignedByAnother));
        assert_eq!(challenges.sign(&k1(1), first, LASTS_MS), Err(NotTaken::Unknown));
        assert!(challenges.take(&k1(1), &[9; 32], 3).is_none(), "another browser");
        assert!(challenges.take(&k1(1), &[1; 32], 3).unwrap().signed_by == Some(first));
        assert!(challenges.take(&k1(1), &[1; 32], 3).is_none(), "once");
    }
}
