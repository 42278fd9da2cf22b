//! What was paid for an answer on its way: used once its last byte is out, good again if the service broke it off.
//!
//! Whoever pays for one answer must not be able to break it off near its end and have it again. So it goes back only
//! if the service was at fault: not if the caller hung up, sent a request that couldn't go on, or read slowly, nor if
//! the answer was larger than allowed. Of an answer that said no length, like a stream of events, nobody knows how
//! much was missing: it goes back if that happens within its first minute.
//!
//! Nothing is written before the end, so a crash or a shutdown on the way leaves a payment that is good again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::body::{Broken, Progress};
use crate::services::l402::PaymentLease;

/// A reader who takes longer for a piece may be why the service gave up.
const SLOW: Duration = Duration::from_secs(10);

/// So long an answer without a length may break off and be had again.
const BEGINNING: Duration = Duration::from_secs(60);

/// A payment whose answer is on its way.
pub(super) struct Bought {
    payment: Option<PaymentLease>,
    upload: Arc<Progress>,
    closing: Arc<AtomicBool>,
    has_length: bool,
    began: Instant,
    /// The reader was given a piece then, and has not asked for more yet.
    handed: Option<Instant>,
    has_some: bool,
    slow: bool,
}

impl Bought {
    /// `upload` is the request's body, `closing` says whether this server ends.
    pub(super) fn new(
        payment: PaymentLease,
        upload: Arc<Progress>,
        closing: Arc<AtomicBool>,
        has_length: bool,
    ) -> Self {
        let (payment, began) = (Some(payment), Instant::now());
        Self { payment, upload, closing, has_length, began, handed: None, has_some: false, slow: false }
    }

    /// The reader wants more.
    pub(super) fn wanted(&mut self) {
        self.slow |= self.handed.take().is_some_and(|handed| handed.elapsed() > SLOW);
    }

    /// The reader was given a piece.
    pub(super) fn handed(&mut self) {
        self.handed = Some(Instant::now());
        self.has_some = true;
    }

    /// All of the answer is out.
    pub(super) fn done(mut self) {
        self.payment.take().into_iter().for_each(PaymentLease::mark_used);
    }

    /// The answer broke off.
    pub(super) fn broke(mut self, why: Broken) {
        let fair = why != Broken::TooLarge
            && self.upload.broken().is_none()
            && !self.slow
            && (self.has_length || self.began.elapsed() < BEGINNING);
        if fair {
            // Dropped, it goes back.
            self.payment = None;
        } else {
            self.done();
        }
    }
}

impl Drop for Bought {
    fn drop(&mut self) {
        let hung_up = self.has_some && !self.closing.load(Ordering::Relaxed);
        if let Some(payment) = self.payment.take()
            && hung_up
        {
            payment.mark_used();
        }
    }
}
