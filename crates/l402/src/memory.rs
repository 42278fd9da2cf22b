//! Used payments in memory, for one process. A restart forgets them: each payment of the `Payment` scheme that is
//! still valid then is good for one response more. Where that matters, keep them in a database.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::time::unix_now;
use crate::{Admitted, LeaseId, LeaseStore, PaymentHash, PaymentLease};

/// Payments below which nothing is swept.
const SWEEP_AT_LEAST: usize = 1_024;

/// A payment is kept for so long beyond its end, in case the clock is set back.
const GRACE_SECS: i64 = 3_600;

/// A [`LeaseStore`] in memory. Clones share it. Payments that are no longer valid are removed as it grows.
#[derive(Clone, Debug, Default)]
pub struct MemoryLeaseStore(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    taken: HashMap<PaymentHash, Entry>,
    next: i64,
    sweep_at: usize,
}

#[derive(Debug)]
struct Entry {
    lease: LeaseId,
    valid_until: i64,
}

impl MemoryLeaseStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and each change is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, payment: PaymentHash, valid_until: i64, now: i64) -> Option<LeaseId> {
        if self.taken.len() >= self.sweep_at.max(SWEEP_AT_LEAST) {
            self.taken.retain(|_, entry| entry.valid_until.saturating_add(GRACE_SECS) > now);
            self.sweep_at = self.taken.len().saturating_mul(2);
        }
        if self.taken.contains_key(&payment) {
            return None;
        }
        self.next = self.next.wrapping_add(1);
        let lease = LeaseId(self.next);
        self.taken.insert(payment, Entry { lease, valid_until });
        Some(lease)
    }
}

impl LeaseStore for MemoryLeaseStore {
    type Error = Infallible;

    fn take(
        &self,
        payment: Admitted,
        valid_until: i64,
    ) -> impl Future<Output = Result<Option<PaymentLease<Self>>, Infallible>> + Send {
        let lease = self.state().take(payment.payment_hash, valid_until, unix_now());
        ready(Ok(lease.map(|lease| PaymentLease::single_use(self.clone(), lease, payment))))
    }

    fn release(&self, payment: PaymentHash, lease: LeaseId) -> impl Future<Output = ()> + Send {
        self.release_later(payment, lease);
        ready(())
    }

    fn release_later(&self, payment: PaymentHash, lease: LeaseId) {
        let mut state = self.state();
        if state.taken.get(&payment).is_some_and(|entry| entry.lease == lease) {
            state.taken.remove(&payment);
        }
    }

    fn mark_used(&self, _: PaymentHash, _: LeaseId) {
        // It stays taken.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: i64 = 1_000;

    fn payment(number: u32) -> PaymentHash {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        PaymentHash(hash)
    }

    fn admitted() -> Admitted {
        Admitted { payment_hash: payment(1), amount_sat: 5, receipt: None }
    }

    #[tokio::test]
    async fn payment_is_taken_once_until_released() {
        let store = MemoryLeaseStore::new();
        let take = async || store.take(admitted(), i64::MAX).await.unwrap();
        let first = take().await.unwrap();
        assert!(take().await.is_none(), "taken");
        drop(first);
        take().await.expect("dropped without a response").release().await;
        take().await.expect("released").mark_used();
        assert!(take().await.is_none(), "used");
    }

    #[test]
    fn late_release_does_not_undo_a_later_lease() {
        let store = MemoryLeaseStore::new();
        let first = store.state().take(payment(1), END, 0).unwrap();
        store.release_later(payment(1), first);
        store.state().take(payment(1), END, 0).unwrap();
        store.release_later(payment(1), first);
        assert_eq!(store.state().take(payment(1), END, 0), None);
    }

    #[test]
    fn ended_payments_are_removed_and_valid_ones_stay() {
        let mut state = State::default();
        let most = u32::try_from(SWEEP_AT_LEAST).unwrap();
        for number in 0..most {
            let end = if number == 7 { i64::MAX } else { END };
            assert!(state.take(payment(number), end, 0).is_some());
        }
        assert!(state.take(payment(most), END, END + GRACE_SECS).is_some());
        assert_eq!(state.taken.len(), 2);
        assert_eq!(state.take(payment(7), i64::MAX, END + GRACE_SECS), None);
    }
}
