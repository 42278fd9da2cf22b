//! The merchant's account as clients of the original service read it, the sale of accounts, and public numbers.
//!
//! There are no plans here: every account is active for good, and the payment provider is this server's own node. What
//! the original does with other providers' credentials is refused, and no such credential is read or kept.
//!
//! # Buying an account
//!
//! `POST /api/signup/l402` answers 402; the paid retry makes an account and answers its API key. The key is
//! HMAC-SHA256 of the payment hash with a key that is derived from the seed, so it is nowhere kept, and a copy of the
//! database is worth nothing without the seed. The same credential always leads to the same account and the same key:
//!
//! | the process dies | what is there at the start | the same request again |
//! |---|---|---|
//! | before the account's transaction is committed | the payment | makes the account |
//! | after it, before the answer | account and key | answers the same key |
//!
//! So the credential is worth as much as the key, until the key is revoked. The payment is the operator's own revenue,
//! and is booked by L402.

mod admin;
pub mod api;
pub mod error;
mod quickstart;
mod rules;
mod signup;
pub mod sources;
mod stats;
mod store;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use crate::core::time::Clock;
use crate::storage::Store;

pub use error::MerchantError;
pub use rules::Rules;
pub use signup::{KeyDerivation, SIGNUP_PATH};
pub use sources::{Challenger, NodeState, Paid, ProxyCount, ShopNumbers, ShopStats, Sold, Sources, Webhooks};

/// What the service is built from.
pub struct Parts {
    /// The rows.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Prices and switches.
    pub rules: Rules,
    /// Makes the keys that are sold.
    pub derivation: KeyDerivation,
    /// What other services know of an account.
    pub sources: Arc<dyn Sources>,
    /// Takes the payment for an account.
    pub challenger: Arc<dyn Challenger>,
    /// What the shops have sold.
    pub shop: Arc<dyn ShopNumbers>,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Merchants(Arc<Parts>);

impl Merchants {
    /// Builds the service.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    fn rules(&self) -> &Rules {
        &self.0.rules
    }
}
