//! Payments: orders in fiat or sats, for a shop's back end. The Lightning Enable Payments API.
//!
//! ```text
//! unpaid ──payment comes──▶ processing ──claimed──▶ paid ──all of it goes back──▶ refunded
//!   │  ▲                        │                     ▲
//!   │  └──────gone again────────┘                     │
//!   └──time──▶ expired ──comes all the same───────────┘
//! ```
//!
//! An order has one invoice, whose preimage is ours: its payment is held, noted (`processing`), claimed, and noted
//! again (`paid`), each step in the transaction of the node's event ([`ledger::held`](crate::ledger::held) tells what
//! a crash between them leaves). The price in sats is fixed when it is ordered, rounded up to a whole sat, and the
//! rate is kept with it. What comes is credited as it came, late or too much, to the account of merchants; refunds
//! are taken from there and never exceed it.
//!
//! Where the operator wants it, a BOLT12 offer stands beside the invoice: one payment more than the order needs can
//! come by it, and is credited too ([`ledger::offers`](crate::ledger::offers)).
//!
//! An account sees its own payments only. The checkout page is for whoever has the payment's id.

mod admin;
pub mod api;
mod checkout;
mod create;
pub mod error;
pub mod export;
pub mod ids;
pub mod merchant;
mod notify;
pub mod queries;
mod recent;
pub mod refunds;
pub mod request;
mod rules;
mod sessions;
mod signature;
pub mod status;
mod store;
mod sync;
#[cfg(test)]
mod tests;
pub mod view;

use std::sync::Arc;

use serde::Serialize;

use crate::core::time::UnixMillis;
use crate::http::idempotency::{lookup, save};
use crate::http::limits::Budget;
use crate::http::respond;
use crate::ledger::Ledger;
use crate::ledger::solvency::Gate;
use crate::lightning::Node;
use crate::outbound::guard::Guard;
use crate::rates::Rates;
use crate::storage::Store;

pub use error::PaymentError;
pub use notify::Notifier;
pub use rules::Rules;
pub use sessions::{Session, Sessions};
pub use signature::own_headers;

/// What the family is built from.
pub struct Parts {
    /// Books, store, clock.
    pub ledger: Ledger,
    /// Makes invoices.
    pub node: Node,
    /// Limits and windows.
    pub rules: Rules,
    /// Says which webhooks may be called.
    pub guard: Guard,
    /// The same one that listens to the ledger.
    pub notifier: Notifier,
    /// What a bitcoin costs.
    pub rates: Rates,
    /// New invoices of all clients together.
    pub budget: Arc<Budget>,
}

/// The family. Cheap to clone.
#[derive(Clone)]
pub struct Payments(Arc<Inner>);

struct Inner {
    parts: Parts,
    gate: Gate,
    exports: export::Exports,
    recent: recent::Recent,
    sessions: Option<Arc<dyn Sessions>>,
}

impl Payments {
    /// Builds the service.
    pub fn new(parts: Parts) -> Self {
        Self::build(parts, None)
    }

    /// The same, whose checkout pages also show what another family has opened.
    pub fn with_sessions(parts: Parts, sessions: Arc<dyn Sessions>) -> Self {
        Self::build(parts, Some(sessions))
    }

    fn build(parts: Parts, sessions: Option<Arc<dyn Sessions>>) -> Self {
        let gate = Gate::new(parts.node.clone(), &parts.ledger);
        let (exports, recent) = (export::Exports::default(), recent::Recent::default());
        Self(Arc::new(Inner { parts, gate, exports, recent, sessions }))
    }

    /// Limits and windows.
    pub fn rules(&self) -> &Rules {
        &self.0.parts.rules
    }

    /// What a bitcoin costs.
    pub fn rates(&self) -> &Rates {
        &self.0.parts.rates
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

    fn notifier(&self) -> &Notifier {
        &self.0.parts.notifier
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, PaymentError> {
    Ok(respond::to_json(value)?)
}
