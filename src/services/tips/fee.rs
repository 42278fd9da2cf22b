//! What the service takes for a tip.

use crate::core::money::Msat;

pub use crate::core::fees::FeeRule;

/// As the original: one percent, 10 sat at least.
pub const ORIGINAL: FeeRule = FeeRule { min_sat: 10, percent: 1 };

/// What so many tips of this amount and fee cost together. `None` when that is more than there is.
pub fn group_cost(amount: Msat, fee: Msat, quantity: u32) -> Option<Msat> {
    let each = amount.checked_add(fee)?;
    each.get().checked_mul(u64::from(quantity)).and_then(Msat::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sat(sat: u64) -> Msat {
        Msat::from_sat(sat).unwrap()
    }

    #[test]
    fn the_contracts_examples() {
        for (amount, fee) in [
            (1, 10),
            (21, 10),
            (990, 10),
            (991, 11),
            (1_000, 11),
            (1_089, 11),
            (1_090, 12),
            (2_000, 21),
            (5_000, 51),
            (10_000, 101),
            (21_000, 213),
            (100_000, 1_010),
            (1_000_000, 10_100),
            (2_079_002, 20_998),
        ] {
            assert_eq!(ORIGINAL.fee(sat(amount)), Some(sat(fee)), "{amount}");
        }
        assert_eq!(group_cost(sat(21), sat(10), 100), Some(sat(3_100)));
        assert_eq!(group_cost(sat(2_079_002), sat(20_998), 1), Some(sat(2_100_000)));
    }

    #[test]
    fn other_rules_than_the_originals() {
        let free = FeeRule { min_sat: 0, percent: 0 };
        assert_eq!(free.fee(sat(5_000)), Some(Msat::ZERO));
        let dear = FeeRule { min_sat: 1, percent: 10 };
        assert_eq!(dear.fee(sat(1)), Some(sat(1)));
        assert_eq!(dear.fee(sat(100)), Some(sat(11)));
    }

    #[test]
    fn what_is_too_much_is_told_and_never_wraps() {
        let all = sat(21_000_000 * 100_000_000);
        let steep = FeeRule { min_sat: 10, percent: u32::MAX };
        assert_eq!(steep.fee(all), None);
        assert_eq!(FeeRule { min_sat: u64::MAX, percent: 1 }.fee(sat(1)), None);
        assert_eq!(ORIGINAL.fee(Msat::new(1_500).unwrap()), None);
        assert_eq!(group_cost(all, sat(1), 1), None);
        assert_eq!(group_cost(all, Msat::ZERO, 2), None);
        assert_eq!(group_cost(all, Msat::ZERO, u32::MAX), None);
    }

    #[test]
    fn a_larger_tip_never_costs_less_and_always_the_minimum() {
        let rule = ORIGINAL;
        let mut last = rule.fee(sat(1)).unwrap();
        for amount in 2..50_000 {
            let fee = rule.fee(sat(amount)).unwrap();
            assert!(fee >= last && fee >= sat(10), "{amount}");
            last = fee;
        }
    }
}
