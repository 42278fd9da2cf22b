//! Gifts: sats behind a link, in the dialect of the Lightning Gifts API.
//!
//! A sender orders one or many (`create`), pays the invoice, and hands the link on; whoever has it (and
//! knows the code, if there is one) has it paid to an invoice of theirs (`redeem`, `lnurl`). What nobody
//! takes in time goes back (`manage`, `vouchers::returns`). The money is a voucher's and moves in the
//! ledger; here are the words around it, the rules of the contract, and its JSON.
//!
//! Called by the HTTP server through [`api::router`], by the ledger through [`Notifier`], by the operator's
//! room through [`admin`]. Never touches a balance, a payout or another service's table.
//!
//! **Crash behaviour**: a gift is durable before its invoice leaves the process, with its charge and voucher
//! in one transaction. A redemption that was answered is durable; one that was not may be, and asking again
//! with the same invoice tells. An address gives another invoice at each asking: asking again with the same
//! `Idempotency-Key` tells, and without one a gift that is on its way answers that it is.

pub mod admin;
pub mod api;
pub mod codes;
mod create;
mod error;
pub mod export;
mod funding;
mod guesses;
pub mod ids;
pub mod lnurl;
mod lock;
mod manage;
mod notify;
mod queries;
mod redeem;
pub mod request;
mod rules;
pub mod store;
#[cfg(test)]
mod tests;
pub mod view;

use std::sync::Arc;

use crate::core::ids::VoucherId;
use crate::core::time::UnixMillis;
use crate::http::client::source;
use crate::http::idempotency::Recorded;
use crate::http::limits::Budget;
use crate::ledger::solvency::Gate;
use crate::ledger::{ChargeStatus, Ledger, LedgerError};
use crate::lightning::Node;
use crate::outbound::guard::Guard;
use crate::outbound::lnurl::payee::Payees;
use crate::storage::{Store, Tx};

use codes::Guess;
pub use error::GiftError;
pub use funding::Funding;
pub use ids::{Keyring, OrderId};
use lock::{LockRules, Verdict};
pub use notify::Notifier;
pub use rules::Rules;
use store::Gift;

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
    /// Reads where gifts go, and turns lightning addresses into invoices.
    pub payees: Payees,
    /// Tells the world; the same one that listens to the vouchers.
    pub notifier: Notifier,
    /// New invoices of all clients together.
    pub budget: Arc<Budget>,
}

/// The family. Cheap to clone.
#[derive(Clone)]
pub struct Gifts(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    node: Node,
    rules: Rules,
    keyring: Keyring,
    guard: Guard,
    payees: Payees,
    notifier: Notifier,
    budget: Arc<Budget>,
    gate: Gate,
}

/// What was done, or what a request with the same `Idempotency-Key` was answered before.
#[derive(Debug)]
pub enum Done<T> {
    /// Now.
    Now(T),
    /// Before.
    Before(Recorded),
}

impl Gifts {
    /// Builds the service.
    pub fn new(parts: Parts) -> Self {
        let Parts { ledger, node, rules, keyring, guard, payees, notifier, budget } = parts;
        let gate = Gate::new(node.clone(), &ledger);
        Self(Arc::new(Inner { ledger, node, rules, keyring, guard, payees, notifier, budget, gate }))
    }

    /// Limits and windows.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    fn store(&self) -> &Store {
        &self.0.ledger.store
    }

    fn now(&self) -> UnixMillis {
        self.0.ledger.clock.now()
    }

    /// The gift of an id.
    ///
    /// # Errors
    /// [`GiftError::NotFound`], the store's.
    async fn gift(&self, order_id: OrderId) -> Result<Gift, GiftError> {
        let found = self.store().read(move |connection| store::by_order_id(connection, order_id)).await?;
        found.ok_or(GiftError::NotFound)
    }

    /// Whether somebody may see or take a gift with this guess. Only a guess at a code costs a transaction.
    async fn admit(&self, gift: &Gift, guess: Option<Guess>) -> Result<Verdict, GiftError> {
        if gift.code.code.is_none() {
            return Ok(Verdict::Open);
        }
        if guess.is_none() {
            return Ok(Verdict::Missing);
        }
        let (id, now, lock, asker) = (gift.id, self.now(), self.0.rules.lock, source());
        Ok(self.store().write(move |tx| judge_and_count(tx, id, guess, now, lock, asker.as_deref())).await?)
    }

    /// The status of an invoice, by the id of its charge or of a gift that it pays for.
    ///
    /// # Errors
    /// [`GiftError::NoCharge`], the store's.
    pub async fn invoice_status(&self, id: &str) -> Result<ChargeStatus, GiftError> {
        let found = if let Ok(order_id) = id.parse::<OrderId>() {
            self.store().read(move |connection| store::charge_status_of(connection, order_id)).await?
        } else {
            let sealed = uuid::Uuid::parse_str(id).map_err(|_| GiftError::NoCharge)?;
            let charge = self.0.keyring.open_charge(sealed).ok_or(GiftError::NoCharge)?;
            self.store().read(move |connection| store::charge_status(connection, charge)).await?
        };
        let (status, expires_at) = found.ok_or(GiftError::NoCharge)?;
        Ok(view::charge_status(status, expires_at, self.now()))
    }
}

/// The family's secret from the database, made at the first start. Blocks.
///
/// # Errors
/// The store's.
pub fn keyring(store: &Store) -> Result<Keyring, crate::storage::StoreError> {
    let secret = store.write_blocking(store::secret)?;
    Ok(Keyring::new(&secret))
}

/// Judges a guess by what the writing transaction sees, and keeps the count of who asks.
fn judge_and_count(
    tx: &Tx<'_>,
    id: VoucherId,
    guess: Option<Guess>,
    now: UnixMillis,
    rules: LockRules,
    asker: Option<&str>,
) -> Result<Verdict, LedgerError> {
    let asker = asker.unwrap_or_default();
    let verdict = lock::judge(&guesses::of(tx, id, asker, now)?, guess, now, rules);
    if let Verdict::Wrong { wrong, locked_until, late } = verdict {
        guesses::note(tx, id, asker, &guesses::Wrong { wrong, locked_until, late }, now)?;
        if locked_until.is_some() {
            tracing::info!(gift = %id, "somebody is locked out of a gift after too many wrong codes");
        }
    }
    Ok(verdict)
}
