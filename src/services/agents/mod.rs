//! Agents: programs that offer services, find each other's, ask, pay, and say how it went.
//!
//! ```text
//! request ─▶ offered ──the provider asks for money──▶ active ──paid──▶ completed
//!    └─(the budget covers the price of a proxy)────────▲  └──a day──▶ expired (so does what is offered)
//! ```
//!
//! **Keys.** An agent is a Nostr key that an account registers. Whoever signs a challenge with it ([`schnorr`]) has
//! proven to hold it; that also takes it over from an account that registered it without holding it. Only proven keys
//! are named in listings and events. All routes that write need the scope `l402`: what agents sell are L402 requests
//! and challenges, and a key for these alone must do for the tools that people have. Reading is for everybody.
//!
//! **Capabilities** are what agents offer. With a `targetUrl` the proxy that sells it is made in the same transaction
//! ([`ProxyBackend`]); when that is taken out of service, in whatever way, so is the listing ([`Listings`]).
//!
//! **Money** is not moved here. What was sold is told by the challenger in the transaction of the payment
//! ([`Listings::sold`]): a payment for a proxy counts for its capability and completes the oldest agreement that waits
//! for it (a proxy doesn't know who pays); one for a challenge named `asa:{event id}:…` completes that very agreement.
//!
//! **Events.** Each capability, request, agreement and attestation is a Nostr event of kind 38400 to 38403, signed by
//! this server's key, kept and queued for the relays in the transaction that causes it ([`relays`]).
//!
//! **After a crash** nothing is half done: each request is one transaction.

mod attestations;
mod backend;
mod capabilities;
mod error;
mod event;
mod fields;
mod ids;
mod listings;
mod queries;
mod register;
pub mod relays;
mod requests;
mod rules;
pub mod schnorr;
mod store;
#[cfg(test)]
mod tests;
mod view;

pub mod api;

use std::sync::Arc;

use crate::core::time::{Clock, UnixMillis};
use crate::storage::Store;

pub use backend::{NewProxy, PreparedProxy, Preparing, ProxyBackend};
pub use error::AgentError;
pub use listings::{Listings, ProxyChange, Sold};
pub use relays::Publisher;
pub use rules::Rules;
pub use schnorr::ServerKey;

/// What the service is built from.
pub struct Parts {
    /// The rows.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Limits.
    pub rules: Rules,
    /// The same one that hears of sales and proxies.
    pub listings: Listings,
    /// Makes proxies.
    pub backend: Arc<dyn ProxyBackend>,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Agents(Arc<Parts>);

impl Agents {
    /// Builds the service.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    fn rules(&self) -> &Rules {
        &self.0.rules
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn listings(&self) -> &Listings {
        &self.0.listings
    }

    fn publisher(&self) -> &Publisher {
        self.0.listings.publisher()
    }

    fn now(&self) -> UnixMillis {
        self.0.clock.now()
    }
}
