//! Where invoices come from.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::PaymentHash;

/// An invoice to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceRequest {
    /// In sat.
    pub amount_sat: u64,
    /// For the payer.
    pub description: String,
    /// How long it can be paid.
    pub expiry: Duration,
}

/// An invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// Its payment hash.
    pub payment_hash: PaymentHash,
    /// The BOLT11 text.
    pub bolt11: String,
}

/// Makes invoices: a Lightning node, or a service that has one.
///
/// Each request without a good credential makes an invoice, so a stranger can cause as many as they like. Limit them:
/// here, or in a layer around.
pub trait Challenger: Send + Sync + 'static {
    /// Why there is no invoice now.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Makes an invoice. Its preimage must be random, and known to nobody before it is paid.
    fn create_invoice(
        &self,
        request: InvoiceRequest,
    ) -> impl Future<Output = Result<Invoice, Self::Error>> + Send;
}

/// Why a request was answered with 503: the challenger's error or the lease store's. Found among the response's
/// extensions, for a layer that logs; the client is told nothing of it.
#[derive(Clone)]
pub struct Unavailable(pub Arc<dyn std::error::Error + Send + Sync>);

impl fmt::Debug for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unavailable").field(&self.0).finish()
    }
}
