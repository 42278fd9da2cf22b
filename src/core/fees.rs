//! What the services take: one rule for gifts, tips, payments and sold requests.
//!
//! Gifts and tips cost their sender the fee on top of the amount ([`FeeRule::fee`]). Of what pays a shop, or for a
//! request, the fee is taken out ([`FeeRule::taken_from`]).

use crate::core::money::Msat;

/// How a fee is reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRule {
    /// At least so much, in sat.
    pub min_sat: u64,
    /// And at least this part of the amount, in percent.
    pub percent: u32,
}

impl FeeRule {
    /// No fee at all.
    pub const FREE: Self = Self { min_sat: 0, percent: 0 };

    /// Whether nothing is ever taken.
    pub const fn is_free(self) -> bool {
        self.min_sat == 0 && self.percent == 0
    }

    /// The fee on top of one amount, in whole sats: the share of the amount with the share added, rounded up both
    /// times. `None` when the amount is no whole number of sats or the fee is more than there is.
    pub fn fee(&self, amount: Msat) -> Option<Msat> {
        let sat = amount.sat_exact()?;
        let once = self.share(sat)?;
        Msat::from_sat(self.share(sat.checked_add(once)?)?)
    }

    /// The fee out of what came in, in whole sats: its share, rounded up, and never more than came in.
    pub fn taken_from(&self, received: Msat) -> Msat {
        let sat = received.sat_floor();
        let fee = self.share(sat).unwrap_or(sat).min(sat);
        Msat::from_sat(fee).unwrap_or(Msat::ZERO)
    }

    /// The largest amount that so much pays for with its fee, and the fee: all that is not the amount. `None` if it
    /// pays for nothing.
    pub fn within(&self, total: Msat) -> Option<(Msat, Msat)> {
        let all = total.sat_exact()?;
        let (mut least, mut most) = (0, all);
        // A larger amount never costs less, so halving finds the last that fits.
        while least < most {
            let middle = most - (most - least) / 2;
            let cost = Msat::from_sat(middle).and_then(|amount| amount.checked_add(self.fee(amount)?));
            if cost.is_some_and(|cost| cost <= total) {
                least = middle;
            } else {
                most = middle - 1;
            }
        }
        let amount = Msat::from_sat(least).filter(|amount| *amount > Msat::ZERO)?;
        Some((amount, total.saturating_sub(amount)))
    }

    /// The rule in words: `1 %, at least 10 sat`. `None` if there is no fee.
    pub fn words(self) -> Option<String> {
        match (self.percent, self.min_sat) {
            (0, 0) => None,
            (percent, 0) => Some(format!("{percent} %")),
            (0, sat) => Some(format!("{sat} sat")),
            (percent, sat) => Some(format!("{percent} %, at least {sat} sat")),
        }
    }

    /// The rule's share of so many sats, in sat.
    fn share(&self, sat: u64) -> Option<u64> {
        let share = (u128::from(sat) * u128::from(self.percent)).div_ceil(100);
        u64::try_from(share).ok().map(|share| share.max(self.min_sat))
    }
}

/// Limits of miners' fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinerFeeLimits {
    /// The most that one transaction may cost, whoever bears it.
    pub max: Msat,
    /// The most that one account may cost the operator in an hour.
    pub max_account_hour: Msat,
    /// The most that all accounts together may.
    pub max_hour: Msat,
    /// A fixed rate, in sat for 1,000 weight units; the chain source is asked without one.
    pub rate: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sat(sat: u64) -> Msat {
        Msat::from_sat(sat).unwrap()
    }

    #[test]
    fn fee_is_taken_out_of_what_came_in_and_is_never_more() {
        let rule = FeeRule { min_sat: 10, percent: 2 };
        for (received, fee) in [(0, 0), (1, 1), (9, 9), (10, 10), (499, 10), (501, 11), (10_000, 200)] {
            assert_eq!(rule.taken_from(sat(received)), sat(fee), "{received}");
        }
        assert_eq!(rule.taken_from(Msat::new(999).unwrap()), Msat::ZERO);
        assert_eq!(FeeRule::FREE.taken_from(sat(5_000)), Msat::ZERO);
        assert_eq!(FeeRule { min_sat: u64::MAX, percent: 0 }.taken_from(sat(5)), sat(5));
    }

    #[test]
    fn largest_amount_within_a_total_and_its_fee_are_the_total() {
        let rules = [
            FeeRule::FREE,
            FeeRule { min_sat: 10, percent: 1 },
            FeeRule { min_sat: 0, percent: 100 },
            FeeRule { min_sat: 7, percent: 0 },
        ];
        for rule in rules {
            for total in (1..3_000).chain([100_000, 2_100_000]) {
                let Some((amount, fee)) = rule.within(sat(total)) else {
                    assert!(
                        rule.fee(sat(1)).unwrap().checked_add(sat(1)).unwrap() > sat(total),
                        "{rule:?} {total}"
                    );
                    continue;
                };
                assert_eq!(amount.checked_add(fee), Some(sat(total)));
                assert!(rule.fee(amount).unwrap() <= fee, "{rule:?} {total}");
                let more = amount.checked_add(sat(1)).unwrap();
                assert!(more.checked_add(rule.fee(more).unwrap()).unwrap() > sat(total), "{rule:?} {total}");
            }
        }
        assert_eq!(FeeRule::FREE.within(sat(5)), Some((sat(5), Msat::ZERO)));
        assert_eq!(FeeRule::FREE.within(Msat::new(1_500).unwrap()), None);
    }

    #[test]
    fn rules_are_told_in_words() {
        assert_eq!(FeeRule::FREE.words(), None);
        assert_eq!(FeeRule { min_sat: 10, percent: 1 }.words().unwrap(), "1 %, at least 10 sat");
        assert_eq!(FeeRule { min_sat: 0, percent: 3 }.words().unwrap(), "3 %");
        assert_eq!(FeeRule { min_sat: 5, percent: 0 }.words().unwrap(), "5 sat");
    }
}
