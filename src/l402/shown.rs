//! Payments whose proof was shown lately.
//!
//! A payer has the preimage a moment before the database knows of the payment. Whoever shows it in that moment, and
//! then asks for the same once more, must not be asked to pay the paid invoice again: wallets refuse that.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ids::PaymentHash;

/// A power of two: far more than are shown in such a moment.
const SLOTS: usize = 4_096;

/// A memory of fixed size, in which the new push out the old. Noting one costs as good as nothing, since it is done
/// for every paid request.
pub struct Shown(Box<[AtomicU64]>);

impl Default for Shown {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Shown {
    /// Notes that this payment's preimage is known to its payer.
    pub fn note(&self, payment: PaymentHash) {
        let (slot, mark) = self.place(payment);
        // Only a new one is written, so that many requests with one token don't fight for the line of cache.
        if let Some(slot) = slot.filter(|slot| slot.load(Ordering::Relaxed) != mark) {
            slot.store(mark, Ordering::Relaxed);
        }
    }

    /// Whether it was noted, and is not forgotten yet.
    pub fn has(&self, payment: PaymentHash) -> bool {
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
    fn the_newest_are_known() {
        let shown = Shown::default();
        let payment = |slot: u8, rest: u8| {
            let mut hash = [rest; 32];
            hash[..2].copy_from_slice(&[0, slot]);
            PaymentHash(hash)
        };
        assert!(!shown.has(payment(0, 0)));
        for (slot, rest) in [(0, 0), (0, 9), (1, 9)] {
            shown.note(payment(slot, rest));
            assert!(shown.has(payment(slot, rest)));
        }
        assert!(shown.has(payment(0, 9)) && !shown.has(payment(0, 0)) && !shown.has(payment(2, 9)));
    }
}
