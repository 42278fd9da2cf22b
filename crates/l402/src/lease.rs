//! A payment that is good for one response is bought once: it is leased to a request until the response is known.
//!
//! ```text
//! paid ──take──▶ leased ──the response is sent──▶ used
//!   ▲              │
//!   └──release─────┘ no response, a response that breaks off, or a crash
//! ```
//!
//! A token is good until it ends; nothing is taken for it, and its lease releases nothing.

use std::fmt;
use std::future::Future;

use http::{HeaderMap, HeaderValue, Response};

use crate::PaymentHash;
use crate::response::{PAYMENT_RECEIPT, expose_headers, forbid_caching};

/// A request that has been paid for. The layer puts it into the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Which payment.
    pub payment_hash: PaymentHash,
    /// What was paid, in sat.
    pub amount_sat: u64,
    /// `Payment-Receipt` for the response, if a receipt is owed: the payment is good for this one response.
    pub receipt: Option<HeaderValue>,
}

impl Admitted {
    /// Adds what belongs on a good response: the receipt, and that no cache may keep it.
    pub fn add_headers(&self, headers: &mut HeaderMap) {
        if let Some(receipt) = &self.receipt {
            headers.insert(PAYMENT_RECEIPT, receipt.clone());
        }
        forbid_caching(headers);
        expose_headers(headers);
    }
}

/// Names one taking of a payment, so that a late release can't undo a later taking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseId(pub i64);

/// Remembers which payments were used.
///
/// # Failure behavior
/// `take` must be durable before it returns, or a payment is good again after a crash. A payment that was taken and
/// neither used nor released before a crash should be good again after it: its payer got no response.
pub trait LeaseStore: Clone + Send + Sync + 'static {
    /// Why a payment could not be taken now. Nothing was taken then.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes a payment for one response; `None` if it is taken or used. Of several calls at the same time one may get
    /// it. Return it as [`PaymentLease::single_use`].
    ///
    /// If the returned future is dropped, what it took must go back; [`PaymentLease`] does so where the work goes on
    /// in a task of its own and returns it there.
    ///
    /// After `valid_until` (unix seconds) nobody will ask for this payment again, so it need not be kept longer.
    fn take(
        &self,
        payment: Admitted,
        valid_until: i64,
    ) -> impl Future<Output = Result<Option<PaymentLease<Self>>, Self::Error>> + Send;

    /// There was no response: once this returns, the payment can be taken again.
    fn release(&self, payment: PaymentHash, lease: LeaseId) -> impl Future<Output = ()> + Send;

    /// The same for a lease that was dropped: must not block.
    fn release_later(&self, payment: PaymentHash, lease: LeaseId);

    /// The response was sent: the payment stays taken for good. Must not block.
    fn mark_used(&self, payment: PaymentHash, lease: LeaseId);
}

/// What admits a request until its response is known. Dropped before [`PaymentLease::mark_used`] it releases a payment
/// that was taken: the request took too long, its client hung up, its handler panicked.
#[must_use = "dropped, it releases the payment"]
pub struct PaymentLease<S: LeaseStore> {
    admitted: Admitted,
    taken: Option<(S, LeaseId)>,
}

impl<S: LeaseStore> fmt::Debug for PaymentLease<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lease = self.taken.as_ref().map(|(_, lease)| lease);
        f.debug_struct("PaymentLease").field("admitted", &self.admitted).field("taken", &lease).finish()
    }
}

impl<S: LeaseStore> PaymentLease<S> {
    /// Of a token, which is good for more than one response: nothing was taken.
    pub const fn reusable(admitted: Admitted) -> Self {
        Self { admitted, taken: None }
    }

    /// Of a payment that `store` has taken for one response.
    pub const fn single_use(store: S, lease: LeaseId, admitted: Admitted) -> Self {
        Self { admitted, taken: Some((store, lease)) }
    }

    /// What was paid.
    pub const fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// The response was sent, or belongs to the payer whatever becomes of it.
    pub fn mark_used(mut self) {
        if let Some((store, lease)) = self.taken.take() {
            store.mark_used(self.admitted.payment_hash, lease);
        }
    }

    /// There is no response. Once this returns the payment can be shown again.
    pub async fn release(mut self) {
        if let Some((store, lease)) = self.taken.take() {
            store.release(self.admitted.payment_hash, lease).await;
        }
    }

    /// Ends the lease with a response: a server error (5xx) releases the payment, any other response uses it and gets
    /// its headers.
    pub async fn finish<B>(self, response: &mut Response<B>) {
        if response.status().is_server_error() {
            self.release().await;
        } else {
            self.admitted.add_headers(response.headers_mut());
            self.mark_used();
        }
    }
}

impl<S: LeaseStore> Drop for PaymentLease<S> {
    fn drop(&mut self) {
        if let Some((store, lease)) = self.taken.take() {
            store.release_later(self.admitted.payment_hash, lease);
        }
    }
}
