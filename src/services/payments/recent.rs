//! Which orders were made lately, so that one that was not need not be looked for before an invoice is made.
//!
//! A hint: the transaction that writes a payment down looks for the order itself. One that has been forgotten here,
//! by a restart or by many others, costs an invoice that nobody sees; one that seems known and isn't, a look.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::{Mutex, PoisonError};

use crate::core::ids::AccountId;

/// Orders of one generation; two are kept, about 2 MB.
const AT_MOST: usize = 65_536;

/// Orders by their hash.
#[derive(Default)]
pub(super) struct Recent {
    hasher: RandomState,
    seen: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl Recent {
    /// An order is being made.
    pub(super) fn note(&self, account: AccountId, order: &str) {
        let hash = self.hasher.hash_one((account.0, order));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.young.insert(hash);
        if seen.young.len() >= AT_MOST {
            seen.old = mem::take(&mut seen.young);
        }
    }

    /// Whether it may have been made: one of the last 65,536 surely has.
    pub(super) fn has(&self, account: AccountId, order: &str) -> bool {
        let hash = self.hasher.hash_one((account.0, order));
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.young.contains(&hash) || seen.old.contains(&hash)
    }

    /// As after a restart.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        *self.seen.lock().unwrap() = Generations::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_known_and_no_more_than_two_generations() {
        let (recent, shop) = (Recent::default(), AccountId(1));
        recent.note(shop, "first");
        assert!(
            recent.has(shop, "first") && !recent.has(AccountId(2), "first") && !recent.has(shop, "other")
        );
        for number in 0..AT_MOST - 1 {
            recent.note(shop, &number.to_string());
        }
        assert!(recent.has(shop, "first"), "the old generation counts");
        for number in 0..AT_MOST {
            recent.note(shop, &format!("later {number}"));
        }
        assert!(!recent.has(shop, "first"));
        assert!(recent.has(shop, "later 0") && recent.has(shop, "later 9"));
    }
}
