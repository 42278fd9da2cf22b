//! Purses: an API key that may spend its account's balance, within limits, on services that ask for payment (L402)
//! and on invoices.
//!
//! ```text
//! POST /v1/purse/fetch ─▶ the service answers 402 ─▶ one transaction: limits checked, balance taken, payout queued
//!        ▲                                                       │
//!        └── the answer ◀── asked again with the credential ◀── paid (preimage)
//! ```
//!
//! A payment is one row (`store::payments`) and one [payout](crate::ledger::payouts), written in one transaction
//! with what is taken from the account. Limits count what is reserved for routing until the payment ends. What was
//! paid for is kept as a sealed credential for its origin and path, and shown again for later requests.
//!
//! # What a crash leaves behind
//!
//! | the process dies | what is there at the start | what happens |
//! |---|---|---|
//! | before the payment's transaction is committed | nothing; nothing was paid | the request is sent again and pays |
//! | after it | the payment, pending; its amount and reserve count against the limits | it is carried out or fails as the tables of payouts say; the same request waits for it |
//! | when it is paid, before the service was asked again | a paid payment with its credential | the same request, or any later one for the path, shows the credential |
//! | after the service has answered, before we have | the same | the same; a credential that is good for one answer alone may be refused then |
//!
//! A request pays at most once: its `Idempotency-Key` is unique among the purse's payments that have not failed, and
//! an answer that asks for payment after we have paid is handed to the caller as it is.

mod admin;
pub mod api;
pub(crate) mod challenge;
pub(crate) mod credential;
pub mod error;
mod fetch;
mod limits;
mod listener;
mod pay;
mod request;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod turns;
mod upstream;
mod view;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::core::seal::Sealer;
use crate::core::time::UnixMillis;
use crate::http::keys::Keys;
use crate::ledger::Ledger;
use crate::lightning::Node;
use crate::outbound::guard::Guard;
use crate::storage::{Store, StoreError};

pub use error::PurseError;
pub use listener::PurseListener;
pub use request::{FetchRequest, PayRequest};
pub use rules::Rules;

/// Requests to services at once, of all purses: each may hold a whole answer in memory.
const REQUESTS_AT_ONCE: usize = 256;

/// What the service is built from.
pub struct Parts {
    /// Books, store, clock.
    pub ledger: Ledger,
    /// Knows the preimages of our own invoices.
    pub node: Node,
    /// Limits.
    pub rules: Rules,
    /// The same one that listens to the ledger.
    pub listener: PurseListener,
    /// Seals credentials.
    pub sealer: Sealer,
    /// Where requests may go.
    pub guard: Guard,
    /// Makes and revokes keys.
    pub keys: Keys,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Purses(Arc<Inner>);

struct Inner {
    parts: Parts,
    upstream: upstream::Upstream,
    at_once: Semaphore,
    turns: turns::Turns,
}

impl Purses {
    /// Builds the service.
    ///
    /// # Errors
    /// The HTTP client can't be set up: at start, or never.
    pub fn new(parts: Parts) -> Result<Self, crate::outbound::fetch::NoClient> {
        let upstream = upstream::Upstream::new(&parts.guard, &parts.rules)?;
        Ok(Self(Arc::new(Inner {
            parts,
            upstream,
            at_once: Semaphore::new(REQUESTS_AT_ONCE),
            turns: turns::Turns::default(),
        })))
    }

    fn rules(&self) -> &Rules {
        &self.0.parts.rules
    }

    fn ledger(&self) -> &Ledger {
        &self.0.parts.ledger
    }

    fn store(&self) -> &Store {
        &self.0.parts.ledger.store
    }

    fn sealer(&self) -> &Sealer {
        &self.0.parts.sealer
    }

    fn guard(&self) -> &Guard {
        &self.0.parts.guard
    }

    /// The day whose limits hold.
    fn today(&self) -> store::Day {
        store::Day::today(&self.0.parts.ledger.clock)
    }

    fn now(&self) -> UnixMillis {
        self.0.parts.ledger.clock.now()
    }
}

/// What seals credentials, from the secret in the database, which is made at the first start.
///
/// # Errors
/// The store's.
pub fn sealer(store: &Store) -> Result<Sealer, StoreError> {
    let secret = store.write_blocking(store::secret)?;
    Ok(Sealer::new(&secret, "purse credential"))
}
