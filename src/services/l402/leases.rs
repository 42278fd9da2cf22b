//! Which payments were used, in the database.
//!
//! Taking is one transaction, in a task of its own: a payment that was taken for a client who hung up meanwhile goes
//! back. That there was a response is written after it: a crash between the two gives one response more than was paid
//! for, never one less.

use ::l402::{Admitted, LeaseId, LeaseStore, VerifyError};

use super::store::{self, Challenge};
use super::{L402, L402Error};
use crate::core::ids::PaymentHash;
use crate::core::time::Clock;
use crate::storage::Store;

/// A request that has been paid for, until its response is known.
pub type PaymentLease = ::l402::PaymentLease<Leases>;

/// Takes payments in the database. A lease is named by the time of its taking.
#[derive(Clone)]
pub struct Leases {
    pub(super) store: Store,
    pub(super) clock: Clock,
}

impl LeaseStore for Leases {
    type Error = L402Error;

    async fn take(&self, payment: Admitted, _: i64) -> Result<Option<PaymentLease>, L402Error> {
        let (hash, at, leases) = (PaymentHash::from(payment.payment_hash), self.clock.now(), self.clone());
        let taking = tokio::spawn(async move {
            let taken = leases.store.write(move |tx| store::take(tx, hash, at)).await?;
            Ok::<_, L402Error>(taken.then(|| PaymentLease::single_use(leases, LeaseId(at), payment)))
        });
        taking.await.unwrap_or_else(|error| {
            tracing::error!(%hash, %error, "a payment could not be taken");
            Err(L402Error::Internal)
        })
    }

    async fn release(&self, payment: ::l402::PaymentHash, LeaseId(at): LeaseId) {
        let hash = PaymentHash::from(payment);
        if let Err(error) = self.store.write(move |tx| store::give_back(tx, hash, at)).await {
            tracing::error!(%hash, %error, "a payment that got no answer could not be given back");
        }
    }

    fn release_later(&self, payment: ::l402::PaymentHash, LeaseId(at): LeaseId) {
        let hash = PaymentHash::from(payment);
        let queued =
            self.store.write_queued("a payment without answer", move |tx| store::give_back(tx, hash, at));
        if let Err(error) = queued {
            tracing::debug!(%hash, %error, "a payment without answer goes back at the next start");
        }
    }

    fn mark_used(&self, payment: ::l402::PaymentHash, LeaseId(at): LeaseId) {
        let hash = PaymentHash::from(payment);
        let noted =
            self.store.write_queued("an answer to a payment", move |tx| store::answered(tx, hash, at));
        if let Err(error) = noted {
            tracing::debug!(%hash, %error, "an answer was not noted: its payment will be good for another");
        }
    }
}

impl L402 {
    /// Takes the payment of a challenge for one response, with the receipt that it is owed; why not, if not.
    pub(super) async fn take(
        &self,
        challenge: &Challenge,
        admitted: Admitted,
    ) -> Result<Result<PaymentLease, VerifyError>, L402Error> {
        if challenge.paid_at.is_none() {
            return Ok(Err(VerifyError::NotSettled));
        }
        let good_until = challenge.good_until();
        if self.now() >= good_until {
            return Ok(Err(VerifyError::Expired));
        }
        let taken = self.0.leases.take(admitted, good_until.div_euclid(1_000)).await?;
        Ok(taken.ok_or(VerifyError::AlreadyUsed))
    }

    /// Releases what was taken before a crash and not used. In order with all takes.
    pub(in crate::services) fn give_back_unanswered(&self) {
        let queued = self.store().write_queued("payments without answer", store::give_back_unanswered);
        if let Err(error) = queued {
            tracing::warn!(%error, "payments without an answer could not be given back");
        }
    }
}

impl Challenge {
    /// What a request is told that was paid for with this challenge.
    pub(super) fn admitted(&self) -> Admitted {
        Admitted { payment_hash: self.payment_hash.into(), amount_sat: self.price_sat, receipt: None }
    }
}
