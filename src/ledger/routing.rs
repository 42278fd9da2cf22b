//! What routing may cost: each payout its own limit, all of them together so much an hour.
//!
//! A recipient can hold a payment, so that what it might cost counts for as long as they like, or have it routed
//! over a dear channel of their own. So no payout gets more than a part of what is left of the hour: there is always
//! something for the next one. One at a time may have its whole limit if half of the hour is left for the others,
//! because a large payout can need it; and the last half is for those whose limit is small.

use crate::money::Msat;

use super::Payout;

/// The part of what is left that one payout may use without further ado.
const PART: u64 = 20;

/// A limit of at most this part of the hour's is small.
const SMALL: u64 = 500;

/// What is left of the hour, those payouts counted that are under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    most: Msat,
    left: Msat,
    large_under_way: bool,
}

impl Budget {
    /// Of `most` an hour, after so much was spent or may still be; `largest` is the most that one of those under way
    /// may cost.
    pub(super) fn new(most: Msat, used: Msat, largest: Msat) -> Self {
        Self { most, left: most.saturating_sub(used), large_under_way: largest > part(most, PART) }
    }

    /// What a payout may cost now. Taken from the budget.
    pub(super) fn grant(&mut self, payout: &Payout) -> Msat {
        let wanted = payout.max_fee;
        // The operator says what it may cost; of an account's withdrawal it was withheld.
        if payout.family.pays_own_routing() {
            return wanted;
        }
        let pool = if wanted <= part(self.most, SMALL) {
            self.left
        } else {
            self.left.saturating_sub(part(self.most, 2))
        };
        let share = part(pool, PART);
        let granted = if wanted <= share {
            wanted
        } else if wanted <= pool && !self.large_under_way {
            self.large_under_way |= wanted > part(self.most, PART);
            wanted
        } else {
            share
        };
        self.left = self.left.saturating_sub(granted);
        granted
    }
}

fn part(of: Msat, parts: u64) -> Msat {
    Msat::new(of.get() / parts).unwrap_or(Msat::ZERO)
}
