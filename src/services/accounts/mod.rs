//! Accounts: what an account has earned by payments and sold requests, its statement, and how it is taken out.
//!
//! ```text
//! pending ──arrives──▶ completed
//!    └──fails──▶ failed ──arrives all the same──▶ completed
//! ```
//!
//! A withdrawal is one transaction: the amount and, where the account bears them, the most that fees may be are taken
//! from its balance, and what carries it is queued: a [payout](crate::ledger::payouts) for an invoice, an [offer
//! payout](crate::ledger::offer_payouts) for an offer, [coins](crate::ledger::coins) for an address. How these end is
//! theirs; the ledger tells this service, and what was not spent goes back to the balance in the same transaction.
//! Any number of requests at once can't take out more than there is: each is checked in its own transaction, one after
//! the other.
//!
//! # What a crash leaves behind
//!
//! | the process dies | what is there at the start | what happens |
//! |---|---|---|
//! | before the withdrawal's transaction is committed | nothing; the balance is whole | nothing: the request is sent again |
//! | after it, before the answer | the withdrawal, pending, and the answer under its idempotency key | it is carried out; the same request is answered alike |
//! | later | pending | as the tables of payouts, offer payouts and coins say |
//! | before its end is committed | pending; the node's event or record tells again | ended once |
//!
//! A name (lightning address, BIP 353) is asked before the transaction, and what it answered is in it. Asking again
//! may give another invoice, but only one is ever paid for one idempotency key.

mod admin;
pub mod api;
pub mod error;
pub mod ids;
mod listener;
mod rules;
mod statement;
mod store;
mod sweep;
mod target;
#[cfg(test)]
mod tests;
mod view;
mod withdraw;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use crate::core::ids::AccountId;
use crate::core::time::UnixMillis;
use crate::ledger::Ledger;
use crate::lightning::Node;
use crate::outbound::lnurl::dns::Dns;
use crate::outbound::lnurl::pay::Addresses;
use crate::storage::Store;

pub use admin::admin_error;
pub use error::AccountError;
pub use listener::Notifier;
pub use rules::Rules;
pub use statement::{HEAD, Span, span};
pub use target::Payable;
pub use withdraw::{By, NewWithdrawal};

/// What the service is built from.
pub struct Parts {
    /// Books, store, clock.
    pub ledger: Ledger,
    /// Says what coins there are and what miners want.
    pub node: Node,
    /// Limits.
    pub rules: Rules,
    /// The same one that listens to the ledger.
    pub notifier: Notifier,
    /// Asks lightning addresses, behind the address guard.
    pub addresses: Addresses,
    /// Resolves BIP 353 names. `None`: names are only tried as lightning addresses.
    pub dns: Option<Dns>,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    parts: Parts,
    exports: Arc<Mutex<HashSet<AccountId>>>,
}

impl Accounts {
    /// Builds the service.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, exports: Arc::default() }))
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

    fn now(&self) -> UnixMillis {
        self.0.parts.ledger.clock.now()
    }
}
