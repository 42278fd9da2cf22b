//! Payments whose preimage was shown lately.
//!
//! A payer has the preimage a moment before the server's records say that the invoice is paid. A server that hands out
//! the same challenge again to the same client must not do so in that moment: wallets refuse to pay an invoice twice.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::PaymentHash;

/// A power of two: far more than are shown in such a moment.
const SLOTS: usize = 4_096;

/// A set of fixed size, in which a new payment may replace an older one. Adding costs one atomic load, or a store if
/// the payment is new, so it can be done for every paid request.
pub struct RecentPreimages(Box<[AtomicU64]>);

impl Default for RecentPreimages {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl RecentPreimages {
    /// The payer knows the preimage of this payment.
    pub fn insert(&self, payment: PaymentHash) {
        let (slot, mark) = self.place(payment);
        // Only a new one is written, so that many requests with one token don't contend for the cache line.
        if let Some(slot) = slot.filter(|slot| slot.load(Ordering::Relaxed) != mark) {
            slot.store(mark, Ordering::Relaxed);
        }
    }

    /// Whether it was inserted and not replaced since.
    pub fn contains(&self, payment: PaymentHash) -> bool {
        let (slot, mark) = self.place(payment);
        slot.is_some_and(|slot| slot.load(Ordering::Relaxed) == mark)
    }

    fn place(&self, payment: PaymentHash) -> (Option<&AtomicU64>, u64) {
        let [high, low, a, b, c, d, e, f, g, h, ..] = payment.0;
        let slot = usize::from(u16::from_be_bytes([high, low])) % SLOTS;
        // Never 0, which is what an empty slot has.
        (self.0.get(slot), u64::from_be_bytes([a, b, c, d, e, f, g, h]) | 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_payments_are_contained() {
        let recent = RecentPreimages::default();
        let payment = |slot: u8, rest: u8| {
            let mut hash = [rest; 32];
            hash[..2].copy_from_slice(&[0, slot]);
            PaymentHash(hash)
        };
        assert!(!recent.contains(payment(0, 0)));
        for (slot, rest) in [(0, 0), (0, 9), (1, 9)] {
            recent.insert(payment(slot, rest));
            assert!(recent.contains(payment(slot, rest)));
        }
        assert!(
            recent.contains(payment(0, 9))
                && !recent.contains(payment(0, 0))
                && !recent.contains(payment(2, 9))
        );
    }
}
