//! Stores: what accounts sell by the piece, for sats, to people and programs.
//!
//! ```text
//! catalogue ─▶ checkout ──402: invoice and macaroon──▶ paid ─▶ checkout again: claim token ─▶ claim ─▶ shipped
//! ```
//!
//! **An order** is made at checkout with its invoice, and its price and exchange rate are fixed there. Stock is taken
//! when it is paid, in the ledger's transaction that settles the charge: of any number of orders for the last piece
//! one gets it. For the others the store's setting decides: a back order, or a refund.
//!
//! **Credentials** are L402's: whoever shows the macaroon and the preimage of an order gets its claim token, again and
//! again the same. An order is found by its payment hash, and answers the request that it was made for only.
//!
//! **Refunds**: what was paid is withheld from the account at once, so that it can't be withdrawn. The buyer gives an
//! invoice for it, and a [payout](crate::ledger::payouts) pays it. The operator bears the routing fee.
//!
//! **Shopify**: where a [Shopify shop](shopify) stands behind a store, products and stock come from it, and claimed orders
//! go to it.
//!
//! **Personal data** is in one table, comes after the payment, and can be removed; neither logs nor webhooks have any.
//!
//! # What a crash leaves behind
//!
//! | the process dies | what is there at the start | what happens |
//! |---|---|---|
//! | before the order's transaction is committed | nothing; the invoice was shown to nobody | nothing |
//! | after it, before the answer | an unpaid order; it goes with its charge | the request is sent again |
//! | while the payment is claimed | the order, unpaid; the ledger's [held charge](crate::ledger::held) | paid once, stock taken once |
//! | after the payment | the order with its claim token | the same request with the credential is answered |
//! | after the claim, before its answer | the order, claimed | the same request is told so (409) |
//! | while a refund is sent | the order, `Refunding` | as [payouts](crate::ledger::payouts) say |

mod access;
mod admin;
pub mod amounts;
pub mod api;
pub mod cart;
mod catalogue;
mod checkout;
mod claim;
pub mod csv;
pub mod customer;
pub mod error;
pub mod ids;
mod letters;
mod listed;
mod location;
mod notify;
mod place;
mod ports;
mod products;
mod queries;
mod refund;
mod rules;
mod ship;
pub mod shopify;
mod states;
pub mod status;
mod store;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use serde::Serialize;

use crate::core::ids::AccountId;
use crate::core::time::UnixMillis;
use crate::http::limits::Budget;
use crate::http::respond;
use crate::ledger::Ledger;
use crate::ledger::solvency::Gate;
use crate::lightning::Node;
use crate::outbound::mail::Mailer;
use crate::rates::Rates;
use crate::storage::Store;

pub use access::Outcome;
pub use cart::Cart;
pub use error::ShopError;
pub use listed::ListedStore;
pub use notify::Notifier;
pub use ports::{Challenge, Credentials, Elsewhere, Offered, Session, Shown, Sold, Webhooks};
pub use rules::Rules;
pub use shopify::ShopifyShops;
pub use store::stores::Totals;

/// What the service is built from.
pub struct Parts {
    /// Books, store, clock.
    pub ledger: Ledger,
    /// Makes invoices.
    pub node: Node,
    /// Limits and windows.
    pub rules: Rules,
    /// What a bitcoin costs.
    pub rates: Rates,
    /// The same one that listens to the ledger.
    pub notifier: Notifier,
    /// Issues credentials.
    pub credentials: Arc<dyn Credentials>,
    /// What is sold besides.
    pub elsewhere: Arc<dyn Elsewhere>,
    /// New invoices of all clients together.
    pub budget: Arc<Budget>,
    /// Sends letters, if the settings name a mail server.
    pub mail: Option<Mailer>,
    /// Stand behind stores.
    pub shopify: ShopifyShops,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Shop(Arc<Inner>);

struct Inner {
    parts: Parts,
    gate: Gate,
}

impl Shop {
    /// Builds the service.
    pub fn new(parts: Parts) -> Self {
        let gate = Gate::new(parts.node.clone(), &parts.ledger);
        Self(Arc::new(Inner { parts, gate }))
    }

    /// What the stores of one account have sold, or all stores.
    ///
    /// # Errors
    /// The store's.
    pub async fn totals(&self, account: Option<AccountId>) -> Result<Totals, ShopError> {
        self.store().read(move |connection| Ok(store::stores::totals(connection, account)?)).await
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

    fn rates(&self) -> &Rates {
        &self.0.parts.rates
    }

    fn notifier(&self) -> &Notifier {
        &self.0.parts.notifier
    }

    fn now(&self) -> UnixMillis {
        self.0.parts.ledger.clock.now()
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, ShopError> {
    Ok(respond::to_json(value)?)
}
