//! Amounts as checked integers.
//!
//! Everything that is money inside Satchel is a [`Msat`]; satoshis appear only where an API family
//! speaks them. Arithmetic never wraps: it returns `None` and the caller says what that means.

use std::fmt;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

/// Millisatoshis in one satoshi.
const MSAT_PER_SAT: u64 = 1_000;

/// The largest amount that can exist: 21 million bitcoin, in millisatoshis.
const MAX_MSAT: u64 = 21_000_000 * 100_000_000 * MSAT_PER_SAT;

/// A non-negative amount in millisatoshis, never above the supply of bitcoin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Msat(u64);

/// The amount is larger than all bitcoin there will ever be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the amount is larger than the supply of bitcoin")]
pub struct AmountTooLarge;

impl Msat {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// All there will ever be.
    pub const MAX: Self = Self(MAX_MSAT);

    /// An amount from millisatoshis.
    pub const fn new(msat: u64) -> Option<Self> {
        if msat > MAX_MSAT { None } else { Some(Self(msat)) }
    }

    /// An amount from satoshis.
    pub const fn from_sat(sat: u64) -> Option<Self> {
        match sat.checked_mul(MSAT_PER_SAT) {
            Some(msat) => Self::new(msat),
            None => None,
        }
    }

    /// The millisatoshis.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whole satoshis, rounded down.
    pub const fn sat_floor(self) -> u64 {
        self.0 / MSAT_PER_SAT
    }

    /// Whole satoshis, if there is no remainder.
    pub const fn sat_exact(self) -> Option<u64> {
        if self.0.is_multiple_of(MSAT_PER_SAT) { Some(self.0 / MSAT_PER_SAT) } else { None }
    }

    /// Sum, unless it is larger than the supply.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Self::new(sum),
            None => None,
        }
    }

    /// Difference, unless it would be negative.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// What is left after taking `other` away, or nothing.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// A share of `ppm` parts per million, rounded up: a fee limit never rounds to less than was meant.
    pub fn ppm_ceil(self, ppm: u32) -> Option<Self> {
        let share = (u128::from(self.0) * u128::from(ppm)).div_ceil(1_000_000);
        u64::try_from(share).ok().and_then(Self::new)
    }

    /// As a signed number for ledger entries. Fits, because the supply is far below `i64::MAX`.
    pub const fn signed(self) -> i64 {
        #[expect(clippy::cast_possible_wrap, reason = "bounded by MAX_MSAT, about 2.1e18, below i64::MAX")]
        {
            self.0 as i64
        }
    }
}

impl TryFrom<u64> for Msat {
    type Error = AmountTooLarge;

    fn try_from(msat: u64) -> Result<Self, Self::Error> {
        Self::new(msat).ok_or(AmountTooLarge)
    }
}

impl From<Msat> for u64 {
    fn from(amount: Msat) -> Self {
        amount.0
    }
}

impl fmt::Display for Msat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sat_exact() {
            Some(sat) => write!(f, "{sat} sat"),
            None => write!(f, "{} msat", self.0),
        }
    }
}

impl ToSql for Msat {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.signed()))
    }
}

impl FromSql for Msat {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let raw = i64::column_result(value)?;
        u64::try_from(raw).ok().and_then(Self::new).ok_or(FromSqlError::OutOfRange(raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_supply_is_an_amount_and_one_more_is_not() {
        assert_eq!(Msat::from_sat(21_000_000 * 100_000_000).unwrap().get(), MAX_MSAT);
        assert_eq!(Msat::new(MAX_MSAT + 1), None);
        assert_eq!(Msat::from_sat(u64::MAX), None);
    }

    #[test]
    fn subtraction_never_goes_below_nothing() {
        let (one, two) = (Msat::new(1).unwrap(), Msat::new(2).unwrap());
        assert_eq!(one.checked_sub(two), None);
        assert_eq!(one.saturating_sub(two), Msat::ZERO);
    }

    #[test]
    fn a_share_rounds_up() {
        assert_eq!(Msat::new(1).unwrap().ppm_ceil(1), Msat::new(1));
        assert_eq!(Msat::from_sat(5_000).unwrap().ppm_ceil(10_000), Msat::from_sat(50));
    }
}
