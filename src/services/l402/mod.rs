//! Requests that are paid for: L402, and the `Payment` scheme beside it.
//!
//! ```text
//! request ──no credential──▶ 402 with an invoice and a token ──paid──▶ request with token and preimage ──▶ answer
//! ```
//!
//! The wire formats, verification and leases of payments are in the crate `l402`, which knows nothing of this
//! module.
//!
//! **Verifying is arithmetic.** A token is a macaroon; its key is derived from one secret and the token's own
//! identifier. It is accepted as often as its holder likes until it ends. That it was
//! paid for is proven by the preimage, which only the payment gives out: nothing is looked up.
//!
//! **A payment shown without a token** (the `Payment` scheme) buys one request. That is a row's change in one
//! transaction, so of any two uses at the same time one wins.
//!
//! **Money**: a challenge's charge is committed before its invoice leaves. What comes in is credited as it came, to
//! the account of merchants, or for the operator's own resources to the fees earned.
//!
//! **Rows.** Any stranger makes a challenge for nothing, so a row of theirs must not stay. Verification needs none, but the
//! challenger does: an invoice has no place for who sells what, and money without a row would be in suspense. LDK takes a
//! payment until two hours after an invoice's end, so the row is there for three, in which the node forgets its record
//! first ([`charges::forget_unpayable`](crate::ledger::charges::forget_unpayable)). With the budget of 600 challenges
//! a minute used to its end that is 860,000 rows a day made and removed, and 115,000 at a time (190 minutes of them):
//! 0.9 kB each, half as much again with the node's record. What was paid stays.
//!
//! **After a crash** nothing is half done: a challenge is one transaction, its payment another, and a payment that was
//! taken for an answer which never came is good again ([`PaymentLease`]).

mod admin;
pub mod api;
mod challenge;
mod counters;
pub mod error;
pub mod export;
pub mod gate;
pub mod hooks;
pub mod layer;
mod leases;
mod notify;
mod proven;
mod queries;
mod rules;
mod session;
pub mod status;
mod store;
#[cfg(test)]
pub(in crate::services) mod tests;
mod tickets;
mod token_keys;
mod verify;

use std::sync::Arc;

use ::l402::{Mint, RecentPreimages};

use crate::core::time::UnixMillis;
use crate::http::client::Proxies;
use crate::http::limits::{Budget, Limits, Rate};
use crate::ledger::Ledger;
use crate::ledger::solvency::Gate;
use crate::lightning::Node;
use crate::storage::{Store, StoreError};

use counters::Counters;
use leases::Leases;

pub use challenge::{CreatedChallenge, NewChallenge};
pub use counters::Requests;
pub use error::L402Error;
pub use gate::{Admission, Price};
pub use hooks::{Asked, ProxyListener, ProxyState, Sale, SaleListener};
pub use layer::Priced;
pub use leases::PaymentLease;
pub use notify::Notifier;
pub use queries::{Page, Stats};
pub use rules::{LONGEST_RESOURCE, Rules};
pub use session::SESSION;
pub use store::{Challenge, Earned};
pub use tickets::{Proof, Ticket};
pub use token_keys::TokenKeys;
pub use verify::{Question, Verdict};

/// What the family is built from.
pub struct Parts {
    /// Books, store, clock.
    pub ledger: Ledger,
    /// Makes invoices.
    pub node: Node,
    /// Limits and windows.
    pub rules: Rules,
    /// From [`token_keys`](token_keys()).
    pub token_keys: TokenKeys,
    /// The same one that listens to the ledger.
    pub notifier: Notifier,
    /// Whom to believe about a client's address.
    pub proxies: Arc<Proxies>,
    /// New challenges of one client, as writes.
    pub per_client: Arc<Limits>,
    /// New invoices of all clients together.
    pub budget: Arc<Budget>,
}

/// The family. Cheap to clone.
#[derive(Clone)]
pub struct L402(Arc<Inner>);

struct Inner {
    parts: Parts,
    gate: Gate,
    /// Requests of one credential.
    per_credential: Rate,
    leases: Leases,
    recent: Arc<RecentPreimages>,
    started_at: UnixMillis,
}

impl L402 {
    /// Builds the service, and gives back what a crash left without an answer.
    pub fn new(parts: Parts) -> Self {
        let gate = Gate::new(parts.node.clone(), &parts.ledger);
        let started_at = parts.ledger.clock.now();
        let per_credential = Rate::per_minute(parts.rules.per_credential_per_minute);
        let leases = Leases { store: parts.ledger.store.clone(), clock: parts.ledger.clock.clone() };
        let recent = Arc::default();
        let l402 = Self(Arc::new(Inner { parts, gate, per_credential, leases, recent, started_at }));
        l402.give_back_unanswered();
        l402
    }

    /// Limits and windows.
    pub fn rules(&self) -> &Rules {
        &self.0.parts.rules
    }

    /// Whom to believe about a client's address.
    pub fn proxies(&self) -> &Arc<Proxies> {
        &self.0.parts.proxies
    }

    /// The quotas of new challenges, to be kept tidy.
    pub fn per_client(&self) -> &Arc<Limits> {
        &self.0.parts.per_client
    }

    fn mint(&self) -> &Mint {
        self.0.parts.token_keys.mint()
    }

    fn notifier(&self) -> &Notifier {
        &self.0.parts.notifier
    }

    fn counters(&self) -> &Counters {
        self.0.parts.notifier.counters()
    }

    fn store(&self) -> &Store {
        &self.0.parts.ledger.store
    }

    fn now(&self) -> UnixMillis {
        self.0.parts.ledger.clock.now()
    }
}

/// The family's keys from the database, made at the first start. Blocks.
///
/// # Errors
/// The store's.
pub fn token_keys(store: &Store) -> Result<TokenKeys, StoreError> {
    let secret = store.write_blocking(store::secret)?;
    Ok(TokenKeys::new(&secret))
}
