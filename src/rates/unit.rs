//! What a price can be named in.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::convert::{ConvertError, direct};
use super::{Currency, Quote};
use crate::core::currency::UnknownCurrency;
use crate::core::decimal::Decimal;
use crate::core::money::Msat;

/// What a price can be named in: a currency, bitcoin, or sats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Whole bitcoins.
    Btc,
    /// Satoshis.
    Sats,
    /// A currency, at its rate.
    Fiat(Currency),
}

impl Unit {
    /// As we write it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Btc => "BTC",
            Self::Sats => "sats",
            Self::Fiat(currency) => currency.code(),
        }
    }

    /// Digits behind the point that an amount of it may have.
    pub const fn places(self) -> u32 {
        match self {
            Self::Btc => 8,
            Self::Sats => 0,
            Self::Fiat(currency) => currency.places(),
        }
    }

    /// The currency whose rate it needs.
    pub const fn currency(self) -> Option<Currency> {
        match self {
            Self::Btc | Self::Sats => None,
            Self::Fiat(currency) => Some(currency),
        }
    }

    /// What `amount` of this unit is in whole sats, rounded up. Nothing is nothing: whether a price may be nothing
    /// is the caller's to say.
    ///
    /// # Errors
    /// [`ConvertError`]; [`ConvertError::NoRate`] if a currency's quote is missing or another's.
    pub fn to_sats(self, amount: Decimal, quote: Option<&Quote>) -> Result<Msat, ConvertError> {
        match self {
            Self::Btc | Self::Sats => direct(amount, self.places()),
            Self::Fiat(_) if amount.places() > self.places() => {
                Err(ConvertError::TooPrecise { places: self.places() })
            }
            Self::Fiat(currency) => {
                let quote = quote.filter(|quote| quote.currency == currency).ok_or(ConvertError::NoRate)?;
                quote.sats(amount)
            }
        }
    }
}

impl FromStr for Unit {
    type Err = UnknownCurrency;

    /// In any case, with or without blanks around it: a currency's code, `BTC`, `sats`, `sat`.
    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("btc") {
            Ok(Self::Btc)
        } else if text.eq_ignore_ascii_case("sats") || text.eq_ignore_ascii_case("sat") {
            Ok(Self::Sats)
        } else {
            text.parse().map(Self::Fiat)
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl serde::Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl ToSql for Unit {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.code()))
    }
}

impl FromSql for Unit {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}
