//! Which price several sources agree on.

use crate::core::currency::{rate_of_units, rate_units};
use crate::core::decimal::Decimal;

/// What is further from the middle than a part of this size is no price.
const OUTLIER_PART: u128 = 4;

/// Two that stand alone may differ by a part of this size.
const DISPUTE_PART: u128 = 10;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict<T> {
    /// Nobody said anything.
    Nothing,
    /// They contradict each other, and nobody can tell who is right.
    Dispute,
    /// Only one says something, and it is far from what was known.
    Doubt,
    /// A price.
    Price {
        /// The median of those that count.
        rate: Decimal,
        /// Whose prices those are.
        from: Vec<T>,
        /// Whose price is too far off to count.
        without: Vec<T>,
    },
}

/// Finds the price. Of three or more, those count that are within a quarter of the median of all, and they must be
/// the majority. If only two count, they must be within a tenth of each other.
pub(super) fn judge<T>(said: impl IntoIterator<Item = (T, Decimal)>) -> Verdict<T> {
    let mut all: Vec<_> =
        said.into_iter().filter_map(|(whose, rate)| Some((whose, rate_units(rate)?))).collect();
    all.sort_by_key(|(_, units)| *units);
    let Some(middle) = median(&all) else {
        return Verdict::Nothing;
    };
    let count = all.len();
    let (kept, off): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(_, units)| count < 3 || units.abs_diff(middle).saturating_mul(OUTLIER_PART) <= middle);
    let majority = kept.len() * 2 > count;
    let far_apart = match kept.as_slice() {
        [(_, low), (_, high)] => (high - low).saturating_mul(DISPUTE_PART) > *low,
        _ => false,
    };
    match median(&kept).and_then(rate_of_units) {
        Some(rate) if majority && !far_apart => {
            Verdict::Price { rate, from: names(kept), without: names(off) }
        }
        _ => Verdict::Dispute,
    }
}

/// The one in the middle, or what lies between the two there.
fn median<T>(sorted: &[(T, u128)]) -> Option<u128> {
    let at = |index: usize| sorted.get(index).map(|(_, units)| *units);
    let (low, high) = (at(sorted.len().checked_sub(1)? / 2)?, at(sorted.len() / 2)?);
    Some(low + (high - low) / 2)
}

fn names<T>(entries: Vec<(T, u128)>) -> Vec<T> {
    entries.into_iter().map(|(whose, _)| whose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rates: &[&str]) -> Verdict<usize> {
        judge(rates.iter().map(|rate| Decimal::parse(rate).unwrap()).enumerate())
    }

    /// The rate, and who does not count.
    #[track_caller]
    fn price(rates: &[&str], rate: &str, without: &[usize]) {
        match of(rates) {
            Verdict::Price { rate: found, from, without: off } => {
                assert_eq!((found.to_string().as_str(), off.as_slice()), (rate, without), "{rates:?}");
                assert_eq!(from.len() + off.len(), rates.len());
            }
            other => panic!("{rates:?}: {other:?}"),
        }
    }

    #[test]
    fn the_median_counts() {
        price(&["50000"], "50000", &[]);
        price(&["50000", "50001"], "50000.5", &[]);
        price(&["50100", "49900", "50000"], "50000", &[]);
        price(&["50100", "49900", "50000", "50002"], "50001", &[]);
    }

    #[test]
    fn one_that_is_far_off_does_not_count() {
        price(&["50100", "1", "49900"], "50000", &[1]);
        price(&["0.5", "50100", "49900"], "50000", &[0]);
        price(&["50100", "49900", "999999999999"], "50000", &[2]);
        price(&["50000", "50000", "62500"], "50000", &[]);
        price(&["50000", "50000", "62501"], "50000", &[2]);
        price(&["50000", "50000", "37499"], "50000", &[2]);
    }

    #[test]
    fn where_nobody_knows_who_is_right_there_is_no_price() {
        price(&["50000", "55000"], "52500", &[]);
        assert_eq!(of(&["50000", "55001"]), Verdict::Dispute);
        assert_eq!(of(&["55001", "50000"]), Verdict::Dispute);
        assert_eq!(of(&["50000", "100000", "200000"]), Verdict::Dispute);
        assert_eq!(of(&["50000", "50000", "100000", "100000"]), Verdict::Dispute);
        // The third is off, and the other two disagree.
        assert_eq!(of(&["50000", "57000", "1"]), Verdict::Dispute);
        assert_eq!(of(&[]), Verdict::Nothing);
        assert_eq!(of(&["0"]), Verdict::Nothing);
    }
}
