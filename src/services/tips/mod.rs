//! Tips and tip groups: the Lightsats API.
//!
//! A tip is a voucher with a claim page. Its tipper pays one invoice for one tip or for a group of them; each
//! recipient opens a link or types magic words, claims, and withdraws with whatever wallet they have. What
//! nobody withdraws in time is its tipper's again.
//!
//! ```text
//! UNFUNDED ──paid──▶ UNSEEN ──page seen──▶ SEEN ──claim──▶ CLAIMED ──withdraw──▶ WITHDRAWN
//!    │                  │                   │                 │
//!    ▼                  └──expiry, reclaim──┴─────────────────┴──▶ RECLAIMED ──refund──▶ REFUNDED
//! DELETED
//! ```
//!
//! The sats follow the voucher alone: open (UNSEEN, SEEN, CLAIMED), claiming (the same, and
//! `withdrawalPending`), redeemed, expired (RECLAIMED), returning, returned. Who has seen or claimed a tip stands
//! beside it, and each step compares and changes both in one transaction, so of any two that race one wins.
//!
//! **Money**: an invoice asks for amount and fee of all its tips; when it settles, the fees are earned and every
//! tip is open, in that same transaction. Money for an invoice that was replaced funds the tip all
//! the same; for a deleted tip, or a second time, it becomes a tip of its tipper's that is RECLAIMED from birth.
//!
//! **After a crash** nothing is half done: every route is one transaction, and payouts go on by themselves.

mod admin;
pub mod api;
mod claim;
mod create;
pub mod error;
pub mod export;
pub mod fee;
mod funding;
mod guesses;
pub mod ids;
mod letters;
mod links;
pub mod list;
mod notify;
pub mod passphrase;
#[cfg(test)]
mod property;
mod queries;
mod reclaim;
pub mod refunds;
pub mod reminders;
pub mod request;
mod rules;
pub mod status;
mod store;
#[cfg(test)]
mod tests;
pub mod view;
mod withdraw;

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Serialize;

use crate::core::time::UnixMillis;
use crate::http::idempotency::{IdempotencyKey, Recorded, lookup, save};
use crate::http::limits::Budget;
use crate::http::respond;
use crate::ledger::solvency::Gate;
use crate::ledger::{Ledger, Listener};
use crate::lightning::Node;
use crate::outbound::guard::Guard;
use crate::outbound::lnurl::payee::Payees;
use crate::storage::{Store, StoreError, Tx};
use crate::vouchers::Vouchers;

use crate::services::users::{self, User, Users};
pub use error::TipError;
pub use ids::{Cuid, Keyring};
pub use notify::Notifier;
pub use rules::Rules;

/// What the family is built from.
pub struct Parts {
    /// Books, store, clock.
    pub ledger: Ledger,
    /// Makes invoices.
    pub node: Node,
    /// Limits and windows.
    pub rules: Rules,
    /// From [`keyring`].
    pub keyring: Keyring,
    /// Says which webhooks may be called.
    pub guard: Guard,
    /// Reads where sats go, and turns lightning addresses into invoices.
    pub payees: Payees,
    /// Tells the world; the same one that listens to the vouchers.
    pub notifier: Notifier,
    /// The vouchers.
    pub vouchers: Vouchers,
    /// Who tips and is tipped.
    pub users: Users,
    /// New invoices of all clients together.
    pub budget: Arc<Budget>,
}

/// The family. Cheap to clone.
#[derive(Clone)]
pub struct Tips(Arc<Inner>);

struct Inner {
    parts: Parts,
    gate: Gate,
    guesses: guesses::Guesses,
}

/// What was done, or what a request with the same `Idempotency-Key` was answered before.
pub enum Done {
    /// Now; the answer as JSON.
    Now(Vec<u8>),
    /// Before.
    Before(Recorded),
}

impl Tips {
    /// Builds the service.
    pub fn new(parts: Parts) -> Self {
        let gate = Gate::new(parts.node.clone(), &parts.ledger);
        Self(Arc::new(Inner { parts, gate, guesses: guesses::Guesses::new() }))
    }

    /// Who tips and is tipped.
    pub fn users(&self) -> &Users {
        &self.0.parts.users
    }

    /// Limits and windows.
    pub fn rules(&self) -> &Rules {
        &self.0.parts.rules
    }

    fn ledger(&self) -> &Ledger {
        &self.0.parts.ledger
    }

    fn store(&self) -> &Store {
        &self.0.parts.ledger.store
    }

    fn now(&self) -> UnixMillis {
        self.0.parts.ledger.clock.now()
    }

    fn keyring(&self) -> &Keyring {
        &self.0.parts.keyring
    }

    /// Does a step that callers are answered nothing about, once for each `Idempotency-Key`; a repeated one did
    /// the default.
    async fn once<T: Default + Send + 'static>(
        &self,
        ask: Option<IdempotencyKey>,
        step: impl FnOnce(&Tx<'_>) -> Result<T, TipError> + Send + 'static,
    ) -> Result<T, TipError> {
        let now = self.now();
        let written = self.store().write(move |tx| -> Result<T, TipError> {
            if lookup(tx, ask.as_ref())?.is_some() {
                return Ok(T::default());
            }
            let done = step(tx)?;
            save(tx, ask.as_ref(), StatusCode::NO_CONTENT, b"", now)?;
            Ok(done)
        });
        written.await
    }

    fn notifier(&self) -> &Notifier {
        &self.0.parts.notifier
    }

    /// What signs the webhooks of a tipper's tips. Theirs alone to see.
    pub fn webhook_secret(&self, user: &User) -> String {
        self.keyring().webhook_secret(user.id).expose().to_owned()
    }
}

/// What the ledger calls for this family, around the vouchers' own listener.
pub fn listener(vouchers: Vouchers, notifier: Notifier) -> Arc<dyn Listener> {
    Arc::new(funding::Funding { vouchers, notifier })
}

/// The family's secret from the database, made at the first start. Blocks.
///
/// # Errors
/// The store's.
pub fn keyring(store: &Store) -> Result<Keyring, StoreError> {
    Ok(Keyring::new(store.write_blocking(store::secret)?))
}

/// Removes what nobody will ask for any more: old LNURL codes, sessions that are over. `true` if there may be
/// more.
///
/// # Errors
/// The store's.
pub fn prune(tx: &Tx<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let links = store::prune_links(tx, now.saturating_sub(links::LINK_LIFE_MS))?;
    Ok(users::prune(tx, now)? || links)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, TipError> {
    Ok(respond::to_json(value)?)
}
