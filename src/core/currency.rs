//! The currencies that prices can be named in, and which prices of bitcoin in them can be true.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use crate::core::decimal::Decimal;

/// Digits behind the point that a rate is kept with: far below what any price is known to.
pub const RATE_PLACES: u32 = 8;

/// No bitcoin costs more in any of the currencies, whatever a source says.
const HIGHEST_RATE: u64 = 1_000_000_000_000;

/// A currency of some country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// US dollar.
    Usd,
    /// Euro.
    Eur,
    /// British pound.
    Gbp,
    /// Canadian dollar.
    Cad,
    /// Australian dollar.
    Aud,
    /// Japanese yen.
    Jpy,
    /// Swiss franc.
    Chf,
    /// Chinese yuan.
    Cny,
    /// Indian rupee.
    Inr,
    /// Brazilian real.
    Brl,
}

/// The text is the code of no currency we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a currency we know")]
pub struct UnknownCurrency;

impl Currency {
    /// All of them, in the order they are listed in.
    pub const ALL: [Self; 10] = [
        Self::Usd,
        Self::Eur,
        Self::Gbp,
        Self::Cad,
        Self::Aud,
        Self::Jpy,
        Self::Chf,
        Self::Cny,
        Self::Inr,
        Self::Brl,
    ];

    /// Its three letters.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Cad => "CAD",
            Self::Aud => "AUD",
            Self::Jpy => "JPY",
            Self::Chf => "CHF",
            Self::Cny => "CNY",
            Self::Inr => "INR",
            Self::Brl => "BRL",
        }
    }

    /// Digits behind the point that an amount of it may have: none for the yen, else 2.
    pub const fn places(self) -> u32 {
        match self {
            Self::Jpy => 0,
            _ => 2,
        }
    }
}

/// A rate (currency units for one bitcoin) as it is kept, with [`RATE_PLACES`] at most; `None` if it is absurd:
/// nothing, or more than anybody ever paid.
pub fn plausible_rate(rate: Decimal) -> Option<Decimal> {
    let kept = rate.floor_to(RATE_PLACES);
    (!kept.is_zero() && kept <= Decimal::from(HIGHEST_RATE)).then_some(kept)
}

/// A plausible rate as a whole count of `10^-RATE_PLACES`; it is below `10^21`.
pub(crate) fn rate_units(rate: Decimal) -> Option<u128> {
    plausible_rate(rate)?.in_units(RATE_PLACES)
}

/// The way back from [`rate_units`].
pub(crate) fn rate_of_units(units: u128) -> Option<Decimal> {
    Decimal::new(units, RATE_PLACES).and_then(plausible_rate)
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    /// By its code, in any case, with or without blanks around it.
    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        let text = text.trim();
        Self::ALL.into_iter().find(|known| known.code().eq_ignore_ascii_case(text)).ok_or(UnknownCurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl ToSql for Currency {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.code()))
    }
}

impl FromSql for Currency {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_known_in_any_case() {
        for currency in Currency::ALL {
            assert_eq!(currency.code().to_lowercase().parse(), Ok(currency));
            assert_eq!(format!(" {currency}\n").parse(), Ok(currency));
            assert_eq!(serde_json::to_string(&currency).unwrap(), format!("\"{currency}\""));
        }
        for text in ["", "US", "USDT", "XAU", "BTC"] {
            assert_eq!(text.parse::<Currency>(), Err(UnknownCurrency), "{text}");
        }
    }

    #[test]
    fn absurd_rates_are_none() {
        let rate = |text: &str| plausible_rate(Decimal::parse(text).unwrap()).map(|rate| rate.to_string());
        assert_eq!(rate("107123.123456789"), Some("107123.12345678".into()));
        assert_eq!(rate("1e12"), Some("1000000000000".into()));
        for absurd in ["0", "1e-9", "1000000000000.01", "1e29"] {
            assert_eq!(rate(absurd), None, "{absurd}");
        }
    }
}
