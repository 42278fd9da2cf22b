//! What lets a request in: a token, or a payment that was taken for one answer and goes back if there is none.
//!
//! ```text
//! paid ──take──▶ used ──the answer is out──▶ answered
//!   ▲             │
//!   └─────────────┘ no answer, one that breaks off, or a death
//! ```
//!
//! Taking is one transaction, in a task of its own: whoever hangs up meanwhile gets back what was taken. That there
//! was an answer is written behind it: a death between the two gives one answer more than was paid for, never one
//! less.

use std::fmt;

use axum::response::Response;

use super::store;
use super::{Admitted, Closed, L402, L402Error};
use crate::clock::UnixMillis;
use crate::ids::PaymentHash;
use crate::l402::store::Challenge;
use crate::store::Store;

/// A request that has been paid for, until it is answered. If it is dropped before, a payment that was taken for it
/// goes back: the request took too long, its caller hung up, its handler broke.
#[derive(Debug)]
#[must_use = "dropped, it gives back what was paid"]
pub struct Pass {
    pub(super) admitted: Admitted,
    pub(super) taken: Option<Taken>,
}

impl Pass {
    /// What was paid.
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// The answer is good: what it owes its headers is put on, and the payment is used.
    pub fn answered(self, response: &mut Response) {
        self.admitted.dress(response);
        self.begun().done();
    }

    /// The answer is good so far, and more of it is to come.
    pub fn begun(self) -> Underway {
        Underway(self.taken)
    }

    /// There is no answer. Once this returns the payment can be shown again.
    pub async fn give_back(mut self) {
        if let Some(mut taken) = self.taken.take() {
            taken.open = false;
            let (hash, at) = (taken.hash, taken.at);
            if let Err(error) = taken.store.write(move |tx| store::give_back(tx, hash, at)).await {
                tracing::error!(%hash, %error, "a payment that got no answer could not be given back");
            }
        }
    }
}

/// A payment whose answer is on its way. Dropped, it goes back.
#[derive(Debug)]
#[must_use = "dropped, it gives back what was paid"]
pub struct Underway(Option<Taken>);

impl Underway {
    /// The answer is out.
    pub fn done(self) {
        self.0.into_iter().for_each(Taken::answered);
    }
}

/// A payment that was taken for one answer.
pub(super) struct Taken {
    store: Store,
    hash: PaymentHash,
    at: UnixMillis,
    open: bool,
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken").field("hash", &self.hash).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Taken {
    /// There is an answer.
    pub(super) fn answered(mut self) {
        self.open = false;
        let (hash, at) = (self.hash, self.at);
        let noted =
            self.store.write_queued("an answer to a payment", move |tx| store::answered(tx, hash, at));
        if let Err(error) = noted {
            tracing::debug!(%hash, %error, "an answer was not noted: its payment will be good for another");
        }
    }

    fn give_back(&self) {
        let (hash, at) = (self.hash, self.at);
        let queued =
            self.store.write_queued("a payment without answer", move |tx| store::give_back(tx, hash, at));
        if let Err(error) = queued {
            tracing::debug!(%hash, %error, "a payment without answer goes back at the next start");
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.open {
            self.give_back();
        }
    }
}

impl L402 {
    /// Takes a paid challenge for one answer; why not, if not.
    pub(super) async fn take(&self, challenge: &Challenge) -> Result<Result<Taken, Closed>, L402Error> {
        let (hash, at) = (challenge.payment_hash, self.now());
        if challenge.paid_at.is_none() {
            return Ok(Err(Closed::NotSettled));
        }
        if at >= challenge.good_until() {
            return Ok(Err(Closed::Expired));
        }
        let store = self.store().clone();
        let taking = tokio::spawn(async move {
            let taken = store.write(move |tx| store::take(tx, hash, at)).await?;
            Ok::<_, L402Error>(taken.then(|| Taken { store, hash, at, open: true }))
        });
        match taking.await {
            Ok(taken) => Ok(taken?.ok_or(Closed::Used)),
            Err(error) => {
                tracing::error!(%hash, %error, "a payment could not be taken");
                Err(L402Error::Internal)
            }
        }
    }

    /// Gives back what was taken before a death and not answered. In order with all takes.
    pub(super) fn give_back_unanswered(&self) {
        let queued = self.store().write_queued("payments without answer", store::give_back_unanswered);
        if let Err(error) = queued {
            tracing::warn!(%error, "payments without an answer could not be given back");
        }
    }
}
